"""How many replicas a revision is to have, and why: load, bounds, sleep and room."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from autoscaler.core.commands import Decided
from autoscaler.core.decide import decide
from autoscaler.core.domain import (
    Decision,
    Metric,
    Observation,
    ScalingSpec,
    StartFailure,
)
from autoscaler.core.hpa import decide_usage
from autoscaler.core.revision import Revision
from autoscaler.core.zero import Phase, settle

Judge = Callable[[Revision, Collection[str], float], float]
"""What decides for a Fleet, called as `judge` is; simulations try others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wanted of a revision, before bounds and the way to zero."""

    seen: Observation
    decision: Decision
    desired: int | None
    """None: not known, which keeps what is there."""
    why: str


def judge(of: Revision, reporters: Collection[str], now: float) -> float:
    """Set what *of* wants; return when to ask again, even if nothing changes by then.

    *reporters* are those whose samples are expected.
    """
    spec = of.scaling
    if of.replicas.ready:
        of.called = False
    seen = look(of, now)
    if spec.metric is Metric.CPU or spec.metric is Metric.MEMORY:
        known = now - of.percent_at <= spec.stable_window_s
        percent = of.percent if known else None
        of.decider, decision = decide_usage(spec, of.decider, seen, percent, now)
    else:
        of.decider, decision = decide(spec, of.decider, seen, now)

    if _is_in_vain(of, decision, now):
        load = decision.desired or of.waits or of.backoff.reason
        of.sleep("nobody waits any more" if load else decision.reason, now)
    desired, why = _desired(of, decision, reporters, now)
    verdict = Verdict(seen=seen, decision=decision, desired=desired, why=why)
    return apply(of, spec, verdict, now)


def look(of: Revision, now: float) -> Observation:
    """Return what a decision on *of* looks at."""
    replicas = of.replicas
    return Observation(
        stable=of.load.stable.average(now),
        panic=of.load.panic.average(now),
        ready=replicas.ready,
        starting=replicas.active - replicas.ready,
    )


def apply(of: Revision, spec: ScalingSpec, verdict: Verdict, now: float) -> float:
    """Set what *of* wants by a verdict and *spec*'s bounds; return when to ask again.

    A start that takes too long has failed, and what makes room has none to spare.
    """
    replicas, why = of.replicas, verdict.why
    slept = of.asleep
    if of.awaits:
        of.progressed(now)
    if of.keeps and not of.asleep:
        spec = replace(spec, scale_to_zero=False)
    of.zero, settled = settle(spec, of.zero, verdict.desired, replicas.ready, now)
    want = replicas.active if settled.replicas is None else settled.replicas
    if settled.reason:
        why += "; " + settled.reason
        if of.keeps and of.scaling.scale_to_zero:
            why = why.replace("scale to zero is off", of.keeps)
        if of.keeps and of.spec.scaling.min_replicas:
            why = why.replace("(minReplicas)", f"({of.keeps})")
        if of.pinned and not of.spec.scaling.min_replicas:
            why = why.replace("(minReplicas)", "(pinned)")
    if replicas.active > replicas.ready and (
        settled.overdue or now - of.progress_at >= spec.progress_deadline_s
    ):
        _give_up_start(of, now)
    if of.yields is not None and want > of.yields.keep:
        want = of.yields.keep
        why += f"; makes room for {of.yields.to}"

    of.want, of.mode, of.reason = want, verdict.decision.mode.value, why
    of.decided = Decided(
        key=of.key,
        seen=verdict.seen,
        decision=verdict.decision,
        replicas=want,
        reason=why,
    )
    if slept and not of.asleep:
        of.woke()
    elif of.asleep and not slept:
        of.slept(why)
    return settled.again_at


def _desired(
    of: Revision, decision: Decision, reporters: Collection[str], now: float
) -> tuple[int | None, str]:
    """Return what load wants, as far as load is known; None: not known."""
    desired, why = decision.desired, decision.reason
    active = of.replicas.active
    held = of.reports.wants(now)
    if held or of.called:
        if of.paused:
            return 0, of.rests
        if desired == 0:
            desired = max(1, of.scaling.activation_scale)
            why = "a request waits" if held else "woken"
    elif of.asleep:
        return 0, of.rests
    elif desired == 0 and now - of.used_at < of.scaling.stable_window_s and active:
        # Requests/s do not show a request that takes long.
        desired, why = 1, f"had a request {now - of.used_at:.0f} s ago"
    if desired < active and not of.covered(reporters, now):
        most = of.scaling.max_replicas
        if of.floor <= active and (active <= most or not most):
            return None, why
        # Bounds count at once, whatever the load is.
        return active, why
    return desired, why


def _is_in_vain(of: Revision, decision: Decision, now: float) -> bool:
    """Say whether nobody waits any more for a start of which nothing is there."""
    if of.zero.phase is not Phase.WAKING or of.replicas.target:
        return False
    # The deadline is that of an attempt: none is under way.
    of.zero = replace(of.zero, since=now)
    if of.floor or of.called or of.reports.wants(now):
        return False
    if of.backoff.reason:
        return True
    # What was held is load still, but it has gone.
    return of.zero.initialised and (bool(of.waits) or decision.desired == 0)


def _give_up_start(of: Revision, now: float) -> None:
    """Take a start that is overdue for failed: drain what is not ready."""
    limit_s = of.scaling.progress_deadline_s
    failure = StartFailure(reason=f"not ready within {limit_s:g} s", final=False)
    if of.replicas.condemn():
        of.scale = of.scale or failure.reason
    of.failed(failure, now)
    of.progressed(now)
    of.stale = True
