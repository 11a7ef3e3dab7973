"""What reporters last said of one revision, and since when they said it without a gap.

A second without a report from a reporter that should have reported is missing, not
zero. The question is only ever whether a whole window is covered, so instead of a mask
of seconds each reporter has the moment since which nothing of its is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from autoscaler.core.messages import Sample

_JITTER_S = 0.5
"""Spans may lie this far apart and still be neighbours: half a report."""

_LAG_S = 2.0
"""How far behind a link may be: a report that comes later counts from its arrival."""

_SILENCE_S = 10.0
"""Who has not been heard for so long holds nothing any more; several may be lost."""

UNUSED: Final = (0, -inf)
"""The use of a replica that no reporter has ever named."""


class Report:
    """The newest sample of one reporter, and what it and those before it cover."""

    __slots__ = (
        "at",
        "counted",
        "due",
        "held",
        "in_flight",
        "knocked_at",
        "sample",
        "since",
    )

    def __init__(self) -> None:
        self.at = -inf
        """When the newest sample came."""
        self.since = inf
        """From here to `at` no second is missing."""
        self.due = -inf
        """When the next sample must have come."""
        self.counted = -inf
        """End of the span that went into the windows: no second goes in twice."""
        self.held = 0
        self.in_flight = 0
        self.knocked_at = -inf
        """When a wake came."""
        self.sample: Sample | None = None


class Reports:
    """The reports of one revision.

    Those of reporters that have left are forgotten.
    """

    __slots__ = ("_by", "_leaps")

    def __init__(self, *, leaps: bool = False) -> None:
        self._by: dict[str, Report] = {}
        self._leaps = leaps
        """A long span stands for reports each second, not for a slow reporter."""

    def heard(self, sample: Sample, now: float) -> float:
        """Take in *sample*; return how many seconds of it are new.

        A repeated sample brings almost none, a late one still all of its own.
        """
        report = self._by.get(sample.reporter)
        if report is None:
            report = self._by[sample.reporter] = Report()
        span_s = sample.span_s
        start = now - span_s
        if start > report.at + _JITTER_S:
            report.since = now - max(span_s, _idle_s(sample))
            begin = start
        else:
            begin = max(report.counted, start - _LAG_S)
        report.counted = end = min(now, begin + span_s)
        report.at = now
        report.due = now + (1.5 * span_s if span_s > 1.0 and not self._leaps else 1.5)
        report.held = sample.held
        report.in_flight = sample.in_flight
        report.sample = sample
        return end - begin

    def knocked(self, reporter: str, held: int, now: float) -> None:
        """Take in what a wake says, before any sample does."""
        report = self._by.setdefault(reporter, Report())
        report.held = max(1, held)
        report.knocked_at = now

    def refused(self) -> None:
        """Know that whoever was held has been told to go."""
        for report in self._by.values():
            report.held = 0

    def forget(self, reporter: str) -> None:
        """Forget a reporter that left."""
        self._by.pop(reporter, None)

    def covers(self, reporters: Iterable[str], since: float, now: float) -> bool:
        """Say whether each of *reporters* has told everything from *since* to now."""
        for name in reporters:
            report = self._by.get(name)
            if report is None or report.since > since or report.due < now:
                return False
        return True

    def silent(self, reporters: Iterable[str], now: float) -> bool:
        """Say whether one of *reporters* should have reported by now and has not."""
        for name in reporters:
            report = self._by.get(name)
            if report is None or report.due < now:
                return True
        return False

    def idle(self, reporters: Iterable[str], now: float) -> bool:
        """Say whether all *reporters* said just now that they have no request."""
        for name in reporters:
            report = self._by.get(name)
            if report is None or report.held or report.in_flight or report.due < now:
                return False
        return True

    def level(self, reporters: Iterable[str], now: float) -> int:
        """Return how many requests all *reporters* said just now that they have; below
        0: not all have said it."""
        level = 0
        for name in reporters:
            report = self._by.get(name)
            if report is None or report.due < now:
                return -1
            level += report.held + report.in_flight
        return level

    def since(self, reporters: Iterable[str]) -> float:
        """Return since when nothing is missing of any of *reporters*."""
        return max([self._by[n].since if n in self._by else inf for n in reporters])

    def wants(self, now: float) -> bool:
        """Say whether somebody is held: who is says so each second."""
        for report in self._by.values():
            if report.held and now - max(report.at, report.knocked_at) <= _SILENCE_S:
                return True
        return False

    def held(self) -> int:
        """Return the requests that are held."""
        return sum(report.held for report in self._by.values())

    def in_flight(self) -> int:
        """Return the requests that were forwarded and have not ended."""
        return sum(report.in_flight for report in self._by.values())

    def requests(self) -> int:
        """Return all of them: those that are held, and those in flight."""
        count = 0
        for report in self._by.values():
            count += report.held + report.in_flight
        return count

    def uses(self) -> dict[str, tuple[int, float]]:
        """Return of each replica what it has in flight, and when it last had any."""
        uses: dict[str, tuple[int, float]] = {}
        for report in self._by.values():
            for load in report.sample.replicas if report.sample else ():
                in_flight, used = uses.get(load.replica, UNUSED)
                uses[load.replica] = (
                    in_flight + load.in_flight,
                    max(used, report.at - load.idle_s),
                )
        return uses

    def empty(self, reporter: str, replica: str, version: int) -> bool:
        """Say whether *reporter*, having seen view *version*, has nothing there."""
        report = self._by.get(reporter)
        if report is None or report.sample is None or report.sample.version < version:
            return False
        return not any(
            load.in_flight and load.replica == replica
            for load in report.sample.replicas
        )


def _idle_s(sample: Sample) -> float:
    """Return for how long *sample* vouches that there was nothing, whatever was lost.

    How long each replica has been idle is a level, so it heals reports that were lost.
    """
    if sample.held or sample.in_flight or sample.requests or sample.concurrency:
        return 0.0
    return min((load.idle_s for load in sample.replicas), default=0.0)
