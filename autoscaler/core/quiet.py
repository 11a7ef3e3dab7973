"""When a revision is due, and stretches in which nothing can come of a tick.

A revision whose load stays what it is is decided on at each tick all the same, nearly
always as before. When that can first be otherwise is known from what is counted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import frexp, inf, ulp
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autoscaler.core.decide import bursts
from autoscaler.core.delay import highest
from autoscaler.core.domain import Metric
from autoscaler.core.messages import Sample

if TYPE_CHECKING:
    from autoscaler.core.revision import Revision


Foreseen = tuple[float, tuple[int, bool] | None]
"""Until when each decision is the one just made (now: that is not known), and what it
would rest on besides the level, if it were made now; None: make it to know."""


class Foresight(Protocol):
    """What a Fleet that leaps asks about its judge."""

    def foresee(
        self,
        of: Revision,
        reporters: Collection[str],
        level: int,
        now: float,
        tick_s: float,
    ) -> Foreseen:
        """Say how long it decides the same if *level* requests stay, and no replica
        comes or goes."""


class Windows:
    """Foresight of the production judge, which looks at windows of load."""

    def foresee(
        self,
        of: Revision,
        reporters: Collection[str],
        level: int,
        now: float,
        tick_s: float,
    ) -> Foreseen:
        """Say when the windows may first make it decide otherwise.

        It rests on the replicas by the stable one, or -1: none, but there was a request
        not long ago; and on whether load was known for all of that window.
        """
        spec, replicas = of.scaling, of.replicas
        if spec.metric is Metric.CPU or spec.metric is Metric.MEMORY:
            return now, None
        target, load = spec.target_value, of.load
        # Requests/s say nothing of requests that do not end; and with more of them than
        # one replica is to have, steps are what may be next.
        if level and (spec.metric is not Metric.CONCURRENCY or level > target):
            return now, None
        until = load.stable.steady_until(target, level, now)
        if until <= now:
            return now, None
        if spec.panic:
            burst = load.panic.most(target, level, now)
            if bursts(spec, burst, replicas.ready, replicas.active - replicas.ready):
                return now, None  # Each tick may begin a panic, or prolong it.
            if of.decider.panic_since is not None:
                until = min(until, of.decider.panic_since + spec.stable_window_s)
        wanted = by_load = load.stable.wanted(target, now)
        used = of.used_at + spec.stable_window_s
        if used > now:
            wanted = wanted or -1
            until = until if level else min(until, used)
        covered = of.covered(reporters, now)
        if not covered:
            known = max(of.born, of.reports.since(reporters)) + spec.stable_window_s
            until = min(until, known) if known > now else now
        if spec.scale_down_delay_s > 0:
            # The delay counts from the last tick before, which is to be made; and what
            # it holds on to must be what is wanted now.
            peaks = of.decider.peaks
            if len(peaks) != 1 or peaks[0][1] != by_load:
                return now, None
            until -= tick_s
        return until, (wanted, covered)


class Leap(NamedTuple):
    """A stretch whose ticks are left out, from the decision before it."""

    foresight: Foresight
    since: float
    """A tick, made or left out, that is over."""
    level: int
    """Requests that there are all the time, held ones included."""
    basis: tuple[int, bool] | None
    """What the decision before it rested on besides."""
    again_at: float
    """When to decide at the latest, whatever is heard."""


def foreseen(
    foresight: Foresight,
    of: Revision,
    reporters: Collection[str],
    now: float,
    tick_s: float,
) -> Foreseen:
    """Say for how long nothing comes of a tick, if no request comes or ends."""
    replicas = of.replicas
    active = replicas.target
    if (
        not active
        or not reporters
        or replicas.draining
        or of.want != active
        or of.yields is not None
        or of.refusal is not None
        or of.awaits
    ):
        return now, None
    level = of.reports.level(reporters, now)
    if level < 0:
        return now, None
    until, basis = foresight.foresee(of, reporters, level, now, tick_s)
    if active > replicas.ready:
        until = min(until, of.progress_at + of.scaling.progress_deadline_s)
    return until, basis


def due(of: Revision, again_at: float, now: float, tick_s: float) -> float:
    """Return when *of*, just decided on, is due: at the next tick, or *again_at*, or
    when it may start or be asked again."""
    of.leapt, at = None, again_at
    if not of.asleep or of.replicas.target:
        at = min(now + tick_s, again_at)
        if of.want > of.replicas.active and of.backoff.until > now:
            at = min(at, of.backoff.until)
    return at if of.refusal is None else min(at, of.refused_until)


def leap(
    foresight: Foresight | None,
    of: Revision,
    reporters: Collection[str],
    again_at: float,
    now: float,
    tick_s: float,
) -> float:
    """Return when *of* is `due` if ticks are left out of which nothing can come.

    Without a foresight none is.
    """
    at = due(of, again_at, now, tick_s)
    if foresight is not None and at == now + tick_s and _is_seen(of):
        until, basis = foreseen(foresight, of, reporters, now, tick_s)
        if until > at:
            of.leapt = Leap(foresight, now, of.reports.requests(), basis, again_at)
            at = min(ticks(now, until, tick_s)[1], again_at)
    return at


def land(
    of: Revision, sample: Sample, reporters: Collection[str], now: float, tick_s: float
) -> float:
    """Return when *of*, which has leapt, is due now that it has been heard of again."""
    leapt, level = of.leapt, of.reports.requests()
    if leapt is None or (
        not sample.requests
        and level == leapt.level
        and sample.held + sample.in_flight == sample.concurrency
    ):
        return of.due
    foresight, since, _, basis, again_at = leapt
    since, at = ticks(since, now, tick_s)
    of.leapt = None
    until, rests_on = foreseen(foresight, of, reporters, now, tick_s)
    if until > at and rests_on == basis is not None:
        of.leapt = Leap(foresight, since, level, basis, again_at)
        at = ticks(since, until, tick_s)[1]
    return min(at, again_at)


def remember(of: Revision, now: float, tick_s: float) -> None:
    """Have a scale-down delay count from the last tick that was left out by now, as
    settings that are about to change may want fewer at once."""
    spec, peaks = of.scaling, of.decider.peaks
    if of.leapt is not None and peaks and spec.reachable:
        last = ticks(of.leapt.since, now, tick_s)[0]
        held, delay_s = peaks[0][1], spec.scale_down_delay_s
        of.decider = replace(of.decider, peaks=highest(peaks, held, delay_s, last)[0])


def _is_seen(of: Revision) -> bool:
    """Say whether the decision just made saw what there is now, after it."""
    replicas, decided = of.replicas, of.decided
    return (
        decided is not None
        and decided.seen.ready == replicas.ready
        and decided.seen.starting == replicas.active - replicas.ready
    )


def ticks(since: float, until: float, tick_s: float) -> tuple[float, float]:
    """Return the last tick before *until* and the first that is not; *since* is one.

    They are the very numbers that steps give.

    >>> ticks(10.5, 60.0, 2.0), ticks(10.5, 60.5, 2.0)
    ((58.5, 60.5), (58.5, 60.5))
    """
    if until == inf:
        return since, inf
    at = since + tick_s
    while at < until:
        # While a float's last bit stands for no more than now, many steps are exactly
        # as good as one by one.
        alike = 2.0 ** frexp(at)[1]
        many = int((min(until, alike) - at) / tick_s) - 1
        since, at = at, at + tick_s
        if many > 1 and tick_s % ulp(at) == 0.0:
            since = at + (many - 2) * tick_s
            at = since + tick_s
    return since, at
