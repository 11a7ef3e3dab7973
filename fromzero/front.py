"""An activator of a cluster, wired: its links, its ports, and how it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from activator.access_log import AccessLog
from activator.server import Activator
from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import Uplink
from autoscaler.health import routes, serving
from fromzero.config import Settings
from fromzero.doors import Doors
from fromzero.records import Recorder
from fromzero.registry import new_registry
from fromzero.trace import Trace


class Linked(Protocol):
    """The links to all autoscalers, as far as an activator needs them."""

    out: asyncio.Event
    """No client is led here any more."""

    @property
    def synced(self) -> bool:
        """Say whether all that an autoscaler knows was heard once."""

    def tell(self, message: Uplink) -> None:
        """Send a message up, or let it go: the next one says it again."""

    def opened(self, key: RevisionKey, version: int, refused: str) -> None:
        """Say which entrances are open, now and on each link that is made."""

    def leaving(self) -> None:
        """Say that nobody should be led here from now on."""

    async def run(self) -> None:
        """Keep the links until cancelled."""


class Front:
    """Made inside an event loop; *link* makes the links, for an activator."""

    def __init__(
        self,
        settings: Settings,
        link: Callable[[Activator, CollectorRegistry], Linked],
        log: AccessLog | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._registry = new_registry()
        self._activator = Activator(
            replace(
                settings.served,
                name=settings.name,
                unheard_s=settings.leave_limit_s,
                want_tail=trace is not None,
            ),
            lambda message: self._link.tell(message),
            self._registry,
            None if trace is None else Recorder(trace),
            opened=lambda key, version, why: self._link.opened(key, version, why),
            host=settings.host,
            log=log,
        )
        self._link = link(self._activator, self._registry)

    async def run(self, doors: Doors, stop: asyncio.Event) -> None:
        """Serve until *stop*, and on while clients come; cancelled: no longer."""

        def ready() -> str:
            if stop.is_set():
                return "it is being stopped"
            return "" if self._link.synced else "no autoscaler has told it everything"

        app = web.Application(client_max_size=1024)
        app.add_routes(routes(self._registry, ready))
        async with serving(app, doors.admin), asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._link.run()),
                group.create_task(self._leave(stop)),
            ]
            try:
                await self._activator.run([doors.data], stop, self._link.out)
            finally:
                for each in others:
                    each.cancel()

    async def _leave(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._link.leaving()
