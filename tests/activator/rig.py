"""An activator on a real socket, with replicas and clients made of bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvloop
from prometheus_client import CollectorRegistry

from activator.access_log import AccessLog
from activator.server import Activator, ActivatorSettings, Finished
from autoscaler.core.domain import Entrance, GateSpec, Probe, RevisionKey, Route
from autoscaler.core.messages import Address, Refusal, Uplink, View

KEY = RevisionKey("ns", "iris-predictor-00001")
HOST = "iris-ns.localhost"
ROUTE = Route(
    namespace="ns",
    service="iris",
    hosts=(HOST,),
    models=("iris",),
    backends=((KEY, 100.0),),
)

Serve = Callable[["Peer"], Awaitable[None]]


def play(scene: Coroutine[None, None, None], limit_s: float = 20.0) -> None:
    """Run *scene* on the loop that the activator lives in."""

    async def bounded() -> None:
        async with asyncio.timeout(limit_s):
            await scene

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


class Peer:
    """One end of a connection, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, count: int) -> bytes:
        return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        return await self.reader.read()

    async def message(self) -> tuple[bytes, bytes]:
        """Read a head and its body, whichever way it is framed."""
        head = await self.head()
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (
                line.partition(b":") for line in head.split(b"\r\n")[1:]
            )
        }
        if b"content-length" in fields:
            return head, await self.exactly(int(fields[b"content-length"]))
        if fields.get(b"transfer-encoding") != b"chunked":
            return head, b""
        body = b""
        while chunk := await self.chunk():
            body += chunk
        return head, body

    async def chunk(self) -> bytes:
        """Read one chunk; the last is empty, and its trailers are dropped."""
        size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size:
            data = await self.exactly(size + 2)
            assert data.endswith(b"\r\n")
            return data[:-2]
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b""

    async def ask(self, data: bytes) -> tuple[bytes, bytes]:
        await self.send(data)
        return await self.message()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        transport = self.writer.transport
        transport.abort()


@dataclass
class Rig:
    activator: Activator
    port: int
    registry: CollectorRegistry
    said: list[Uplink]
    opened: list[tuple[RevisionKey, int, str]]
    """What was told of entrances."""
    watch: Watch
    stop: asyncio.Event
    running: asyncio.Task[None]
    out: asyncio.Event
    version: int = 0
    clients: list[Peer] = field(default_factory=list)

    async def client(self, port: int = 0) -> Peer:
        """Connect, to the port that takes all requests or to another."""
        port = port or self.port
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
        self.clients.append(peer)
        return peer

    def see(
        self,
        *ports: int,
        gate: GateSpec | None = None,
        key: RevisionKey = KEY,
        draining: tuple[int, ...] = (),
        refusal: Refusal | None = None,
        probe: Probe | None = None,
        slots: int = -1,
        entrances: tuple[Entrance, ...] = (),
        named: tuple[tuple[str, int], ...] = (),
        aside: bool = False,
    ) -> None:
        """Tell the activator what replicas there are."""
        self.version += 1
        addresses = tuple(
            Address(
                replica=f"r{port}",
                host="127.0.0.1",
                port=port,
                slots=slots,
                draining=port in draining,
                ports=named,
            )
            for port in ports
        )
        self.activator.down(
            View(
                key=key,
                version=self.version,
                epoch=0,
                gate=gate or GateSpec(),
                probe=probe or Probe(),
                addresses=addresses,
                refusal=refusal,
                entrances=entrances,
                aside=aside,
            )
        )

    async def awake(
        self,
        *ports: int,
        gate: GateSpec | None = None,
        entrances: tuple[Entrance, ...] = (),
        named: tuple[tuple[str, int], ...] = (),
    ) -> None:
        """Have replicas that are ready, not only there."""
        self.see(*ports, gate=gate, entrances=entrances, named=named)
        found = self.activator._plane.board.gate(KEY)
        assert found is not None
        await self.until(lambda: len(found.free) == len(ports))

    async def open(self, refused: str = "") -> None:
        """Wait until it was told that the newest view's entrances are open, or not."""
        await self.until(
            lambda: any(
                (version, why) == (self.version, refused)
                for _, version, why in self.opened
            )
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that is to come true; it is looked at after each turn."""
        while not holds():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0)

    def board_level(self, key: RevisionKey = KEY) -> int:
        gate = self.activator._plane.board.gate(key)
        return 0 if gate is None else gate.meter.level

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


class Watch:
    """Keep what an activator tells."""

    def __init__(self) -> None:
        self.begun: list[RevisionKey] = []
        self.cold: list[RevisionKey] = []
        self.ended: list[Finished] = []

    def connected(self, key: RevisionKey) -> None:
        self.begun.append(key)

    def answered(self, key: RevisionKey, at: float) -> None:
        self.cold.append(key)

    def finished(self, request: Finished) -> None:
        self.ended.append(request)


@asynccontextmanager
async def rig(
    settings: ActivatorSettings | None = None,
    routes: tuple[Route, ...] = (ROUTE,),
    *,
    lingers: bool = False,
    log: AccessLog | None = None,
) -> AsyncIterator[Rig]:
    """Run an activator on a free port of loopback."""
    said: list[Uplink] = []
    opened: list[tuple[RevisionKey, int, str]] = []
    watch, registry = Watch(), CollectorRegistry()
    activator = Activator(
        settings or ActivatorSettings(seed=1, drain_s=1.0),
        said.append,
        registry,
        watch,
        opened=lambda *what: opened.append(what),
        host="127.0.0.1",
        log=log,
    )
    activator.reroute(routes)
    listener = socket.create_server(("127.0.0.1", 0))
    stop, out = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        work = activator.run([listener], stop, out if lingers else None)
        running = tasks.create_task(work)
        port = listener.getsockname()[1]
        made = Rig(activator, port, registry, said, opened, watch, stop, running, out)
        try:
            yield made
        finally:
            for client in made.clients:
                client.abort()
            stop.set()
            out.set()


@asynccontextmanager
async def replica(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """Run *serve* for each connection to a port of loopback."""
    peers: set[asyncio.StreamWriter] = set()

    async def accepted(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peers.add(writer)
        try:
            await serve(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            peers.discard(writer)
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for _ in range(10):  # What was accepted just before is here some turns later.
            for writer in tuple(peers):
                writer.transport.abort()
            await asyncio.sleep(0)


async def echo(peer: Peer) -> None:
    """Answer each request with its own body, or its target where it has none."""
    while True:
        head, body = await peer.message()
        said = body or head.split(b" ")[1]
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        )


def get(path: bytes = b"/v1/models/iris:predict", more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path, HOST.encode(), more)


def post(
    body: bytes, path: bytes = b"/v1/models/iris:predict", more: bytes = b""
) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        path, HOST.encode(), len(body), more, body,
    )  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on, and hardly anybody will."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
