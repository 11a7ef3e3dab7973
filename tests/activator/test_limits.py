"""Limits of size and of time, each with the status and the reason that a client gets."""

from __future__ import annotations

import json

import pytest

from activator.core.holds import Limits
from activator.reading import Bounds
from activator.server import ActivatorSettings
from activator.settings import Patience
from tests.activator.rig import HOST, Peer, echo, get, play, post, replica, rig

CHUNKED = (
    b"POST /x HTTP/1.1\r\nHost: "
    + HOST.encode()
    + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
)
SMALL = ActivatorSettings(bounds=Bounds(body=10), drain_s=1.0)
FEW = ActivatorSettings(bounds=Bounds(fields=200), drain_s=1.0)


def within(**limits: float) -> ActivatorSettings:
    return ActivatorSettings(patience=Patience(**limits), drain_s=1.0)


def reason(answer: tuple[bytes, bytes], status: int) -> str:
    head, body = answer
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    return str(json.loads(body)["error"])


async def nobody(peer: Peer) -> None:
    """Read what is sent and answer nothing."""
    await peer.rest()


@pytest.mark.parametrize("count", [199, 200])
def test_a_head_has_as_many_fields_as_it_may_and_no_more(count):
    """Host is one of them."""

    async def scene() -> None:
        async with rig(FEW) as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            answer = await client.ask(get(more=b"A: b\r\n" * count))

            if count == 199:
                assert answer[0].startswith(b"HTTP/1.1 200 ")
                return
            assert reason(answer, 431) == "the head has more than 200 fields"
            assert await client.rest() == b""

    play(scene())


def test_a_body_whose_length_is_too_much_wakes_nobody():
    async def scene() -> None:
        async with rig(SMALL) as made:
            made.see()
            client = await made.client()
            said = len(made.said)
            await client.send(post(b"x" * 11))

            answer = await client.message()

            assert reason(answer, 413) == "the body is longer than 10 bytes"
            assert await client.rest() == b""
            assert len(made.said) == said
            assert made.board_level() == 0

    play(scene())


@pytest.mark.parametrize("awake", [True, False])
def test_a_body_that_grows_too_long_in_chunks_ends_its_request(awake):
    async def scene() -> None:
        async with rig(SMALL) as made, replica(nobody) as port:
            if awake:
                await made.awake(port)
            else:
                made.see()
            client = await made.client()
            await client.send(CHUNKED + b"a\r\n0123456789\r\n")
            await made.until(lambda: made.board_level() == 1)
            await client.send(b"1\r\nx\r\n")

            answer = await client.message()

            assert reason(answer, 413) == "the body is longer than 10 bytes"
            assert await client.rest() == b""
            assert made.board_level() == 0

    play(scene())


def test_a_body_as_long_as_it_may_be_passes():
    async def scene() -> None:
        async with rig(SMALL) as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            assert (await client.ask(post(b"x" * 10)))[1] == b"x" * 10
            chunks = CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n"
            assert (await client.ask(chunks))[1] == b"0123456789"

    play(scene())


def test_a_replica_that_does_not_begin_to_answer_is_not_waited_for():
    async def scene() -> None:
        async with rig(within(first_byte_s=0.3)) as made, replica(nobody) as port:
            await made.awake(port)
            client = await made.client()

            answer = await client.ask(post(b"x"))

            assert reason(answer, 504) == "the replica did not begin to answer in time"
            assert made.board_level() == 0

    play(scene())


def test_the_time_of_a_cold_start_and_of_an_answer_is_not_that_of_its_first_byte():
    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        await peer.reader.read(1)

    async def scene() -> None:
        async with rig(within(first_byte_s=0.3)) as made, replica(serve) as port:
            made.see()
            held = await made.client()
            await held.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            plane = made.activator._plane
            plane.sweep(plane.clock() + 5.0)
            assert made.board_level() == 1
            await made.awake(port)
            head = await held.head()
            assert head.startswith(b"HTTP/1.1 200 ")
            plane.sweep(plane.clock() + 10.0)
            assert await held.exactly(1) == b"a"
            assert made.board_level() == 1
            held.close()

    play(scene())


def test_a_websocket_in_which_nobody_speaks_is_closed():
    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello"
        )
        while heard := await peer.reader.read(100):
            await peer.send(heard)
        gone.append(True)

    gone: list[bool] = []

    async def scene() -> None:
        async with rig(within(silent_s=100.0)) as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(
                get(more=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
            )
            await client.head()
            assert await client.exactly(5) == b"hello"
            plane = made.activator._plane
            began = plane.clock()
            plane.sweep(began + 60.0)
            await client.send(b"ping")
            assert await client.exactly(4) == b"ping"
            assert made.board_level() == 1

            plane.sweep(plane.clock() + 130.0)

            assert await client.rest() == b""
            assert made.board_level() == 0
            await made.until(lambda: bool(gone))

    play(scene())


def test_bodies_that_are_searched_for_their_model_are_bounded_together():
    async def scene() -> None:
        settings = ActivatorSettings(limits=Limits(max_held_bytes=1000), drain_s=1.0)
        async with rig(settings) as made:
            made.see()
            plane = made.activator._plane
            ask = b"POST /v1/chat/completions HTTP/1.1\r\nHost: none\r\n"
            ask += b"Content-Length: 5000\r\n\r\n"
            first, other = await made.client(), await made.client()
            await first.send(ask + b"x" * 900)
            await made.until(lambda: plane.searched.bytes == 900)

            answer = await other.ask(ask + b"x" * 101)

            assert json.loads(answer[1])["error"]["message"].startswith(
                "bodies of 1000"
            )
            assert answer[0].startswith(b"HTTP/1.1 429 ")
            assert plane.searched.bytes == 900
            first.close()
            await made.until(lambda: plane.searched.bytes == 0)

    play(scene())
