"""Virtual time: what happens next, and nothing in between.

A heap of (time, rank, sequence, action): two things at one instant happen by rank, and
two of one rank in the order in which they were asked for. Arrivals are known before a
run begins, so they are walked by index beside the heap and cost no push.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any

Action = Callable[[Any, float], None]
"""Called with its subject and the time it is. Any: an action knows its subjects, and
a closure for each request would cost more than the request."""


class Rank(IntEnum):
    """What goes first at one instant."""

    DEPARTURE = 0
    ARRIVAL = 1
    SAMPLE = 2
    TICK = 3
    EXPIRY = 4
    """After the tick, which may say why a hold ends; by number both would be by chance:
    a leap asks for its tick before, a walk after."""


class Engine:
    """A clock that jumps from one event to the next.

    >>> engine, said = Engine(now=0.0), []
    >>> engine.at(5.0, Rank.TICK, lambda what, now: said.append((what, now)), "tick")
    >>> engine.at(5.0, Rank.SAMPLE, lambda what, now: said.append((what, now)), "load")
    >>> engine.run(until=60.0)
    >>> said, engine.now
    ([('load', 5.0), ('tick', 5.0)], 60.0)
    """

    __slots__ = ("_arrive", "_index", "_times", "following", "heap", "now")

    def __init__(self, *, now: float) -> None:
        self.now = now
        """The time of the newest event, or the end of the last run."""
        self.heap: list[tuple[float, int, int, Action, Any]] = []
        """What `at` pushes to. Departures, one for each request, are pushed directly:
        a call less is a tenth of a request's time."""
        self.following = count(1).__next__
        """Return the next sequence number."""
        self._times: Sequence[float] = ()
        self._arrive: Callable[[int, float], None] = _nobody
        self._index = 0

    def at(self, time: float, rank: int, action: Action, subject: object) -> None:
        """Call `action(subject, time)` at *time*, which must not have passed."""
        if time < self.now:
            raise ValueError(f"an event at {time} s, but it is {self.now} s already")
        heappush(self.heap, (time, rank, self.following(), action, subject))

    def walk(
        self, times: Sequence[float], arrive: Callable[[int, float], None]
    ) -> None:
        """Call `arrive(index, time)` for each of *times*, which must ascend."""
        self._times = times
        self._arrive = arrive
        self._index = 0

    def withdraw(self, action: Action, wanted: Callable[[Any], bool]) -> list[Any]:
        """Take back the events of *action* with a *wanted* subject; return those.

        It looks at every event: for what is rare (a replica that dies).
        """
        taken = [each for each in self.heap if each[3] == action and wanted(each[4])]
        if taken:
            taken.sort(key=lambda event: event[:3])
            gone = {event[2] for event in taken}
            self.heap[:] = [event for event in self.heap if event[2] not in gone]
            heapify(self.heap)
        return [event[4] for event in taken]

    @property
    def horizon(self) -> float:
        """When anything happens next; inf: nothing will."""
        index, times = self._index, self._times
        arrival = times[index] if index < len(times) else inf
        return min(arrival, self.heap[0][0]) if self.heap else arrival

    def run(self, until: float) -> None:
        """Let everything happen that is due by *until*, itself included."""
        heap, times, arrive = self.heap, self._times, self._arrive
        # Each look at the heap and each name counts here: half of a simulated
        # request's time is this loop.
        pop, arrival = heappop, int(Rank.ARRIVAL)
        for index in range(self._index, len(times)):
            time = times[index]
            if time > until:
                break
            while heap:
                event = heap[0]
                due = event[0]
                if due >= time and (due > time or event[1] >= arrival):
                    break
                pop(heap)
                self.now = due
                event[3](event[4], due)
            self.now = time
            self._index = index + 1
            arrive(index, time)
        while heap and heap[0][0] <= until:
            due, _, _, action, subject = pop(heap)
            self.now = due
            action(subject, due)
        self.now = until


def _nobody(index: int, now: float) -> None:
    """Stand in until there is something to walk."""
