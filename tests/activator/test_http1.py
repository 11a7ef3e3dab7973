"""What a client's connection does: order, keep-alive, limits, closing."""

from __future__ import annotations

import asyncio
import json

import pytest

from activator.reading import Bounds
from activator.server import ActivatorSettings
from activator.settings import Patience
from tests.activator.rig import HOST, Peer, echo, get, play, post, replica, rig


def impatient(**limits: float) -> ActivatorSettings:
    return ActivatorSettings(patience=Patience(**limits), drain_s=1.0)


def test_requests_on_one_connection_are_answered_one_after_another():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            for number in range(20):
                body = b"%d" % number * number
                head, got = await client.ask(post(body) if number else get(b"/v1/x"))
                assert got == (body or b"/v1/x")
                assert b"Connection" not in head

            assert len(made.clients) == 1

    play(scene())


def test_pipelined_requests_are_answered_in_order():
    async def answer(peer: Peer) -> None:
        while True:
            head, body = await peer.message()
            # Those without a body leave the others many turns to overtake them.
            for _ in range(0 if body else 200):
                await asyncio.sleep(0)
            said = body or head.split(b" ")[1]
            await peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
            )

    async def scene() -> None:
        async with rig() as made, replica(answer) as port:
            made.see(port)
            client = await made.client()
            chunked = (
                b"POST /x HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n0\r\n\r\n" % HOST.encode()
            )
            bad_host = b"GET /no HTTP/1.1\r\nHost: nobody\r\n\r\n"
            await client.send(
                get(b"/1") + post(b"two") + chunked + bad_host + get(b"/5")
            )

            bodies = [(await client.message())[1] for _ in range(5)]

            assert bodies[:3] == [b"/1", b"two", b"abc"]
            assert b"nobody" in bodies[3]
            assert bodies[4] == b"/5"

    play(scene())


def test_a_thousand_pipelined_requests_are_answered():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            nobody = b"GET /no HTTP/1.1\r\nHost: nobody\r\n\r\n"
            client.writer.write(
                b"".join([get(b"/%d" % n) + nobody for n in range(500)])
            )
            for number in range(500):
                assert (await client.message())[1] == b"/%d" % number
                assert (await client.message())[0].startswith(b"HTTP/1.1 404")

    play(scene())


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        pytest.param(b"Connection: close\r\n", False, id="close"),
        pytest.param(b"Connection: keep-alive\r\n", True, id="keep-alive"),
        pytest.param(b"", True, id="nothing said"),
    ],
)
def test_the_client_says_whether_its_connection_stays(asked, stays):
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            client = await made.client()

            head, _ = await client.ask(get(b"/a", asked))

            assert (b"Connection: close\r\n" in head) != stays
            if stays:
                assert (await client.ask(get(b"/b")))[1] == b"/b"
            else:
                assert await client.rest() == b""

    play(scene())


def test_http_1_0_is_closed_unless_it_asks_to_stay():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            old = b"GET /a HTTP/1.0\r\nHost: %b\r\n" % HOST.encode()
            client = await made.client()
            await client.send(old + b"\r\n")
            assert (await client.rest()).endswith(b"\r\n\r\n/a")

            client = await made.client()
            head, body = await client.ask(old + b"Connection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in head
            assert body == b"/a"
            assert (await client.ask(get(b"/b")))[1] == b"/b"

    play(scene())


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="nonsense"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no Host"),
        pytest.param(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400, id="version"),
        pytest.param(b"GET /" + b"a" * 70_000, 414, id="target"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 70_000, 431, id="field"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n", 400,
            id="two framings",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417, id="expectation"
        ),
    ],
)  # fmt: skip
def test_a_bad_head_is_answered_and_ends_the_connection(bad, status):
    async def scene() -> None:
        async with rig() as made:
            client = await made.client()
            await client.send(bad)

            head, body = await client.message()

            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close\r\n" in head
            assert json.loads(body)["error"]
            assert await client.rest() == b""
            assert (
                made.metric("fromzero_activator_own_answers_total", status=str(status))
                == 1.0
            )

    play(scene())


def test_what_comes_after_a_bad_request_is_never_served():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            await client.send(get(b"/ok") + b"bad\r\n\r\n" + get(b"/smuggled"))

            assert (await client.message())[1] == b"/ok"
            assert (await client.message())[0].startswith(b"HTTP/1.1 400")
            assert await client.rest() == b""

    play(scene())


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(b"GET / HT", b"HTTP/1.1 408 ", id="half a head"),
        pytest.param(b"", b"", id="nothing"),
        pytest.param(post(b"abc")[:-1], b"HTTP/1.1 408 ", id="half a body"),
    ],
)
def test_a_client_that_says_no_more_is_not_waited_for(sent, answer):
    async def scene() -> None:
        settings = impatient(head_s=0.3, idle_s=0.3, stall_s=0.3)
        async with rig(settings) as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            await client.send(sent)

            assert (await client.rest()).startswith(answer)
            assert made.board_level() == 0

    play(scene())


def test_a_connection_that_is_used_now_and_then_is_not_idle():
    async def scene() -> None:
        # Gaps far below the limit, on a slow machine too; together they are above it.
        settings = impatient(idle_s=2.0)
        async with rig(settings) as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            for _ in range(4):
                await asyncio.sleep(0.6)  # The passing of time is what is tested.
                assert (await client.ask(get(b"/a")))[1] == b"/a"

    play(scene())


def test_a_client_that_takes_nothing_is_cut_off():
    async def serve(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await peer.send(b"x" * 100_000)

    async def scene() -> None:
        async with rig(impatient(stall_s=0.3)) as made, replica(serve) as port:
            made.see(port)
            client = await made.client()
            await client.send(get())
            await made.until(lambda: made.board_level() == 1)
            await made.until(lambda: made.board_level() == 0)

            assert made.watch.ended[0].outcome.name == "LEFT"

    play(scene())


def test_a_client_that_asks_ten_thousand_times_and_reads_nothing_is_answered_little():
    """What the kernel takes of answers is all that there is of them."""
    answered = 0

    async def serve(peer: Peer) -> None:
        nonlocal answered
        while True:
            await peer.head()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            await peer.send(b"x" * 100_000)
            answered += 1

    async def scene() -> None:
        async with rig(impatient(stall_s=0.5)) as made, replica(serve) as port:
            made.see(port)
            greedy, other = await made.client(), await made.client()
            greedy.writer.write(get() * 10_000)
            await made.until(lambda: answered > 0)
            assert len((await other.ask(get()))[1]) == 100_000
            await made.until(lambda: len(made.activator._plane.clients) == 1)

            assert answered < 1000
            assert made.board_level() == 0

    play(scene())


def test_an_answer_is_read_in_peace_by_who_still_sends():
    """The kernel resets a connection that is closed with bytes unread."""

    async def scene() -> None:
        settings = ActivatorSettings(bounds=Bounds(head=1000), drain_s=1.0)
        async with rig(settings) as made:
            client = await made.client()
            client.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 1_000_000)

            head, _ = await client.message()

            assert head.startswith(b"HTTP/1.1 431")

    play(scene())


def test_a_client_that_hangs_up_is_noticed_while_nothing_is_read_of_it():
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            # The second waits its turn, so nothing more is read.
            await client.send(get(b"/1") + get(b"/2"))
            await made.until(lambda: made.board_level() == 1)
            client.close()

            await made.until(lambda: made.board_level() == 0)
            await made.until(lambda: made.activator.active == 0)

    play(scene())


def test_connections_come_and_go_without_a_trace():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            for number in range(30):
                client = await made.client()
                if number % 3:
                    await client.ask(get(b"/a"))
                if number % 2:
                    client.abort()
                else:
                    client.close()
            await made.until(lambda: made.metric("fromzero_activator_connections") == 0)

            assert made.activator.active == 0
            assert made.board_level() == 0

    play(scene())


def test_an_idle_connection_has_no_parser_and_is_served_all_the_same():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see(port)
            client = await made.client()
            plane = made.activator._plane
            await made.until(lambda: len(plane.clients) == 1)
            (connection,) = plane.clients
            assert connection._reader is plane.blank
            for number in range(3):
                request = post(b"%d" % number)
                await client.send(request[:9])
                await made.until(lambda: made.activator.active == 1)
                assert connection._reader is not plane.blank
                await client.send(request[9:])
                _, body = await client.message()
                assert body == b"%d" % number
                assert connection._reader is plane.blank
            assert not plane.blank.begun

    play(scene())


def test_a_client_that_ends_its_side_before_its_answer_has_left():
    """As nginx has it: nobody can tell this end from a connection that was closed."""

    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)

            client.writer.write_eof()

            assert await client.rest() == b""
            await made.until(lambda: made.board_level() == 0)

    play(scene())


@pytest.mark.parametrize("trusted", ["private", "none", "203.0.113.0/24"])
def test_the_word_of_a_peer_counts_if_it_is_a_trusted_proxy(trusted):
    seen: list[bytes] = []

    async def serve(peer: Peer) -> None:
        while True:
            seen.append((await peer.message())[0])
            await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def scene() -> None:
        settings = ActivatorSettings(trusted=trusted, drain_s=1.0)
        async with rig(settings) as made, replica(serve) as port:
            made.see(port)
            client = await made.client()
            claims = b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"
            for _ in range(2):
                await client.ask(get(more=claims))

        for head in seen:
            if trusted == "private":
                assert b"X-Forwarded-For: 192.0.2.1, 127.0.0.1\r\n" in head
                assert b"Forwarded: for=192.0.2.1\r\n" in head
                assert b"Forwarded: for=127.0.0.1;proto=http\r\n" in head
            else:
                assert b"192.0.2.1" not in head
                assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
        assert len(seen) == 2

    play(scene())
