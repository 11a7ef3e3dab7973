"""Events of events.k8s.io: what a person should know, on the object it is about."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from autoscaler.backends.kubernetes.answers import (
    CONFLICT,
    NOT_FOUND,
    ApiError,
    words,
)
from autoscaler.backends.kubernetes.bulletin import Bulletin, Note, Series
from autoscaler.backends.kubernetes.managed import Reference
from autoscaler.clock import Clock, monotonic, wall
from autoscaler.core.pause import pause_s

_log = logging.getLogger(__name__)

_TRY_S = 10.0
_FIRST_S = 0.5
_LONGEST_S = 30.0
_TRIES = 5  # Of one Event that the API server fails at; not of one it cannot be sent.
_LAST_S = 2.0  # For what was said just before the end.
_REFUSALS = 256  # That are remembered, so that each is logged once.


class Writes(Protocol):
    """What is asked of the API server; each raises ApiError."""

    async def create(self, path: str, body: object) -> dict[str, Any]:
        """Make an object."""

    async def patch(self, path: str, body: object) -> dict[str, Any]:
        """Merge *body* into an object."""


class Announcer:
    """Say things about objects; neither what nor how often can hold up anybody.

    *instance* is this process's name, for whoever asks which of several said it.
    """

    def __init__(
        self,
        api: Writes,
        instance: str,
        uniform: Callable[[], float],
        clock: Clock = monotonic,
        wall: Clock = wall,
    ) -> None:
        self._api = api
        self._instance = instance
        self._uniform = uniform
        self._clock = clock
        self._wall = wall
        self._bulletin = Bulletin(uniform)
        self._nudge = asyncio.Event()
        self._failures = 0
        self._refusals: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def dropped(self) -> int:
        """How often something was said that nobody can read."""
        return self._bulletin.dropped

    def say(
        self, about: Reference, reason: str, message: str, *, warning: bool
    ) -> None:
        """Have an Event on *about*; the same within 10 min counts on the same Event."""
        note = Note(about=about, reason=reason, message=message, warning=warning)
        self._bulletin.say(note, self._clock(), self._wall())
        self._nudge.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Write what is said until *stop*; then, for a moment, what is left."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._heed(stop))
            while not stop.is_set():
                self._nudge.clear()
                series = self._bulletin.take(self._clock())
                if series is not None:
                    await self._write(series)
                if self._failures:
                    await self._rest(stop)
                elif series is None and not stop.is_set():
                    await self._wait()
        try:
            async with asyncio.timeout(_LAST_S):
                while series := self._bulletin.take(self._clock()):
                    await self._write(series)
                    if self._failures:
                        return
        except TimeoutError:
            pass

    async def _heed(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._nudge.set()

    async def _wait(self) -> None:
        """Wait until something is said, or is due."""
        now = self._clock()
        wake_at = self._bulletin.wake_at(now)
        # Times of the loop, which may have another zero than the clock.
        until = asyncio.get_running_loop().time() + wake_at - now
        try:
            async with asyncio.timeout_at(None if wake_at == float("inf") else until):
                await self._nudge.wait()
        except TimeoutError:
            pass

    async def _rest(self, stop: asyncio.Event) -> None:
        wait_s = pause_s(self._failures, _FIRST_S, _LONGEST_S, self._uniform())
        try:
            async with asyncio.timeout(wait_s):
                await stop.wait()
        except TimeoutError:
            pass

    async def _write(self, series: Series) -> None:
        times = series.count
        try:
            async with asyncio.timeout(_TRY_S):
                await self._send(series)
        except (ApiError, TimeoutError) as error:
            self._failed(series, error)
        else:
            self._failures = 0
            self._bulletin.written(series, times, self._clock())

    async def _send(self, series: Series) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{series.namespace}/events"
        if not series.written:
            try:
                await self._api.create(path, series.event(self._instance))
            except ApiError as error:
                # It was made, by a try whose answer was lost.
                if error.status != CONFLICT:
                    raise
            else:
                return
        if times := series.times():
            await self._api.patch(f"{path}/{series.name}", {"series": times})

    def _failed(self, series: Series, error: ApiError | TimeoutError) -> None:
        status = error.status if isinstance(error, ApiError) else 0
        now = self._clock()
        if status == NOT_FOUND and series.written:
            self._bulletin.vanished(series, now)
        elif status in (0, 429) or (status >= 500 and series.tries < _TRIES):
            if not self._failures:
                _log.warning('events are late error="%s"', words(error))
            self._failures += 1
            series.tries += status >= 500
            self._bulletin.failed(series, now)
        else:
            self._refused(series, words(error))

    def _refused(self, series: Series, error: str) -> None:
        """Drop an Event; say so where its namespace and reason are new to this."""
        self._failures = 0
        self._bulletin.given_up(series)
        what = (series.namespace, series.note.reason)
        if what not in self._refusals:
            _log.warning(
                'event refused about="%s" reason=%s error="%s"',
                series.note.about,
                series.note.reason,
                error,
            )
        self._refusals[what] = None
        while len(self._refusals) > _REFUSALS:
            self._refusals.popitem(last=False)
