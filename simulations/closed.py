"""Keep-alive without a machine: what idle windows cost on a trace, by recursion.

One replica a model serves any number at once, a start takes *load_s* and is paid for,
and a request is cold if it ends an idle time outside the window. That is a model of
the world that is small enough to be right: the simulator is held against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from simulations.policies.rule import Rule, windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What came of a rule."""

    requests: int
    cold: int
    """Requests that found nothing loaded; those that came in a load are not among
    them."""
    ahead: int
    """Starts ahead of a request."""
    loading_s: float
    busy_s: float
    idle_s: float
    span_s: float

    @property
    def cost_s(self) -> float:
        """All replica-seconds."""
        return self.loading_s + self.busy_s + self.idle_s

    @property
    def cold_share(self) -> float:
        return self.cold / self.requests if self.requests else 0.0

    @property
    def cost_share(self) -> float:
        """The cost as a share of that of a replica that is always on."""
        return self.cost_s / self.span_s if self.span_s else 0.0

    def __add__(self, other: Kept) -> Kept:
        return Kept(
            requests=self.requests + other.requests,
            cold=self.cold + other.cold,
            ahead=self.ahead + other.ahead,
            loading_s=self.loading_s + other.loading_s,
            busy_s=self.busy_s + other.busy_s,
            idle_s=self.idle_s + other.idle_s,
            span_s=self.span_s + other.span_s,
        )


def keep(
    arrivals: Sequence[float],
    services: Sequence[float],
    rule: Rule,
    *,
    load_s: float,
    span_s: float,
    delays: bool = True,
) -> Kept:
    """Return what *rule* costs one model; it begins with nothing loaded.

    Not *delays*: a start is paid for, but takes no time from the requests, as if they
    were answered elsewhere meanwhile.

    >>> from simulations.policies.rule import Fixed
    >>> kept = keep([0.0, 50.0, 200.0], [1.0] * 3, Fixed(60.0), load_s=10.0, span_s=400)
    >>> kept.cold, kept.loading_s, kept.busy_s, kept.idle_s
    (2, 20.0, 3.0, 159.0)
    """
    wait_s = load_s if delays else 0.0
    cold = ahead = 0
    loading = busy = idle = 0.0
    before = keeps = 0.0
    ready_at = begun = end = -inf  # of the load, and of the busy time
    for at, service in zip(arrivals, services, strict=True):
        if at > end:
            if end > -inf:
                busy += end - begun
                before, keeps = windows(rule, load_s)
                rule.saw(at - end)
            gap = at - end if end > -inf else inf
            idle += max(0.0, min(gap, before + keeps) - before) if gap < inf else 0.0
            early = before > 0.0 and gap >= before - load_s
            ahead += early
            loading += load_s * early
            if before <= gap <= before + keeps:
                ready_at = at
            elif early and gap < before:
                cold, ready_at = cold + 1, end + before if delays else at
            else:
                cold, loading, ready_at = cold + 1, loading + load_s, at + wait_s
            begun = max(at, ready_at)
            end = begun + service
        else:
            end = max(end, max(at, ready_at) + service)
    if end > -inf:
        # What is left of the trace is an idle time that does not end.
        busy += min(end, span_s) - min(begun, span_s)
        loading -= max(0.0, ready_at - span_s)
        rest = max(0.0, span_s - end)
        before, keeps = windows(rule, load_s)
        if before > 0.0:
            loading += min(load_s, max(0.0, rest - before + load_s))
        idle += max(0.0, min(rest, before + keeps) - before)
    return Kept(
        requests=len(arrivals),
        cold=cold,
        ahead=ahead,
        loading_s=loading,
        busy_s=busy,
        idle_s=idle,
        span_s=span_s,
    )


def offline(
    arrivals: Sequence[float],
    services: Sequence[float],
    *,
    load_s: float,
    span_s: float,
    wait_cost: float = 0.0,
    delays: bool = True,
) -> Kept:
    """Return the floor: a model goes at once if its next request is too far away.

    Too far is where a start costs more than to idle: the ski rental that knows how long
    it will last. *wait_cost* is what a second of waiting costs, in seconds of a GPU.
    """
    break_even = load_s * (1.0 + wait_cost)
    known = _Known(_keeps(arrivals, services, break_even, load_s if delays else 0.0))
    return keep(arrivals, services, known, load_s=load_s, span_s=span_s, delays=delays)


class _Known:
    """The rule of one who knows how long each idle time will be."""

    def __init__(self, keeps: list[float]) -> None:
        self._keeps = keeps
        self._place = 0

    def windows(self, load_s: float) -> tuple[float, float]:
        last = self._place == len(self._keeps)
        return 0.0, 0.0 if last else self._keeps[self._place]

    def saw(self, idle_s: float) -> None:
        self._place += 1


def _keeps(
    arrivals: Sequence[float],
    services: Sequence[float],
    break_even: float,
    wait_s: float,
) -> list[float]:
    """Return how long to keep it in each idle time: all of it, or not at all."""
    keeps: list[float] = []
    ready_at = end = -inf
    for at, service in zip(arrivals, services, strict=True):
        if at > end:
            kept = at - end <= break_even
            if end > -inf:
                keeps.append(at - end if kept else 0.0)
            ready_at = at if kept else at + wait_s
        end = max(end, max(at, ready_at) + service)
    return keeps
