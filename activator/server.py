"""The activator: its plane, its probes, its samples, and how it starts and stops."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry

from activator.access_log import AccessLog
from activator.core.routes import Routes
from activator.core.ticket import Endpoint
from activator.entrances import Entrances, Opened
from activator.files import limit
from activator.http1 import Http1
from activator.listening import BACKLOG
from activator.plane import Plane
from activator.probe import Prober
from activator.settings import ActivatorSettings
from activator.watcher import Finished, Watcher
from activator.wheel import GRAIN_S
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import Probe, RevisionKey, Route
from autoscaler.core.messages import Downlink, Gone, Uplink, View

__all__ = ["Activator", "ActivatorSettings", "Finished", "Watcher"]

_log = logging.getLogger(__name__)

_SAMPLE_S: Final = 1.0


class Activator:
    """Serve requests, hold those that have no replica, tell the autoscaler.

    *uplink* hears what it says; `down` takes what the autoscaler says. All of it is
    called in the event loop that `run` runs in. *host* is where entrances are opened,
    and *opened* is told of each view whose entrances are. *log* stays open after it.
    """

    def __init__(
        self,
        settings: ActivatorSettings,
        uplink: Callable[[Uplink], None],
        registry: CollectorRegistry,
        watcher: Watcher | None = None,
        clock: Clock = monotonic,
        *,
        opened: Opened | None = None,
        host: str = "*",
        log: AccessLog | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._watcher = watcher
        self._plane = Plane(settings, uplink, registry, watcher, clock, log)
        self._entrances = Entrances(self._plane, host, opened, limit() // 2)
        self._prober: Prober | None = None

    @property
    def name(self) -> str:
        """The reporter that its samples name."""
        return self._settings.name

    @property
    def active(self) -> int:
        """Requests under way."""
        return sum(client.active for client in self._plane.clients)

    def down(self, message: Downlink) -> None:
        """Take what the autoscaler says of a revision."""
        plane, now = self._plane, self._clock()
        board = plane.board
        gate = board.gate(message.key)
        endpoints = () if gate is None else gate.endpoints.values()
        before = [(each, each.host, each.port, each.ports) for each in endpoints]
        match message:
            case View():
                board.update(message, now)
                self._entrances.see(message)
            case Gone():
                board.remove(message.key, now)
                plane.telemetry.forget(message.key)
        gate = board.gate(message.key)
        stays = {} if gate is None else gate.endpoints
        for endpoint, *at in before:
            moved = [endpoint.host, endpoint.port, endpoint.ports] != at
            if moved or stays.get(endpoint.replica) is not endpoint:
                plane.forget(endpoint)
        plane.settle()
        if isinstance(message, Gone):
            # Now that who was held has heard that it is gone.
            self._entrances.gone(message.key)
        self._look()

    def reroute(self, routes: tuple[Route, ...]) -> None:
        """Route by *routes* from now on; requests that have begun go where they go."""
        self._plane.routes = Routes(routes)

    async def run(
        self,
        listeners: Sequence[socket.socket],
        stop: asyncio.Event,
        out: asyncio.Event | None = None,
    ) -> None:
        """Serve on *listeners*, which listen already, until *stop*; then drain.

        Where others lead clients here, it goes on until *out* says that they do not any
        more; in any case it does so for a while longer.
        """
        plane = self._plane
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            plane.open(tasks)
            self._prober = Prober(self, tasks, self._clock)
            plane.changed = self._look
            self._look()
            servers = [
                await loop.create_server(
                    lambda: Http1(plane), sock=listener, backlog=BACKLOG
                )
                for listener in listeners
            ]
            opening = tasks.create_task(self._entrances.run())
            try:
                await self._tend(stop)
                await self._linger(out)
                opening.cancel()
                self._entrances.close()
                for server in servers:
                    server.close()
                await self._drain()
            finally:
                opening.cancel()
                self._entrances.close()
                for server in servers:
                    server.close()
                self._prober.close()
                self._prober = None
                plane.changed = _nothing
                plane.close()

    # What the prober asks.

    def probing(self) -> Iterable[tuple[RevisionKey, Endpoint]]:
        """Return what is to be probed."""
        return self._plane.board.probing()

    def probe(self, key: RevisionKey) -> Probe | None:
        """Return how *key*'s replicas are probed."""
        gate = self._plane.board.gate(key)
        return None if gate is None else gate.probe

    def connected(self, key: RevisionKey, endpoint: Endpoint) -> None:
        """Know that a starting replica accepted its first connection."""
        if self._watcher is not None:
            self._watcher.connected(key)

    def ready(self, key: RevisionKey, endpoint: Endpoint) -> None:
        """Know that a replica is ready."""
        self._plane.board.ready(key, endpoint.replica, self._clock())
        self._plane.settle()

    def _look(self) -> None:
        if self._prober is not None:
            self._prober.look()

    async def _linger(self, out: asyncio.Event | None) -> None:
        """Serve on, for those who have not heard yet that it ends."""
        settings = self._settings
        if out is not None:
            await self._tend(out, settings.unheard_s)
            if not out.is_set():
                _log.warning(
                    "nobody said within %g s that all know", settings.unheard_s
                )
        await self._tend(asyncio.Event(), settings.linger_s)

    async def _tend(self, until: asyncio.Event, limit_s: float = inf) -> None:
        """Look after limits, and sample each second, until *until* or the limit."""
        now = self._clock()
        sample_at, over_at = now + _SAMPLE_S, now + limit_s
        while not until.is_set() and now < over_at:
            try:
                async with asyncio.timeout(min(GRAIN_S, sample_at - now)):
                    await until.wait()
            except TimeoutError:
                pass
            now = self._clock()
            self._plane.sweep(now)
            if now >= sample_at:
                # Not a second after a late one: samples keep their rhythm.
                sample_at = max(sample_at + _SAMPLE_S, now + GRAIN_S)
                self._sample(now)

    def _sample(self, now: float) -> None:
        for sample in self._plane.board.report(now):
            self._plane.tell(sample)
        self._plane.settle()

    async def _drain(self) -> None:
        """Let running answers end; whoever waits is told to come again."""
        plane = self._plane
        plane.draining = True
        for client in tuple(plane.clients):
            client.drain()
        until = self._clock() + self._settings.drain_s
        sample_at = self._clock() + _SAMPLE_S
        while self.active and self._clock() < until:
            await asyncio.sleep(GRAIN_S / 5)
            now = self._clock()
            plane.sweep(now)
            if now >= sample_at:
                sample_at += _SAMPLE_S
                self._sample(now)
        if self.active:
            _log.warning("stopped with requests under way count=%d", self.active)


def _nothing() -> None:
    pass
