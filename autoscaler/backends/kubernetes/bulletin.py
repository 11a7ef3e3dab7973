"""What is to be said as Events: repeats become one series, and all of it is bounded."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from autoscaler.backends.kubernetes.managed import Reference
from autoscaler.backends.kubernetes.stamp import stamp
from autoscaler.bucket import Bucket

_API = "events.k8s.io/v1"
_CONTROLLER = "fromzero"
_ACTION = "Autoscale"
_NOTE = 1024  # Bytes; the API server takes no more.
_WORD = 128  # Bytes of a reason and of the instance.
_NAME = 253

_SAME_S = 600.0  # What is said again so soon is a repeat.
_HEARTBEAT_S = 60.0  # Between two counts of one series, from its third on.
_OBJECT = 25, 300.0  # Events of one object, as client-go's filter has them.
_ALL = 100, 0.1  # Writes of all objects: a burst, and seconds for one more.
_QUEUE = 1000
_KNOWN = 4096  # Objects, and series, that are remembered.


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is said of an object."""

    about: Reference
    reason: str
    message: str
    warning: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Series:
    """One Event: a note, and how often it was said."""

    note: Note
    name: str
    first: float
    last: float
    """In Unix seconds."""
    count: int = 1
    written: int = 0
    """The count that the API server has; 0: it has no such Event."""
    said: float
    wrote: float = 0.0
    tries: int = 0
    """That the API server failed at, since it last took one."""
    queued: bool = False

    @property
    def namespace(self) -> str:
        return self.note.about.namespace or "default"

    def times(self) -> dict[str, Any] | None:
        """Return the Event's series; None: it was said once."""
        if self.count == 1:
            return None
        return {"count": self.count, "lastObservedTime": stamp(self.last)}

    def event(self, instance: str) -> dict[str, Any]:
        note = self.note
        regarding = {
            "apiVersion": note.about.api_version,
            "kind": note.about.kind,
            "namespace": note.about.namespace,
            "name": note.about.name,
            "uid": note.about.uid,
        }
        times = self.times()
        return {
            "apiVersion": _API,
            "kind": "Event",
            "metadata": {"namespace": self.namespace, "name": self.name},
            "eventTime": stamp(self.first),
            "reportingController": _CONTROLLER,
            "reportingInstance": cut(instance, _WORD),
            "action": _ACTION,
            "reason": note.reason,
            "regarding": {name: value for name, value in regarding.items() if value},
            "note": note.message,
            "type": "Warning" if note.warning else "Normal",
            **({} if times is None else {"series": times}),
        }


class Bulletin:
    """Take what is said, and hand out Events to write, oldest first, within bounds."""

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._uniform = uniform
        self._series: OrderedDict[Note, Series] = OrderedDict()
        self._objects: OrderedDict[Reference, Bucket] = OrderedDict()
        self._rate = Bucket(*_ALL)
        self._queue: list[tuple[float, int, Series]] = []
        self._turns = count()
        self.dropped = 0
        """Notes that were not said: too many of one object, or in all."""

    def say(self, note: Note, now: float, wall: float) -> None:
        note = Note(
            about=note.about,
            reason=cut(note.reason, _WORD),
            message=cut(note.message, _NOTE),
            warning=note.warning,
        )
        known = self._series.get(note)
        if known is not None and now - known.said < _SAME_S:
            known.count += 1
            known.said, known.last = now, wall
            self._series.move_to_end(note)
            often = known.written > 1
            self._enqueue(known, max(now, known.wrote + _HEARTBEAT_S) if often else now)
        elif (bucket := self._bucket(note.about)).ready_at(now) <= now:
            bucket.take(1, now)
            fresh = Series(
                note=note, name=self._name(note), first=wall, last=wall, said=now
            )
            self._series[note] = fresh
            self._series.move_to_end(note)
            self._enqueue(fresh, now)
        else:
            self.dropped += 1
        self._forget(now)

    def wake_at(self, now: float) -> float:
        """Return when something is to be written; infinity: nothing is."""
        if not self._queue:
            return float("inf")
        return max(self._queue[0][0], self._rate.ready_at(now))

    def take(self, now: float) -> Series | None:
        """Return what is to be written now; then one of the methods below is called."""
        if self.wake_at(now) > now:
            return None
        self._rate.take(1, now)
        _, _, series = heapq.heappop(self._queue)
        series.queued = False
        return series

    def written(self, series: Series, times: int, now: float) -> None:
        """Know that the API server has it with a count of *times*."""
        series.written = times
        series.wrote = now
        series.tries = 0

    def vanished(self, series: Series, now: float) -> None:
        """Write it as a new Event: the API server has forgotten it."""
        series.written = 0
        self._enqueue(series, now)

    def failed(self, series: Series, now: float) -> None:
        """Write it again, after what is older."""
        self._enqueue(series, now)

    def given_up(self, series: Series) -> None:
        """Have it said as something new the next time."""
        self.dropped += series.count - series.written
        if self._series.get(series.note) is series:
            del self._series[series.note]

    def _enqueue(self, series: Series, due: float) -> None:
        if series.queued:
            return
        series.queued = True
        heapq.heappush(self._queue, (due, next(self._turns), series))
        if len(self._queue) > _QUEUE:
            _, _, oldest = heapq.heappop(self._queue)
            oldest.queued = False
            self.given_up(oldest)

    def _forget(self, now: float) -> None:
        """Drop the memory of what nobody has said for long, or of what is too much."""
        while self._series:
            oldest = next(iter(self._series.values()))
            if now - oldest.said < _SAME_S and len(self._series) <= _KNOWN:
                return
            del self._series[oldest.note]

    def _bucket(self, about: Reference) -> Bucket:
        found = self._objects.setdefault(about, Bucket(*_OBJECT))
        self._objects.move_to_end(about)
        while len(self._objects) > _KNOWN:
            self._objects.popitem(last=False)
        return found

    def _name(self, note: Note) -> str:
        suffix = f".{int(self._uniform() * (1 << 53)):014x}"
        return note.about.name[: _NAME - len(suffix)].rstrip(".-") + suffix


def cut(text: str, most: int) -> str:
    """Return as much of *text* as fits in so many bytes of UTF-8.

    >>> cut("größer", 4), cut("größer", 99)
    ('g…', 'größer')
    """
    data = text.encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    return data[: most - len("…".encode())].decode(errors="ignore") + "…"
