"""A kind of object in one namespace, as the API server has it: listed, then watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from autoscaler.backends.kubernetes.answers import (
    GONE,
    NOT_FOUND,
    UNREACHABLE,
    ApiError,
)
from autoscaler.backends.kubernetes.api import Api, Query
from autoscaler.backends.kubernetes.raw import as_list, as_map, part, text
from autoscaler.clock import Clock, monotonic
from autoscaler.core.pause import pause_s

T = TypeVar("T")
Told = TypeVar("Told", contravariant=True)

_log = logging.getLogger(__name__)

_WATCH_S = 300  # And up to as much again, so that not all watches end at once.
_FIRST_S = 0.1
_LONGEST_S = 10.0  # Requests may be held for what is not watched, after an outage.
_DOUBT_S = 30.0  # A kind which was there must be absent for so long to be believed.
_SHORT_S = 5.0  # A watch that ended sooner has done no good.
_KEPT = (0, 429)  # After these the place in the watch is still good.
_SKIPS = 20  # Objects that are told of where more cannot be read.
_REASON = 200  # Characters.


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[T]):
    """What is listed, and how an object of it is read.

    One that makes *read* raise is as if it were not there, and told of.
    """

    path: str
    read: Callable[[Mapping[str, Any]], T]
    query: Mapping[str, Query] = field(default_factory=dict)
    """Selectors."""
    absent_s: float = 60.0
    """Between two questions, about, while the cluster has no such kind."""


class Sink(Protocol[Told]):
    """Where a reflector reports; names are unique within its path."""

    def replaced(self, items: Mapping[str, Told]) -> None:
        """Take all that there is."""

    def changed(self, name: str, item: Told) -> None:
        """Take an object that is new or other than it was."""

    def gone(self, name: str) -> None:
        """Forget an object, if it was told of."""


class Reflector(Generic[T]):
    """Keep *sink* equal to what the API server has, whatever breaks on the way.

    A kind that the cluster does not have is an empty one. What was told is never told
    again as it was before: a list is read as of now, and a watch goes on where it
    broke off or, where that is too old, after another list.
    """

    def __init__(
        self,
        api: Api,
        source: Source[T],
        sink: Sink[T],
        uniform: Callable[[], float],
        clock: Clock = monotonic,
    ) -> None:
        self._api = api
        self._source = source
        self._sink = sink
        self._uniform = uniform
        self._clock = clock
        self._version = ""
        """What was told is as of this; empty: all of it must be listed."""
        self._failures = 0
        self._absent_since = inf
        self._there = False
        """The cluster has the kind, when it was last asked."""
        self.synced = False
        """All that there is has been told, once at least."""
        self.failing = ""
        """Why what was told may be old; empty: it is not."""
        self.well_since = inf
        """The server has been answering so long; infinity: it does not."""
        self.skipped: dict[str, str] = {}
        """Objects that cannot be read, some of them, and why."""

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            began = self._clock()
            least_s = 0.0
            try:
                await self._once()
            except ApiError as error:
                least_s = error.retry_after_s
                now = self._clock()
                absent = error.status == NOT_FOUND
                self._absent_since = min(self._absent_since, now) if absent else inf
                if error.status not in _KEPT:
                    self._version = ""
                if absent and not self._doubts(now):
                    self._absent()
                    least_s = self._source.absent_s * (0.5 + self._uniform())
                else:
                    self._fails(error)
            if self._clock() - began >= _SHORT_S:
                self._failures = 0
            await self._rest(least_s)

    def _doubts(self, now: float) -> bool:
        """Say whether a kind is still believed to be there, whatever is answered.

        A server that starts, or a definition that is made anew, says for a while that
        there is none: nobody is to be let go for that.
        """
        return self._there and now < self._absent_since + _DOUBT_S

    async def _once(self) -> None:
        """List if that must be, then watch until the server ends it."""
        if not self._version:
            await self._list()
        watch_s = int(_WATCH_S * (1.0 + self._uniform()))
        path, query = self._source.path, self._source.query
        async with self._api.watch(path, self._version, watch_s, **query) as events:
            self._well()
            async for event in events:
                self._heard(event)

    async def _list(self) -> None:
        items: dict[str, T] = {}
        version = ""
        self.skipped = {}
        async for page in self._api.pages(self._source.path, **self._source.query):
            # Every page is as of the first one.
            version = version or text(part(page, "metadata"), "resourceVersion")
            # Taken out of it, so that it is not kept while the next one is waited for.
            for raw in as_list(page.pop("items", None)):
                if name := text(part(raw, "metadata"), "name"):
                    for item in self._read(name, raw):
                        items[name] = item
        if not version:
            raise ApiError(0, UNREACHABLE, "a list has no metadata.resourceVersion")
        self._sink.replaced(items)
        self._version = version
        self._there = self.synced = True
        self._absent_since = inf

    def _heard(self, event: Mapping[str, Any]) -> None:
        raw = as_map(event.get("object"))
        metadata = part(raw, "metadata")
        name, version = text(metadata, "name"), text(metadata, "resourceVersion")
        if not version:
            raise ApiError(500, UNREACHABLE, "an event has no resourceVersion")
        if _not_after(version, self._version):
            return
        match event.get("type"):
            case "ADDED" | "MODIFIED" if name:
                read = self._read(name, raw)
                for item in read:
                    self._sink.changed(name, item)
                if not read:
                    self._sink.gone(name)
            case "DELETED" if name:
                self.skipped.pop(name, None)
                self._sink.gone(name)
        self._version = version
        self._failures = 0

    def _read(self, name: str, raw: Mapping[str, Any]) -> tuple[T, ...]:
        """Read one object; nothing: it cannot be, which is no other's business."""
        try:
            read = self._source.read(raw)
        except Exception as error:
            if len(self.skipped) < _SKIPS and name not in self.skipped:
                _log.exception(
                    "object skipped path=%s name=%s", self._source.path, name
                )
                self.skipped[name] = f"{type(error).__name__}: {error}"[:_REASON]
            return ()
        self.skipped.pop(name, None)
        return (read,)

    def _absent(self) -> None:
        """Know that the cluster has no such kind: nothing to be noisy about."""
        self._sink.replaced({})
        self.synced = True
        self._there = False
        self._failures = 0
        self._well()

    def _well(self) -> None:
        self._absent_since = inf
        if self.well_since == inf:
            self.well_since = self._clock()
        if self.failing:
            _log.info("watching again path=%s", self._source.path)
            self.failing = ""

    def _fails(self, error: ApiError) -> None:
        # A watch that is too old is listed again, which is nothing to know of.
        if error.status != GONE:
            if not self.failing:
                _log.warning(
                    'watch failed path=%s error="%s"', self._source.path, error
                )
            self.failing = str(error)
            self.well_since = inf

    async def _rest(self, least_s: float) -> None:
        """Wait before the next try: the longer, the more have done no good."""
        self._failures += 1
        wait_s = pause_s(self._failures, _FIRST_S, _LONGEST_S, self._uniform())
        await asyncio.sleep(max(least_s, wait_s))


def _not_after(version: str, other: str) -> bool:
    """Compare versions; they are numbers, and one that is none is taken as newer."""
    both = version.isdecimal() and other.isdecimal()
    return both and int(version) <= int(other)
