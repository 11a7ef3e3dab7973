"""The clients of benchmarks.soak: each does one thing again and again, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from random import Random

from benchmarks.replicas import EVENT, Replicas
from tests.activator.rig import Peer

STEADY = "steady-soak.localhost"
SLEEPER = "sleeper-soak.localhost"
NOBODY = "nobody-soak.localhost"
ANSWER_S = 60.0


class WrongError(Exception):
    """What came was not what had to come."""


class CutError(Exception):
    """A replica that comes and goes went in the midst of its answer."""


class Traffic:
    """All clients, what they have seen, and where they ask."""

    def __init__(self, port: int, replicas: Replicas, seed: int) -> None:
        self.port = port
        self.replicas = replicas
        self.chance = Random(seed)
        self.numbers = count()
        self.seen: Counter[str] = Counter()
        """Requests by the class of their answer, as the activator counts them."""
        self.own: Counter[str] = Counter()
        """Answers to what is nobody's request, by status."""
        self.wrong: list[str] = []
        self.did: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event, scale: int = 1) -> None:
        """Do all of it until *stop*; what has begun then ends."""
        actors: list[tuple[Actor, int]] = [
            (Traffic.keep_alive, 6),
            (Traffic.pipeline, 2),
            (Traffic.stream, 4),
            (Traffic.hold, 3),
            (Traffic.upload, 1),
            (Traffic.read_slowly, 1),
            (Traffic.tunnel, 2),
            (Traffic.leave, 3),
            (Traffic.fail, 2),
            (Traffic.garble, 1),
        ]
        async with asyncio.TaskGroup() as tasks:
            for actor, number in actors:
                for _ in range(number * scale):
                    tasks.create_task(self._again(actor, stop))

    async def _again(self, actor: Actor, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with asyncio.timeout(ANSWER_S):
                    await actor(self)
            except CutError:
                self.did["cut"] += 1
            except (WrongError, OSError, asyncio.IncompleteReadError) as error:
                self.wrong.append(f"{actor.__name__}: {error!r}")
            self.did[actor.__name__] += 1
            await asyncio.sleep(self.chance.uniform(0.001, 0.02))

    # What they do.

    async def keep_alive(self) -> None:
        """Ask several times on one connection: short, long, both ways framed."""
        async with self.connected() as peer:
            for _ in range(self.chance.randrange(1, 30)):
                number = next(self.numbers)
                kind = self.chance.randrange(5)
                if kind == 0:
                    await self.ask(peer, b"GET", b"/echo?n=%d" % number)
                elif kind == 1:
                    await self.ask(peer, b"HEAD", b"/echo?n=%d" % number)
                elif kind == 2:
                    status = self.chance.choice((201, 301, 404, 418, 500, 503))
                    await self.ask(peer, b"GET", b"/status?n=%d" % status)
                else:
                    size = self.chance.choice((10, 1000, 60_000))
                    body = b"%d " % number + b"x" * size
                    said = await self.ask(peer, b"POST", b"/echo", body, kind == 4)
                    self._expect(said in (body, b""), "another's answer")

    async def pipeline(self) -> None:
        """Send requests at once; answers come in their order."""
        async with self.connected() as peer:
            targets = [
                b"/echo?n=%d" % next(self.numbers)
                for _ in range(self.chance.randrange(2, 16))
            ]
            await peer.send(b"".join(_request(b"GET", each) for each in targets))
            for target in targets:
                said = await self._answer(peer)
                self._expect(said in (target, b""), f"{said[:50]!r} for {target!r}")

    async def stream(self) -> None:
        """Read events to their end."""
        size = self.chance.randrange(1, 100)
        async with self.connected() as peer:
            said = await self.ask(peer, b"GET", b"/stream?n=%d" % size)
            whole = b"".join(EVENT % each for each in range(size))
            self._expect(said in (whole, b""), "events that are none")

    async def hold(self) -> None:
        """Ask for what sleeps most of the time."""
        await asyncio.sleep(self.chance.uniform(0, 6))
        body = b"%d" % next(self.numbers)
        async with self.connected() as peer:
            said = await self.ask(peer, b"POST", b"/echo", body, host=SLEEPER)
            self._expect(said == body, "another's answer")

    async def upload(self) -> None:
        """Send a megabyte in pieces."""
        body = b"%d " % next(self.numbers) + b"x" * (1 << 20)
        async with self.connected() as peer:
            said = await self.ask(
                peer, b"POST", b"/echo", body, chunked=True, host=SLEEPER
            )
            self._expect(said == body, "another's answer")

    async def read_slowly(self) -> None:
        """Take a large answer bit by bit."""
        size = 4 << 20
        async with self.connected() as peer:
            await peer.send(_request(b"GET", b"/large?n=%d" % size, host=SLEEPER))
            self._count(_status(await peer.head()))
            while size:
                size -= len(await peer.reader.read(1 << 18))
                await asyncio.sleep(0.01)

    async def tunnel(self) -> None:
        """Change the protocol, speak, and have either side end it."""
        more = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        async with self.connected() as peer:
            await peer.send(_request(b"GET", b"/tunnel", more=more, host=SLEEPER))
            status = _status(await peer.head())
            self._count(status)
            self._expect(status == 101, f"{status} instead of a tunnel")
            for _ in range(self.chance.randrange(1, 20)):
                said = b"%d" % next(self.numbers) + b"y" * self.chance.randrange(5000)
                await peer.send(said)
                self._expect(await peer.exactly(len(said)) == said, "not the echo")
            if self.chance.random() < 0.5:
                await peer.send(b"bye")
                self._expect(await peer.rest() == b"", "more after the end")

    async def leave(self) -> None:
        """Go while it is held, before the answer, or in its midst."""
        kind = self.chance.randrange(3)
        async with self.connected() as peer:
            if kind == 0:
                await asyncio.sleep(self.chance.uniform(0, 3))
                more = b"Expect: 100-continue\r\nContent-Length: 5\r\n"
                await peer.send(_request(b"POST", b"/echo", more=more, host=SLEEPER))
                self._expect(_status(await peer.head()) == 100, "not asked for more")
                self.seen["left"] += 1
            elif kind == 1:
                number = str(next(self.numbers))
                target = b"/never?n=" + number.encode()
                await peer.send(_request(b"POST", target, host=SLEEPER))
                await self.replicas.arrived[number].wait()
                del self.replicas.arrived[number]
                self.seen["left"] += 1
            else:
                await peer.send(_request(b"GET", b"/stream?n=1000", host=SLEEPER))
                self._count(_status(await peer.head()))
                await peer.chunk()
            peer.abort()

    async def fail(self) -> None:
        """Ask what replicas break off, before the answer and in it."""
        method = self.chance.choice((b"GET", b"POST"))
        target = self.chance.choice((b"/die", b"/cut?n=0", b"/cut?n=10"))
        async with self.connected() as peer:
            await self.ask(peer, method, target)

    async def garble(self) -> None:
        """Say what is no request, or for nobody, or nothing, or not all of it."""
        kind = self.chance.randrange(4)
        async with self.connected() as peer:
            if kind == 0:
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                self.own[str(_status(await peer.head()))] += 1
            elif kind == 1:
                await peer.send(_request(b"GET", b"/", host=NOBODY))
                self.own[str(_status(await peer.head()))] += 1
            elif kind == 2:
                await peer.send(b"GET / HTT")

    # What they share.

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Peer]:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield peer
        finally:
            peer.close()

    async def ask(
        self,
        peer: Peer,
        method: bytes,
        target: bytes,
        body: bytes = b"",
        chunked: bool = False,
        *,
        host: str = STEADY,
    ) -> bytes:
        """Ask, count, and return the body; of 5xx, and for HEAD, it is empty."""
        await peer.send(_request(method, target, body, chunked=chunked, host=host))
        bare = method == b"HEAD"
        return await self._answer(peer, bare=bare, whole=host != STEADY)

    async def _answer(
        self, peer: Peer, *, bare: bool = False, whole: bool = False
    ) -> bytes:
        head = await peer.head()
        status = _status(head)
        self._count(status)
        fields = head.lower()
        if bare:
            return b""
        said = b""
        try:
            if b"transfer-encoding: chunked" in fields:
                while piece := await peer.chunk():
                    said += piece
            else:
                length = fields.partition(b"content-length:")[2].split(b"\r\n")[0]
                said = await peer.exactly(int(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if whole:
                raise
            raise CutError from error
        return b"" if status >= 500 else said

    def _count(self, status: int) -> None:
        self.seen[f"{status // 100}xx"] += 1

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise WrongError(otherwise)


Actor = Callable[[Traffic], Awaitable[None]]


def _request(
    method: bytes,
    target: bytes,
    body: bytes = b"",
    *,
    more: bytes = b"",
    chunked: bool = False,
    host: str = STEADY,
) -> bytes:
    if chunked:
        more += b"Transfer-Encoding: chunked\r\n"
        half = len(body) // 2
        pieces = (each for each in (body[:half], body[half:]) if each)
        framed = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        body = b"".join((*framed, b"0\r\n\r\n"))
    elif body:
        more += b"Content-Length: %d\r\n" % len(body)
    lines = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, target, host.encode())
    return b"%b%b\r\n%b" % (lines, more, body)


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])
