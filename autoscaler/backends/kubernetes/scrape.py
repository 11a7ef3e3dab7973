"""The GETs of replicas' pages of metrics: each once a second, few at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from autoscaler.backends.kubernetes.engines import Reading, reading
from autoscaler.backends.kubernetes.exposition import MOST_BYTES, Page
from autoscaler.backends.kubernetes.pages import Place
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import RevisionKey

_log = logging.getLogger(__name__)

_LONGEST = 30
"""Periods: a page that is not there is looked for this often at least."""

_PATIENCE = 3
"""A page that was there is asked for so often at its place before any other is."""

_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is asked, and how fast."""

    at_once: int = 32
    """GETs under way."""
    period_s: float = 1.0
    limit_s: float = 1.0
    """A page that takes longer than its period is a page that is not there."""


_PACE = Pace()


class Pages(Protocol):
    """Who wants to know."""

    def read(self, key: RevisionKey, replica: str, reading: Reading) -> None:
        """Take what a replica's page says now."""

    def failed(self, key: RevisionKey, replica: str, why: str) -> None:
        """Know why there is nothing to be read of it now."""


class Target(NamedTuple):
    """A replica whose page is wanted."""

    key: RevisionKey
    replica: str
    host: str
    places: tuple[Place, ...]
    """Where it may be; not empty."""


@dataclass(slots=True, kw_only=True)
class _Look:
    """How the search for one page stands."""

    target: Target
    place: int = 0
    found: bool = False
    misses: int = 0
    due: float = 0.0
    busy: bool = False
    """It waits for its turn or is being asked; never twice at a time."""


class Scraper:
    """Ask for the pages of all targets; one that does not answer holds up no other."""

    def __init__(
        self, pages: Pages, clock: Clock = monotonic, pace: Pace = _PACE
    ) -> None:
        self._pages = pages
        self._clock = clock
        self._pace = pace
        self._looks: dict[RevisionKey, dict[str, _Look]] = {}
        self._queue: asyncio.PriorityQueue[tuple[float, int, _Look]] = (
            asyncio.PriorityQueue()
        )
        self._number = 0
        self.asked = 0
        """GETs so far."""

    def want(self, key: RevisionKey, targets: Mapping[str, Target]) -> None:
        """Ask for the pages of *targets*, by replica, and of no other of *key*."""
        now, before = self._clock(), self._looks.pop(key, {})
        looks = {}
        for replica, target in targets.items():
            look = before.get(replica)
            if look is None or look.target != target:
                look = _Look(target=target, due=now)
            looks[replica] = look
        if looks:
            self._looks[key] = looks

    async def run(self) -> None:
        """Ask, until cancelled."""
        async with (
            ClientSession(
                connector=TCPConnector(limit=self._pace.at_once),
                timeout=ClientTimeout(total=self._pace.limit_s),
                cookie_jar=DummyCookieJar(),
                headers=_HEADERS,
                # A small answer that unpacks to gigabytes is no page.
                auto_decompress=False,
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(self._pace.at_once):
                tasks.create_task(self._ask(session))
            await self._tick()

    async def _tick(self) -> None:
        while True:
            now = self._clock()
            for looks in self._looks.values():
                for look in looks.values():
                    if not look.busy and look.due <= now:
                        look.busy = True
                        look.due = now + self._pace.period_s
                        self._number += 1
                        # Pages that are there go first, but not for ever.
                        turn = now + (0.0 if look.found else 2 * self._pace.period_s)
                        self._queue.put_nowait((turn, self._number, look))
            await asyncio.sleep(self._pace.period_s / 4)

    async def _ask(self, session: ClientSession) -> None:
        while True:
            *_, look = await self._queue.get()
            if self._wanted(look):
                found = await self._page(session, look)
                if self._wanted(look):
                    self._settle(look, found)
            look.busy = False

    def _wanted(self, look: _Look) -> bool:
        """Say whether *look* is what is looked for still."""
        target = look.target
        return self._looks.get(target.key, {}).get(target.replica) is look

    async def _page(self, session: ClientSession, look: _Look) -> Reading | str:
        """Return what the page says, or why it says nothing."""
        self.asked += 1
        host, (port, path) = look.target.host, look.target.places[look.place]
        where = f"port {port}, {path}"
        try:
            url = URL.build(scheme="http", host=host, port=port, path=path)
            async with session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    return f"{where}: status {answer.status}, must be 200"
                body = bytearray()
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        return f"{where}: longer than {MOST_BYTES >> 20} MiB"
        except TimeoutError:
            return f"{where}: no answer within {self._pace.limit_s:g} s"
        except Exception as error:
            # Whatever a pod answers, the pages of the others are read.
            return f"{where}: {str(error)[:200] or type(error).__name__}"
        said = reading(Page(bytes(body)))
        return said or f"{where}: a page without the counts of any engine that is known"

    def _settle(self, look: _Look, found: Reading | str) -> None:
        """Say what was found; look elsewhere, and ever more seldom, if nothing was."""
        target = look.target
        key, replica = target.key, target.replica
        if isinstance(found, Reading):
            if not look.found:
                port, path = target.places[look.place]
                _log.info(
                    'page found revision=%s replica=%s port=%d path=%s engine="%s"',
                    key, replica, port, path, found.engine,
                )  # fmt: skip
            look.found, look.misses = True, 0
            self._pages.read(key, replica, found)
            return
        look.misses += 1
        if look.found and look.misses < _PATIENCE:
            self._pages.failed(key, replica, found)
            return
        if look.found:
            look.found, look.misses = False, 0
        look.place = (look.place + 1) % len(target.places)
        rounds, rest = divmod(look.misses, len(target.places))
        periods = 0 if rest else min(_LONGEST, 2 ** min(rounds, 16))
        look.due = self._clock() + periods * self._pace.period_s
        self._pages.failed(key, replica, found)
