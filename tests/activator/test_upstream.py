"""What connections to replicas do: framing, streaming, back-pressure, staying."""

from __future__ import annotations

import asyncio

import pytest

from activator.server import ActivatorSettings
from activator.settings import Patience
from tests.activator.rig import HOST, Peer, echo, get, play, post, replica, rig

OK = b"HTTP/1.1 200 OK\r\n"


def once(answer: bytes, *, stays: bool = False):
    """Answer each request with the same bytes."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(answer)
            if not stays:
                return

    return serve


def ask_once(
    answer: bytes, asked: bytes, *, stays: bool = False
) -> tuple[bytes, bytes]:
    """Return head and rest that the client gets, until its connection ends."""
    got: list[bytes] = []

    async def scene() -> None:
        async with rig() as made, replica(once(answer, stays=stays)) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(asked)
            got.extend((await client.rest()).split(b"\r\n\r\n", 1))

    play(scene())
    return got[0], got[1]


def test_an_answer_passes_as_it_is_without_what_is_only_for_this_hop():
    answer = (
        OK
        + b"X-Model: iris\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Content-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhi"
    )

    head, body = ask_once(answer, get(more=b"Connection: close\r\n"))

    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"X-Model: iris",
        b"Set-Cookie: a",
        b"Set-Cookie: b",
        b"Content-Length: 2",
        b"Connection: close",
    ]
    assert body == b"hi"


def test_the_replica_sees_the_request_and_whose_it_is():
    heads: list[bytes] = []

    async def serve(peer: Peer) -> None:
        heads.append(await peer.head())
        await peer.send(OK + b"Content-Length: 0\r\n\r\n")

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.ask(
                get(b"/v1/models/iris?x=1", b"X-Request-Id: 7\r\nTE: trailers\r\n"
                b"Proxy-Connection: keep-alive\r\nContent_Length: 9\r\n")
            )  # fmt: skip

    play(scene())

    assert heads[0].split(b"\r\n")[:-2] == [
        b"GET /v1/models/iris?x=1 HTTP/1.1",
        b"Host: " + HOST.encode(),
        b"X-Request-Id: 7",
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: " + HOST.encode(),
        b"Via: 1.1 fromzero",
    ]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(OK + b"\r\nuntil the end", b"d\r\nuntil the end\r\n0\r\n\r\n",
                     id="until close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nold", b"3\r\nold\r\n0\r\n\r\n",
                     id="HTTP/1.0"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n"
                     b"T: v\r\n\r\n", b"3\r\nabc\r\n0\r\nT: v\r\n\r\n", id="chunked"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="204"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"",
                     id="304"),
    ],
)  # fmt: skip
def test_a_body_ends_where_its_own_framing_says(answer, body):
    assert ask_once(answer, get(more=b"Connection: close\r\n"))[1] == body


def test_an_old_client_gets_a_body_that_ends_with_the_connection():
    old = b"GET / HTTP/1.0\r\nHost: %b\r\n\r\n" % HOST.encode()
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"

    head, body = ask_once(chunked, old)

    assert b"Transfer-Encoding" not in head
    assert body == b"abc"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n", b""]
)
def test_an_answer_to_head_has_no_body_and_the_connections_stay_good(framing):
    async def serve(peer: Peer) -> None:
        while True:
            head, _ = await peer.message()
            if head.startswith(b"HEAD"):
                await peer.send(OK + framing + b"\r\n")
            else:
                await peer.send(OK + b"Content-Length: 2\r\n\r\nhi")

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for _ in range(3):
                await client.send(get().replace(b"GET", b"HEAD", 1))
                assert (await client.head()).startswith(OK)
                assert (await client.ask(get()))[1] == b"hi"

    play(scene())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"what?\r\n\r\n", id="no HTTP"),
        pytest.param(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="lengths"),
        pytest.param(OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     id="two framings"),
        pytest.param(OK + b"Transfer-Encoding: gzip\r\n\r\nabc", id="gzip"),
        pytest.param(OK + b"A: b\r\n c\r\n\r\n", id="obs-fold"),
        pytest.param(OK + b"A: b\n\n", id="bare LF"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n"
                     b"Upgrade: websocket\r\n\r\nx", id="unasked upgrade"),
        pytest.param(b"HTTP/1.1 999 Huh\r\nContent-Length: 0\r\n\r\n", id="status"),
        pytest.param(OK + b"A: " + b"x" * 100_000, id="endless head"),
        pytest.param(OK[:-3], id="half a head"),
        pytest.param(b"HTTP/1.1 000 No\r\n\r\n", id="status 0"),
        pytest.param(
            b"HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nhello" + OK + b"\r\n",
            id="a body before the head",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_502_and_not_a_byte_of_it_passes(answer):
    head, body = ask_once(answer, post(b"x", more=b"Connection: close\r\n"))

    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"the replica" in body


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        pytest.param(OK + b"Content-Length: 10\r\n\r\nabc", False, id="counted"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False,
                     id="chunked"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX", False,
                     id="broken chunk"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_is_broken_off_for_the_client_too(answer, whole):
    _, body = ask_once(answer, get())

    assert b"abc" in body
    assert not body.endswith(b"0\r\n\r\n")


def test_what_a_replica_says_beyond_its_answer_reaches_nobody():
    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(
                OK
                + b"Content-Length: 2\r\n\r\nhi"
                + OK
                + b"Content-Length: 4\r\n\r\nevil"
            )

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for _ in range(5):
                assert (await client.ask(post(b"x")))[1] == b"hi"

    play(scene())


def test_each_piece_passes_before_the_next_is_sent():
    async def serve(peer: Peer) -> None:
        await peer.head()
        for number in range(5):
            assert await peer.chunk() == b"q%d" % number
        assert await peer.chunk() == b""
        await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            await peer.send(b"2\r\na%d\r\n" % number)
            assert await turn.get() == number
        await peer.send(b"0\r\n\r\n")
        await peer.rest()

    turn: asyncio.Queue[int] = asyncio.Queue()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(
                b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
                % HOST.encode()
            )
            for number in range(5):
                await client.send(b"2\r\nq%d\r\n" % number)
                await asyncio.sleep(0.01)
            await client.send(b"0\r\n\r\n")
            await client.head()
            for number in range(5):
                assert await client.chunk() == b"a%d" % number
                turn.put_nowait(number)
            assert await client.chunk() == b""

    play(scene())


SIZE = 64 << 20


def test_a_slow_client_slows_the_replica_down():
    sent = 0

    async def serve(peer: Peer) -> None:
        nonlocal sent
        await peer.head()
        await peer.send(OK + b"Content-Length: %d\r\n\r\n" % SIZE)
        while sent < SIZE:
            await peer.send(b"x" * 65536)
            sent += 65536

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            client.writer.transport.pause_reading()
            client.writer.write(get())
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)

            # What the kernel and both sides keep, far from all of it.
            assert sent < SIZE / 2

            client.writer.transport.resume_reading()
            await client.head()
            left = SIZE
            while left:
                left -= len(await client.reader.read(1 << 20))

    play(scene())


def test_a_slow_replica_slows_the_client_down():
    got = 0
    go = asyncio.Event()

    async def serve(peer: Peer) -> None:
        nonlocal got
        await peer.head()
        peer.writer.transport.pause_reading()
        await go.wait()
        peer.writer.transport.resume_reading()
        while got < SIZE:
            got += len(await peer.reader.read(1 << 20))
        await peer.send(OK + b"Content-Length: 0\r\n\r\n")
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            sent = 0
            client.writer.write(
                b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n"
                % (HOST.encode(), SIZE)
            )
            try:
                while sent < SIZE:
                    async with asyncio.timeout(0.3):
                        await client.send(b"x" * 65536)
                    sent += 65536
            except TimeoutError:
                pass
            assert sent < SIZE / 2

            sent += 65536
            go.set()
            while sent < SIZE:
                await client.send(b"x" * 65536)
                sent += 65536
            head, _ = await client.message()
            assert head.startswith(OK)
            assert got == SIZE

    play(scene())


def test_early_hints_pass_and_are_not_the_answer():
    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await peer.send(OK + b"Content-Length: 2\r\n\r\nhi")

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for _ in range(2):
                await client.send(get())
                assert (await client.head()).startswith(b"HTTP/1.1 103 ")
                assert (await client.message())[1] == b"hi"

    play(scene())


def test_an_unused_connection_is_closed_after_a_while():
    ended = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Content-Length: 0\r\n\r\n")
        await peer.rest()
        ended.set()

    async def scene() -> None:
        settings = ActivatorSettings(patience=Patience(kept_s=0.2), drain_s=1.0)
        async with rig(settings) as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.ask(get())
            await ended.wait()

    play(scene())


def test_connections_are_used_again():
    connections = 0

    async def serve(peer: Peer) -> None:
        nonlocal connections
        await peer.message()  # The probe's own says nothing.
        connections += 1
        await peer.send(OK + b"Content-Length: 1\r\n\r\nx")
        await echo(peer)

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            for _ in range(5):
                client = await made.client()
                for _ in range(5):
                    await client.ask(post(b"x"))

            assert connections == 1

    play(scene())


def test_trailers_pass_both_ways_without_what_is_only_for_this_hop():
    seen: list[bytes] = []

    async def serve(peer: Peer) -> None:
        while True:
            await peer.head()
            seen.append(await peer.reader.readuntil(b"0\r\nX-Sum: 1\r\n\r\n"))
            await peer.send(
                OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
                b"X-Sum: 2\r\nKeep-Alive: timeout=5\r\nServer-Timing: a\r\n\r\n"
            )

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for _ in range(2):
                await client.send(
                    b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n" % HOST.encode()
                )
                assert b"Transfer-Encoding: chunked\r\n" in await client.head()
                assert await client.reader.readuntil(b"\r\n\r\n") == (
                    b"2\r\nhi\r\n0\r\nX-Sum: 2\r\nServer-Timing: a\r\n\r\n"
                )

            assert seen == [b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"] * 2

    play(scene())
