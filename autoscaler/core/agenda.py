"""Which revision is due when; a revision that sleeps is not in here."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Generic, Protocol, TypeVar

from autoscaler.core.domain import RevisionKey


class Due(Protocol):
    """Something that is due at one time."""

    key: RevisionKey
    """Orders what is due at one time: no two have the same."""
    due: float
    """inf: never. Written by the Agenda alone."""


D = TypeVar("D", bound=Due)


class Agenda(Generic[D]):
    """A heap of due times; an entry whose time is no longer its subject's is dead."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[float, RevisionKey, D]] = []

    @property
    def wake_at(self) -> float:
        """When the first is due; inf: none is."""
        return self._heap[0][0] if self._heap else inf

    def put(self, subject: D, due: float) -> None:
        """Have *subject* due then instead of when it was; inf: not at all."""
        if due != subject.due:
            subject.due = due
            if due != inf:
                heappush(self._heap, (due, subject.key, subject))
            self._bury()

    def pop(self, now: float) -> D | None:
        """Return the first that is due by *now*, which then is due no more."""
        if self.wake_at > now:
            return None
        subject = heappop(self._heap)[2]
        subject.due = inf
        self._bury()
        return subject

    def _bury(self) -> None:
        heap = self._heap
        while heap and heap[0][2].due != heap[0][0]:
            heappop(heap)
