"""When a revision is due, and stretches in which nothing can come of a tick.

A revision without a request is decided on each tick all the same, nearly always as
before. When that can first be otherwise is known from what is counted.
"""

from __future__ import annotations

from collections.abc import Collection
from math import ceil, inf

from autoscaler.core.domain import Metric
from autoscaler.core.messages import Sample
from autoscaler.core.revision import Revision
from autoscaler.core.zero import Phase


def quiet_until(
    of: Revision, reporters: Collection[str], now: float, tick_s: float
) -> float:
    """Return until when each decision is the one just made, if no request comes.

    *now*: not known for longer.
    """
    spec, replicas = of.scaling, of.replicas
    if (
        replicas.ready != replicas.target
        or replicas.draining
        or of.want != replicas.target
        or of.zero.phase is Phase.WAKING
        or of.decider.panic_since is not None
        or spec.metric in (Metric.CPU, Metric.MEMORY)
        or of.yields is not None
        or of.called
        or of.reports.wants(now)
        or not of.idle(reporters, now)
        or not of.covered(reporters, now)
    ):
        return now
    load, target = of.load, spec.target_value
    until = min(
        load.stable.steady_until(target, now), load.panic.steady_until(target, now)
    )
    used = of.used_at + spec.stable_window_s
    if used > now:
        until = min(until, used)
    if spec.scale_down_delay_s <= 0:
        return until
    # The delay counts from the last tick before, which is to be made; and what it holds
    # on to must be what is wanted now.
    peaks = of.decider.peaks
    wanted = ceil(load.stable.average(now) / target)
    if len(peaks) != 1 or peaks[0][1] != wanted:
        return now
    return until - tick_s


def leap(
    of: Revision, quiet: float, again_at: float, now: float, tick_s: float
) -> float:
    """Return when *of* is due: at the next tick, or the first that is not *quiet* any
    more; *again_at* at the latest, and when it may start or be asked again."""
    of.leapt, due = None, again_at
    if not of.asleep or of.replicas.target:
        if quiet > now + tick_s:
            of.leapt, due = now, min(_tick(now, quiet, tick_s), again_at)
        else:
            due = min(now + tick_s, again_at)
        if of.want > of.replicas.active and of.backoff.until > now:
            due = min(due, of.backoff.until)
    return due if of.refusal is None else min(due, of.refused_until)


def land(of: Revision, sample: Sample, now: float, tick_s: float) -> float:
    """Return when *of* is due after all, now that it has been heard of again."""
    if of.leapt is None or not (
        sample.held or sample.in_flight or sample.requests or sample.concurrency
    ):
        return of.due
    due = _tick(of.leapt, now, tick_s)
    of.leapt = None
    return min(due, of.due)


def _tick(since: float, until: float, tick_s: float) -> float:
    """Return the first tick after *since* that is not before *until*.

    By steps, so that it is the very number that walking there gives.
    """
    if until == inf:
        return inf
    at = since + tick_s
    while at < until:
        at += tick_s
    return at
