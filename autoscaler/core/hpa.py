"""Replicas by use of cpu or memory: the rule of Kubernetes' HorizontalPodAutoscaler."""

from __future__ import annotations

from math import ceil

from autoscaler.core.decide import DeciderState
from autoscaler.core.delay import highest
from autoscaler.core.domain import Decision, Mode, Observation, ScalingSpec

TOLERANCE = 0.1
"""Use this close to the target changes nothing (the default of Kubernetes)."""


def decide_usage(
    spec: ScalingSpec,
    state: DeciderState,
    seen: Observation,
    percent: float | None,
    now: float,
) -> tuple[DeciderState, Decision]:
    """Return the replicas for a mean use of *percent* of the request.

    `spec.total_value` is the target, in % too; *percent* None is "not known", which
    keeps what is ready. Use alone never asks for zero: an idle model may keep its
    memory, so a revision that may sleep does so when it has had no requests.

    >>> spec = ScalingSpec(total_value=80, min_replicas=0)
    >>> seen = Observation(stable=5, panic=5, ready=2)
    >>> _, decision = decide_usage(spec, DeciderState(), seen, 130.0, now=0.0)
    >>> decision.desired, decision.reason
    (4, '130 % in use against 80 % wanted, 2 ready')
    """
    ready = seen.ready or 1
    target = max(0.01, spec.total_value)
    if seen.stable == 0 and spec.min_replicas == 0:
        desired, reason = 0, f"idle for {spec.stable_window_s} s"
    elif percent is None:
        desired, reason = ready, "use not known"
    else:
        ratio = percent / target
        near = 1 - TOLERANCE <= ratio <= 1 + TOLERANCE
        desired = ready if near else max(1, ceil(ratio * ready))
        reason = (
            f"{round(percent, 1):g} % in use against {target:g} % wanted, {ready} ready"
        )
    if spec.scale_down_delay_s > 0:
        wanted = desired
        peaks, desired = highest(state.peaks, wanted, spec.scale_down_delay_s, now)
        state = DeciderState(peaks=peaks)
        if desired != wanted:
            reason += f"; {desired} for a scale-down delay"
    return state, Decision(desired=desired, mode=Mode.STABLE, reason=reason)
