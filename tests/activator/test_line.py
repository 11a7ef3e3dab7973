from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from autoscaler.core.envelope import LARGEST, framed, read, spoken, written
from autoscaler.core.frames import Handshake, Hello, Lead, Proof, Refused, Welcome
from autoscaler.core.handshake import Keys, Seal, accept, challenge
from tests.fakes.linked import HOST, SECRET, front, house, play, quiet, until

OTHER = b"somebody else's secret"

Act = Callable[[web.WebSocketResponse, Seal], Awaitable[None]]


class Impostor:
    """What an activator finds where an autoscaler should be."""

    def __init__(self, known: Keys, act: Act) -> None:
        self.known = known
        self.act = act
        self.came = 0
        self.last: object = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.came += 1
        socket = web.WebSocketResponse(max_msg_size=2 * LARGEST)
        await socket.prepare(request)
        message = await socket.receive()
        if message.type is not web.WSMsgType.TEXT:
            return socket
        hello = read(message.data, Handshake)
        assert isinstance(hello, Hello)
        sent = challenge(self.known, hello, "nonce", 1)
        await socket.send_str(spoken(sent))
        message = await socket.receive()
        if message.type is not web.WSMsgType.TEXT:
            return socket
        self.last = read(message.data, Handshake)
        assert isinstance(self.last, Proof)
        key = accept(self.known, hello, sent, self.last)
        assert key is not None
        await self.act(socket, Seal(key, "down"))
        return socket


@asynccontextmanager
async def impostor(
    act: Act, known: Keys = (SECRET,)
) -> AsyncIterator[tuple[Impostor, str]]:
    made = Impostor(known, act)
    app = web.Application()
    app.router.add_get("/link", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield made, f"{HOST}:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


async def welcome(socket: web.WebSocketResponse) -> None:
    await socket.send_str(spoken(Welcome()))


async def nothing(socket: web.WebSocketResponse, seal: Seal) -> None:
    pass


def test_an_autoscaler_that_does_not_know_the_secret_hears_no_more_than_a_hello():
    async def scene() -> None:
        async with (
            impostor(nothing, (OTHER,)) as (made, address),
            front("a", address) as a,
        ):
            await until(lambda: made.came >= 2)
            assert a.metric("secret") >= 1
            assert made.last is None
            assert not a.links

    play(scene())


async def refuse(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_str(spoken(Refused(reason="too old")))


def test_why_it_was_refused_is_logged_once_and_counted(caplog):
    async def scene() -> None:
        async with impostor(refuse) as (made, address), front("a", address) as a:
            await until(lambda: made.came >= 3)
            assert a.metric("refused") >= 2

    play(scene())
    assert caplog.text.count('reason="refused: too old"') == 1


async def binary(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_bytes(b"\0")


async def unsealed(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_str(spoken(Lead(term=9, leading=True)))


async def no_frame(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_str(seal.put("[]"))


async def oversized(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_str(seal.put("x" * (LARGEST + 1)))


async def noise(socket: web.WebSocketResponse, seal: Seal) -> None:
    await socket.send_str(random.Random(3).randbytes(500).decode("latin-1"))


@pytest.mark.parametrize(
    "act",
    [binary, unsealed, no_frame, oversized, noise],
    ids=lambda act: act.__name__,
)
def test_garbage_ends_the_line_and_it_is_made_again(act: Act, caplog):
    async def first(socket: web.WebSocketResponse, seal: Seal) -> None:
        await welcome(socket)
        await act(socket, seal)
        await socket.receive()

    async def scene() -> None:
        async with (
            impostor(first) as (made, address),
            house() as good,
            front("a", address, good.address) as a,
        ):
            await until(lambda: made.came >= 2 and a.link.synced)
            assert a.metric("garbled") >= 1
            assert a.link.term == 1
        assert quiet(caplog) == []

    play(scene())


async def hum(socket: web.WebSocketResponse, seal: Seal) -> None:
    await welcome(socket)
    lead = written(Lead(term=9, leading=True))
    texts = ['{"type":"Hum"}', '{"type":"View","key":7}', lead]
    await socket.send_str(seal.put(framed(texts, 1)))
    await socket.receive()


def test_what_a_newer_autoscaler_says_beyond_is_counted_and_the_rest_is_heard(caplog):
    async def scene() -> None:
        async with impostor(hum) as (_, address), front("a", address) as a:
            await until(lambda: a.link.term == 9)
            assert (a.metric("unknown"), a.metric("garbled")) == (1, 1)
            assert a.links == 1

    play(scene())
    assert "message.version is missing" in caplog.text


def test_a_secret_that_cannot_be_read_is_said_and_read_again(caplog):
    def missing() -> Keys:
        raise FileNotFoundError("no such file")

    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            a.read = missing
            await until(lambda: a.metric("secret"))
            a.read = lambda: (SECRET,)
            await until(lambda: a.link.synced)

    play(scene())
    assert "the secret cannot be read: no such file" in caplog.text


def test_an_address_with_nobody_is_tried_until_somebody_is_there(caplog):
    with socket.create_server((HOST, 0)) as sock:
        port = sock.getsockname()[1]

    async def scene() -> None:
        async with front("a", f"{HOST}:{port}") as a:
            await until(lambda: "cannot connect" in caplog.text)
            async with house(port=port):
                await until(lambda: a.link.synced)

    play(scene())


def test_a_line_whose_autoscaler_hangs_up_is_made_again():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            await until(lambda: a.link.synced)
            made.cut("a")
            await until(lambda: not a.links)
            await until(lambda: made.told.count(("connected", "a")) == 2)
            await until(lambda: a.links)

    play(scene())


def test_all_ends_when_it_is_cancelled():
    async def scene() -> None:
        async with house() as made:
            async with front("a", made.address) as a:
                await until(lambda: a.link.synced)
            await until(lambda: not made.here("a"))
            assert not [each for each in asyncio.all_tasks() if "Line" in repr(each)]

    play(scene())
