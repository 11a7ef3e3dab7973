"""Replicas that benchmarks.soak's activator leads to: some things go wrong at them."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import parse_qs, urlsplit

from tests.activator.rig import Peer

EVENT = b"data: %d\n\n"


class Replicas:
    """What all of them share: who has come, as far as somebody waits for it."""

    def __init__(self) -> None:
        self.arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """By the number of a request to /never."""
        self.asked = 0

    async def serve(self, peer: Peer) -> None:
        """Answer requests on one connection, as their targets say."""
        while True:
            head, body = await peer.message()
            self.asked += 1
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            parts = urlsplit(target.decode())
            asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
            number = int(asked.get("n", "0"))
            match parts.path:
                case "/echo":
                    said = body or target
                    sent = b"" if method == b"HEAD" else said
                    await peer.send(_head(200, len(said)) + sent)
                case "/status":
                    await peer.send(_head(number, 0))
                case "/large":
                    await peer.send(_head(200, number) + b"x" * number)
                case "/stream":
                    await self._stream(peer, number)
                case "/never":
                    self.arrived[asked["n"]].set()
                    await peer.rest()
                    return
                case "/cut":
                    await peer.send(_head(200, 1000) + b"x" * number)
                    peer.abort()
                    return
                case "/tunnel":
                    await self._tunnel(peer)
                    return
                case _:
                    peer.abort()
                    return

    async def _stream(self, peer: Peer, count: int) -> None:
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for each in range(count):
            event = EVENT % each
            await peer.send(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0.01)
        await peer.send(b"0\r\nX-Count: %d\r\n\r\n" % count)

    async def _tunnel(self, peer: Peer) -> None:
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        while data := await peer.reader.read(1 << 16):
            if data.endswith(b"bye"):
                return
            await peer.send(data)


def _head(status: int, length: int) -> bytes:
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, length)


class Site:
    """One replica's port, which can be shut and opened again.

    It accepts by itself: a connection that asyncio's own server accepts while it is
    closed belongs to nobody, and its client hears nothing until it is collected.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._listener: socket.socket | None = None
        self._peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def open(self) -> None:
        """Listen, at the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def shut(self) -> None:
        """Listen no more, and break everything off."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for peer in tuple(self._peers):
            peer.abort()

    async def ended(self) -> None:
        """Wait until nothing is served any more."""
        while self._tasks:
            for peer in tuple(self._peers):
                peer.abort()
            await asyncio.wait(self._tasks, timeout=0.1)
        await asyncio.sleep(0)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        peer = Peer(reader, writer)
        self._peers.add(peer)
        try:
            await self._replicas.serve(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # It was broken off, here or there.
        finally:
            self._peers.discard(peer)
            writer.close()


@asynccontextmanager
async def sites(replicas: Replicas, count: int) -> AsyncIterator[list[Site]]:
    """Have *count* replicas that listen."""
    made = [Site(replicas) for _ in range(count)]
    try:
        for each in made:
            each.open()
        yield made
    finally:
        for each in made:
            each.shut()
        for each in made:
            await each.ended()


async def flicker(site: Site, stop: asyncio.Event, chance: Random) -> None:
    """Have a replica go and come back, again and again."""
    while not stop.is_set():
        await _pause(stop, chance.uniform(1, 4))
        site.shut()
        await _pause(stop, chance.uniform(0.1, 1))
        site.open()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
