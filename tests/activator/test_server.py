"""The whole activator, over real sockets."""

from __future__ import annotations

from tests.activator.rig import echo, get, play, post, replica, rig


def test_a_request_for_a_sleeping_model_is_held_and_answered_when_it_is_ready():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            await client.send(post(b"hello"))
            await made.until(lambda: bool(made.said))
            made.see(port)

            head, body = await client.message()

            assert body == b"hello"
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Server-Timing: hold;dur=" in head
            assert b"X-Fromzero-Cold-Start: " in head

            head, body = await client.ask(get(b"/v1/models/iris:explain"))
            assert body == b"/v1/models/iris:explain"
            assert b"Server-Timing" not in head

    play(scene())
