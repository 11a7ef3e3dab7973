"""An activator's links to all autoscalers: it hears who leads, and tells everybody."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Final, Protocol

import aiohttp
from prometheus_client import CollectorRegistry

from activator.line import Badge, Line
from activator.link_metrics import LinkMetrics
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import RevisionKey, Route
from autoscaler.core.frames import Lead, Leaving, Opened, Out, Routing, Synced
from autoscaler.core.handshake import Keys
from autoscaler.core.messages import Downlink, Gone, Uplink, View

_log = logging.getLogger(__name__)

_LOOK_S: Final = 5.0
"""For the resolver to answer."""

Resolve = Callable[[str, int], Awaitable[Iterable[tuple[str, int]]]]
"""Return addresses and ports behind a host name; OSError: nobody knows."""


class Told(Protocol):
    """The activator, as far as it is told things."""

    def down(self, message: Downlink) -> None:
        """Take what an autoscaler says of a revision."""

    def reroute(self, routes: tuple[Route, ...]) -> None:
        """Route by these."""


async def look_up(host: str, port: int) -> list[tuple[str, int]]:
    """Ask the resolver for all addresses of *host*."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )
    return [(str(at[0]), int(at[1])) for *_, at in found]


class Link:
    """Keep a line to every autoscaler; hear the leader, and tell all of them.

    Of several that say they lead, the one of the highest term does, and when none is
    there what was last heard stands. Addresses, of HOST:PORT, are looked up each
    *look_s* or so.
    """

    def __init__(
        self,
        name: str,
        addresses: Iterable[str],
        known: Callable[[], Keys],
        told: Told,
        registry: CollectorRegistry,
        *,
        uniform: Callable[[], float] = Random().random,  # noqa: B008 - one for all is right
        resolve: Resolve = look_up,
        look_s: float = 5.0,
        clock: Clock = monotonic,
    ) -> None:
        self.name = name
        self.out = asyncio.Event()
        """No client is led here any more."""
        self.term = -1
        """Of the leader whose views it has."""
        self._addresses = tuple(map(split, addresses))
        self._badge = Badge(name=name, instance=secrets.token_hex(8), known=known)
        self._told = told
        self._uniform = uniform
        self._resolve = resolve
        self._look_s = look_s
        self._clock = clock
        self._lines: dict[tuple[str, int], Line] = {}
        self._metrics = LinkMetrics(
            registry, lambda: sum(each.connected for each in self._lines.values())
        )
        self._ports: dict[RevisionKey, tuple[int, tuple[int, ...]]] = {}
        """Of each revision that it knows: the version and entrances of its view."""
        self._opened: dict[RevisionKey, Opened] = {}
        self._leaving = False
        self._synced = False

    @property
    def synced(self) -> bool:
        """Say whether it has heard all that there is, at least once."""
        return self._synced

    # What the activator says.

    def tell(self, message: Uplink) -> None:
        """Send *message* to all autoscalers that there is a line to."""
        for line in self._lines.values():
            line.tell(message)

    def opened(self, key: RevisionKey, version: int, refused: str) -> None:
        """Say that the entrances of *key*'s view are open, now and on each new line."""
        of, ports = self._ports.get(key, (-1, ()))
        if of != version:
            return  # A newer view has come, and will be told of.
        said = Opened(
            key=key, reporter=self.name, version=version, ports=ports, refused=refused
        )
        before = self._opened.get(key)
        self._opened[key] = said
        if before is None or (before.ports, before.refused) != (ports, refused):
            for line in self._lines.values():
                line.tell(said)

    def leaving(self) -> None:
        """Say that nobody should be led here any more, until `out` is set."""
        self._leaving = True
        for line in self._lines.values():
            line.tell(Leaving(reporter=self.name))

    async def run(self) -> None:
        """Keep the lines until cancelled."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as tasks,
        ):
            while True:
                await self._look(session, tasks)
                await asyncio.sleep(self._look_s * (0.5 + self._uniform()))

    # What lines say.

    def met(self, line: Line) -> None:
        """Say what a new line must know first."""
        for said in self._opened.values():
            line.tell(said)
        if self._leaving:
            line.tell(Leaving(reporter=self.name))

    def trouble(self, kind: str) -> None:
        """Count what went wrong."""
        self._metrics.trouble(kind)

    def heard(self, line: Line, message: object) -> None:
        """Take what an autoscaler says, as far as it counts."""
        if isinstance(message, Lead):
            self._led(line, message)
            return
        if not line.leading or line.term < self.term:
            self._metrics.trouble("stale")
            return
        self._metrics.heard()
        match message:
            case View(key=key):
                if line.seen is not None:
                    line.seen.add(key)
                ports = tuple(sorted(each.port for each in message.entrances))
                self._ports[key] = (message.version, ports)
                self._told.down(message)
            case Gone(key=key):
                self._forget(key)
            case Routing():
                self._reroute(line, message)
            case Synced():
                if line.seen is not None:
                    for key in self._ports.keys() - line.seen:
                        self._forget(key)
                    line.seen = None
                if not self._synced:
                    self._synced = True
                    _log.info("synced autoscaler=%s", line)
            case Out() if self._leaving:
                self.out.set()
            case _:
                pass

    def _led(self, line: Line, said: Lead) -> None:
        line.leading, line.term = said.leading, said.term
        line.seen, line.parts = set() if said.leading else None, []
        if said.leading and said.term > self.term:
            _log.info("led autoscaler=%s term=%d", line, said.term)
            self.term = said.term
        elif said.leading and said.term < self.term:
            _log.warning(
                "not led autoscaler=%s term=%d newer=%d", line, said.term, self.term
            )

    def _reroute(self, line: Line, said: Routing) -> None:
        if said.part == 0:
            line.parts = []
        if said.part != len(line.parts):
            return  # The rest of routes that were replaced while they were told.
        line.parts.append(said)
        if len(line.parts) == said.parts:
            routes = tuple(each for part in line.parts for each in part.routes)
            line.parts = []
            self._told.reroute(routes)

    def _forget(self, key: RevisionKey) -> None:
        self._ports.pop(key, None)
        self._opened.pop(key, None)
        self._told.down(Gone(key=key))

    # Who there is.

    async def _look(
        self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup
    ) -> None:
        """Begin lines to autoscalers that are new, and end those to who has gone."""
        found: dict[tuple[str, int], None] = {}
        for host, port in self._addresses:
            try:
                async with asyncio.timeout(_LOOK_S):
                    found |= dict.fromkeys(await self._resolve(host, port))
            except (OSError, TimeoutError) as error:
                # Those known of before stay: that is better than nobody.
                found |= dict.fromkeys(self._lines)
                why = str(error) or "it took too long"
                _log.warning("cannot look up host=%s reason=%s", host, why)
        for at, line in self._lines.items():
            line.wanted = at in found
        for at in found:
            if at not in self._lines:
                line = self._lines[at] = Line(*at, self._badge, self)
                tasks.create_task(self._keep(at, line, session))

    async def _keep(
        self, at: tuple[str, int], line: Line, session: aiohttp.ClientSession
    ) -> None:
        try:
            await line.run(session, self._uniform, self._clock)
        finally:
            del self._lines[at]


def split(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; ValueError: it is not that.

    >>> split("autoscaler.fromzero:9443"), split("[::1]:80")
    (('autoscaler.fromzero', 9443), ('::1', 80))
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise ValueError(f"autoscaler = {address}, must be HOST:PORT")
    return host, int(port)
