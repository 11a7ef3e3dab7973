"""Autoscalers and activators with real links between them, and strangers that knock."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from activator.link import Link
from autoscaler.clock import monotonic
from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Replica,
    RevisionKey,
    RevisionSpec,
    Route,
    ScalingSpec,
)
from autoscaler.core.envelope import LARGEST, framed, opened, read, spoken, written
from autoscaler.core.fleet import Fleet
from autoscaler.core.frames import (
    Challenge,
    DownFrame,
    Handshake,
    Hello,
    Refused,
    Welcome,
)
from autoscaler.core.handshake import Keys, Seal, prove
from autoscaler.core.messages import Downlink, Gone, View
from autoscaler.events import Event
from autoscaler.link import LinkServer
from autoscaler.loop import Loop
from autoscaler.telemetry import Telemetry

KEY = RevisionKey("ns", "iris")
SECRET = b"a secret that tests share"
HOST = "127.0.0.1"


def play(scene: Coroutine[None, None, None], limit_s: float = 20.0) -> None:
    """Run *scene*; no link may log what it did not plan for."""

    async def bounded() -> None:
        async with asyncio.timeout(limit_s):
            await scene

    asyncio.run(bounded())


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that is to come true; it is looked at after each turn."""
    while not holds():  # noqa: ASYNC110 - it may be anything
        await asyncio.sleep(0)


def spec(limit: int = 0, replicas: int = 0, **changes: Any) -> RevisionSpec:
    """Return a revision with so many requests in a replica, and so many of those."""
    return RevisionSpec(
        scaling=ScalingSpec(
            min_replicas=replicas, max_replicas=max(1, replicas), initial_scale=replicas
        ),
        gate=GateSpec(container_concurrency=limit),
        **changes,
    )


def replicas(*names: str) -> tuple[Replica, ...]:
    """Return replicas that are ready."""
    return tuple(Replica(id=name, host=HOST, port=9, ready=True) for name in names)


class House:
    """An autoscaler: a Fleet, its loop and its link."""

    def __init__(self, port: int, more: dict[str, float]) -> None:
        self.registry = CollectorRegistry()
        fleet = Fleet(budget=Budget(), now=monotonic())
        self.loop = Loop(fleet, Telemetry(self.registry))
        self.known: Keys = (SECRET,)
        self.link = LinkServer(
            lambda: self.known,
            self.loop,
            self.registry,
            **{"rest_s": 0.5, **more},
        )
        self.link.attach(self)
        self.told: list[tuple[str, ...]] = []
        """What it says of activators."""
        self.strangers: set[str] = set()
        self.heard: list[Event] = []
        self.loop.listen(self.heard.append)
        self.sock = socket.create_server((HOST, port))
        self.sock.setblocking(False)

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def admits(self, name: str, address: str) -> bool:
        return name not in self.strangers

    def connected(self, name: str) -> None:
        self.told.append(("connected", name))

    def disconnected(self, name: str) -> None:
        self.told.append(("disconnected", name))

    def opened(self, name: str, key: RevisionKey) -> None:
        self.told.append(("opened", name, str(key)))

    def leaving(self, name: str) -> None:
        self.told.append(("leaving", name))

    def lead(self, *, leading: bool = True, term: int) -> None:
        self.loop.lead(leading=leading)
        self.link.lead(leading=leading, term=term)

    def here(self, name: str) -> bool:
        """Say whether that activator is connected."""
        return any(each.name == name and each.connected for each in self.all())

    def all(self):
        return self.link.activators()

    def cut(self, name: str) -> None:
        """Break the link to that activator."""
        seat = self.link._seats.get(name)
        if seat is not None and seat.peer is not None:
            seat.peer.cut("the test says so")

    def metric(self, kind: str) -> float:
        name = "fromzero_link_troubles_total"
        return self.registry.get_sample_value(name, {"kind": kind}) or 0.0


@asynccontextmanager
async def house(
    term: int | None = 1, port: int = 0, **more: float
) -> AsyncIterator[House]:
    """Run an autoscaler, which leads in *term* or follows."""
    made, stop = House(port, more), asyncio.Event()
    if term is None:
        made.lead(leading=False, term=0)
    else:
        made.lead(term=term)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.link.run(made.sock, stop))
        try:
            yield made
        finally:
            stop.set()
            made.loop.close()


class Front:
    """An activator's side: its links and what it was told."""

    def __init__(self, name: str, *addresses: str, known: Keys, **more: Any) -> None:
        self.registry = CollectorRegistry()
        self.read: Callable[[], Keys] = lambda: known
        self.views: dict[RevisionKey, View] = {}
        self.routes: tuple[Route, ...] = ()
        self.downs: list[Downlink] = []
        self.link = Link(
            name,
            addresses,
            lambda: self.read(),
            self,
            self.registry,
            uniform=Random(1).random,
            **more,
        )

    def down(self, message: Downlink) -> None:
        self.downs.append(message)
        if isinstance(message, Gone):
            self.views.pop(message.key, None)
            return
        before = self.views.get(message.key)
        if before is None or message.version > before.version:
            self.views[message.key] = message

    def reroute(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes

    def metric(self, kind: str) -> float:
        name = "fromzero_activator_link_troubles_total"
        return self.registry.get_sample_value(name, {"kind": kind}) or 0.0

    @property
    def links(self) -> float:
        return self.registry.get_sample_value("fromzero_activator_links") or 0.0


@asynccontextmanager
async def front(
    name: str, *addresses: str, known: Keys = (SECRET,), **more: Any
) -> AsyncIterator[Front]:
    """Run an activator's links."""
    made = Front(name, *addresses, known=known, **more)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.link.run())
        try:
            yield made
        finally:
            running.cancel()


class Stranger:
    """A socket to an autoscaler's link, on which anything can be said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.up = self.down = Seal(b"", "")

    async def say(self, word: object) -> None:
        await self.socket.send_str(spoken(word))

    async def hear(self) -> object:
        return read((await self.socket.receive()).data, Handshake)

    async def greet(
        self, name: str = "a", *, known: Keys = (SECRET,), **more: Any
    ) -> object:
        """Go through the handshake; return its last word."""
        changes = {"instance": "x", "oldest": 1, "newest": 1} | more
        hello = Hello(name=name, nonce=secrets.token_hex(16), **changes)
        await self.say(hello)
        challenge = await self.hear()
        if isinstance(challenge, Refused):
            return challenge
        assert isinstance(challenge, Challenge)
        answer = prove(known, hello, challenge)
        if answer is None:
            return challenge
        proof, key = answer
        await self.say(proof)
        last = await self.hear()
        if isinstance(last, Welcome):
            self.up, self.down = Seal(key, "up"), Seal(key, "down")
        return last

    async def send(self, *messages: object) -> None:
        await self.raw(framed(map(written, messages), 1))

    async def raw(self, text: str) -> None:
        await self.socket.send_str(self.up.put(text))

    async def read(self) -> list[object]:
        """Return the messages of the next frame; none: it was closed."""
        message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            return []
        return opened(self.down.open(message.data), DownFrame).messages

    async def closed(self) -> bool:
        """Read on until it is closed."""
        while await self.read():
            pass
        return True


@asynccontextmanager
async def knock(address: str) -> AsyncIterator[Callable[[], Any]]:
    """Let strangers connect: each call of what is yielded is one, *of* an address."""
    async with AsyncExitStack() as stack:
        sessions: dict[str, aiohttp.ClientSession] = {}

        async def one(of: str = HOST) -> Stranger:
            if of not in sessions:
                connector = aiohttp.TCPConnector(local_addr=(of, 0), limit=0)
                sessions[of] = await stack.enter_async_context(
                    aiohttp.ClientSession(connector=connector)
                )
            session = sessions[of]
            made = await session.ws_connect(
                f"http://{address}/link",
                max_msg_size=LARGEST,
                timeout=aiohttp.ClientWSTimeout(ws_close=0.2),
            )
            stack.push_async_callback(made.close)
            return Stranger(made)

        yield one


def quiet(caplog: Any) -> list[str]:
    """Return what was logged of exceptions, which nobody planned for."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.levelno >= logging.ERROR and each.exc_info
    ]
