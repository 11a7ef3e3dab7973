"""One socket, with somebody at its other side who need not be nice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from autoscaler.clock import monotonic
from autoscaler.core.domain import Route
from autoscaler.core.envelope import LARGEST, ROOM, written
from autoscaler.core.frames import Lead, Out, Routing, Synced
from autoscaler.core.handshake import Seal
from autoscaler.core.messages import Gone, View, Wake
from autoscaler.peer import Peer
from tests.activator.test_link import view
from tests.fakes.linked import HOST, KEY, Stranger, knock, play, until

WAKE = Wake(key=KEY, reporter="a", epoch=0, held=1)


class Side:
    """The autoscaler's side of links that were let in."""

    def __init__(self, slow_s: float) -> None:
        self.slow_s = slow_s
        self.peers: list[Peer] = []
        self.heard: list[object] = []
        self.troubles: list[str] = []
        self.ended: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        link = web.WebSocketResponse(max_msg_size=LARGEST, timeout=0.1)
        await link.prepare(request)
        peer = Peer(
            link, b"key", 1, monotonic, self.troubles.append, slow_s=self.slow_s
        )
        self.peers.append(peer)
        await peer.run(self.heard.append)
        self.ended.append(peer.why)
        if request.transport is not None:
            request.transport.abort()
        return link


@asynccontextmanager
async def talking(slow_s: float = 9.0) -> AsyncIterator[tuple[Side, Stranger]]:
    side = Side(slow_s)
    app = web.Application()
    app.router.add_get("/link", side.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    sock = socket.create_server((HOST, 0))
    await web.SockSite(runner, sock).start()
    try:
        async with knock(f"{HOST}:{sock.getsockname()[1]}") as connect:
            stranger = await connect()
            stranger.up, stranger.down = Seal(b"key", "up"), Seal(b"key", "down")
            await until(lambda: side.peers)
            yield side, stranger
    finally:
        await runner.cleanup()


def test_of_each_kind_the_newest_is_told_in_its_turn():
    async def scene() -> None:
        async with talking() as (side, stranger):
            peer = side.peers[0]
            peer.tell(Lead(term=1, leading=False))
            peer.tell(view(version=1))
            peer.reroute(())
            peer.tell(Synced())
            peer.tell(Out())
            peer.tell(Lead(term=1, leading=True))
            peer.tell(view(version=2))
            peer.reroute((Route(namespace="ns", service="iris"),))

            assert await stranger.read() == [
                Lead(term=1, leading=True),
                view(version=2),
                Routing(routes=(Route(namespace="ns", service="iris"),)),
                Synced(),
                Out(),
            ]

    play(scene())


def test_a_revision_that_comes_anew_is_forgotten_first():
    async def scene() -> None:
        async with talking() as (side, stranger):
            peer = side.peers[0]
            peer.tell(view(version=7))
            peer.tell(Gone(key=KEY))
            peer.tell(view(version=1))
            peer.tell(view(version=2))

            assert await stranger.read() == [Gone(key=KEY), view(version=2)]

    play(scene())


def test_what_was_cleared_is_not_told():
    async def scene() -> None:
        async with talking() as (side, stranger):
            peer = side.peers[0]
            peer.tell(view())
            peer.clear()
            peer.tell(Synced())

            assert await stranger.read() == [Synced()]

    play(scene())


def test_a_message_that_fits_no_frame_is_left_out_and_counted():
    async def scene() -> None:
        async with talking() as (side, stranger):
            peer = side.peers[0]
            peer.tell(replace(view(), paused="x" * LARGEST))
            peer.tell(Synced())

            assert await stranger.read() == [Synced()]
            assert side.troubles == ["large"]

    play(scene())


def test_large_messages_go_in_frames_of_their_own():
    async def scene() -> None:
        async with talking() as (side, stranger):
            peer = side.peers[0]
            peer.tell(Lead(term=1, leading=True))
            room = LARGEST - ROOM - len(written(view()))
            large = replace(view(), paused="x" * room)
            peer.tell(large)

            assert await stranger.read() == [Lead(term=1, leading=True)]
            assert await stranger.read() == [large]

    play(scene())


def test_who_does_not_read_is_cut_off():
    async def scene() -> None:
        async with talking(slow_s=0.05) as (side, stranger):
            peer = side.peers[0]
            transport = stranger.socket._conn.transport
            transport.pause_reading()
            number = 0
            while not side.ended:
                # Until all that lies between the two is full.
                number += 1
                peer.tell(replace(view(version=number), paused="x" * 500_000))
                await asyncio.sleep(0)

            assert side.ended == ["it did not read for 0.05 s"]
            assert peer.stuck
            assert side.troubles == ["slow"]

    play(scene())


def test_one_that_is_gone_is_not_waited_for():
    async def scene() -> None:
        async with talking() as (side, stranger):
            await stranger.send(WAKE)
            await until(lambda: side.heard == [WAKE])

            stranger.socket._conn.transport.abort()

            await until(lambda: side.ended)
            side.peers[0].cut("again")
            assert side.ended == ["it went away"]
            assert not isinstance(side.heard[0], View)

    play(scene())
