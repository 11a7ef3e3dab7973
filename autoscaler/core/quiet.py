"""When a revision is due, and stretches in which nothing can come of a tick.

A revision whose load stays what it is is decided on at each tick all the same, nearly
always as before. When that can first be otherwise is known from what is counted.
"""

from __future__ import annotations

from collections.abc import Collection
from math import frexp, inf, ulp
from typing import TYPE_CHECKING, NamedTuple, Protocol

from autoscaler.core.decide import bursts
from autoscaler.core.domain import Metric
from autoscaler.core.messages import Sample

if TYPE_CHECKING:
    from autoscaler.core.revision import Revision


class Foresight(Protocol):
    """What a Fleet that leaps asks about its judge."""

    def until(
        self,
        of: Revision,
        reporters: Collection[str],
        level: int,
        now: float,
        tick_s: float,
    ) -> float:
        """Return until when each decision is the one just made if *level* requests stay
        and no replica comes or goes; *now*: not known for longer."""

    def basis(
        self, of: Revision, reporters: Collection[str], now: float
    ) -> tuple[int, bool] | None:
        """Return what the next decision would rest on besides the level; None: it is
        to be made whenever the level has changed."""


class Windows:
    """Foresight of the production judge, which looks at windows of load."""

    def until(
        self,
        of: Revision,
        reporters: Collection[str],
        level: int,
        now: float,
        tick_s: float,
    ) -> float:
        """Return when the windows may first make it decide otherwise."""
        spec, replicas = of.scaling, of.replicas
        if spec.metric is Metric.CPU or spec.metric is Metric.MEMORY:
            return now
        target = spec.target_value
        # Requests/s say nothing of requests that do not end; and with more of them than
        # one replica is to have, steps are what may be next.
        if level and (spec.metric is not Metric.CONCURRENCY or level > target):
            return now
        load = of.load
        until = load.stable.steady_until(target, level, now)
        if until <= now:
            return now
        if spec.panic:
            burst = load.panic.most(target, level, now)
            if bursts(spec, burst, replicas.ready, replicas.active - replicas.ready):
                return now  # Each tick may begin a panic, or prolong it.
            if of.decider.panic_since is not None:
                until = min(until, of.decider.panic_since + spec.stable_window_s)
        if not of.covered(reporters, now):
            known = max(of.born, of.reports.since(reporters)) + spec.stable_window_s
            until = min(until, known) if known > now else now
        used = of.used_at + spec.stable_window_s
        if not level and used > now:
            until = min(until, used)
        if spec.scale_down_delay_s <= 0:
            return until
        # The delay counts from the last tick before, which is to be made; and what it
        # holds on to must be what is wanted now.
        peaks = of.decider.peaks
        if len(peaks) != 1 or peaks[0][1] != load.stable.wanted(target, now):
            return now
        return until - tick_s

    def basis(
        self, of: Revision, reporters: Collection[str], now: float
    ) -> tuple[int, bool]:
        """Return replicas by the stable window, or -1: none, but there was a request
        not long ago; and whether load was known for all of that window."""
        spec = of.scaling
        wanted = of.load.stable.wanted(spec.target_value, now)
        if not wanted and now - of.used_at < spec.stable_window_s:
            wanted = -1
        return wanted, of.covered(reporters, now)


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


def quiet_until(
    foresight: Foresight,
    of: Revision,
    reporters: Collection[str],
    now: float,
    tick_s: float,
) -> float:
    """Return until when each decision is the one just made if no request comes or ends.

    *now*: not known for longer.
    """
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
        return now
    level = of.reports.level(reporters, now)
    if level < 0:
        return now
    until = foresight.until(of, reporters, level, now, tick_s)
    if active > replicas.ready:
        until = min(until, of.progress_at + of.scaling.progress_deadline_s)
    return until


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
        quiet = quiet_until(foresight, of, reporters, now, tick_s)
        if quiet > at:
            basis = foresight.basis(of, reporters, now)
            of.leapt = Leap(foresight, now, _level(of), basis, again_at)
            at = min(ticks(now, quiet, tick_s)[1], again_at)
    return at


def land(
    of: Revision, sample: Sample, reporters: Collection[str], now: float, tick_s: float
) -> float:
    """Return when *of*, which has leapt, is due now that it has been heard of again."""
    leapt, level = of.leapt, _level(of)
    if leapt is None or (
        sample.held + sample.in_flight == sample.concurrency
        and level == leapt.level
        and not sample.requests
    ):
        return of.due
    since, at = ticks(leapt.since, now, tick_s)
    quiet, basis, foresees = now, leapt.basis, leapt.foresight
    if basis is not None and foresees.basis(of, reporters, now) == basis:
        quiet = quiet_until(foresees, of, reporters, now, tick_s)
    if quiet > at:
        of.leapt = leapt._replace(since=since, level=level)
        at = ticks(since, quiet, tick_s)[1]
    else:
        of.leapt = None
    return min(at, leapt.again_at)


def _is_seen(of: Revision) -> bool:
    """Say whether the decision just made saw what there is now, after it."""
    replicas, decided = of.replicas, of.decided
    return (
        decided is not None
        and decided.seen.ready == replicas.ready
        and decided.seen.starting == replicas.active - replicas.ready
    )


def _level(of: Revision) -> int:
    return of.reports.held() + of.reports.in_flight()


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
