"""Which revision is due when; a revision that sleeps is not in here."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Generic, Protocol, TypeVar


class Due(Protocol):
    """Something that is due at one time."""

    due: float
    """inf: never. Written by the Agenda alone."""


D = TypeVar("D", bound=Due)


class Agenda(Generic[D]):
    """A heap of due times; an entry whose time is no longer its subject's is dead."""

    __slots__ = ("_heap", "_number")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, D]] = []
        self._number = 0
        """Orders what is due at one time, in the order in which it was put."""

    @property
    def wake_at(self) -> float:
        """When the first is due; inf: none is."""
        return self._heap[0][0] if self._heap else inf

    def put(self, subject: D, due: float) -> None:
        """Have *subject* due then instead of when it was; inf: not at all."""
        if due != subject.due:
            subject.due = due
            if due != inf:
                self._number += 1
                heappush(self._heap, (due, self._number, subject))
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
