"""From load to a wanted number of replicas: Knative's algorithm, as a function.

Two windows are watched. The stable one decides, until the panic one wants at least
`panic_threshold` times the replicas that are ready: then the larger of both counts,
and the number only grows, until a stable window has passed without another such
moment. Bounds and the way to zero are applied after this (`zero.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from autoscaler.core.delay import Peaks, highest
from autoscaler.core.domain import Decision, Metric, Mode, Observation, ScalingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DeciderState:
    """What the decisions of one revision remember."""

    panic_since: float | None = None
    """When the panic window last asked for panic; None: no panic. Not a deadline,
    because a stable window that changes counts at once."""
    most: int = 0
    """Most replicas wanted in this panic; it never wants fewer."""
    peaks: Peaks = ()
    """Wanted numbers that the scale-down delay still holds on to."""

    @classmethod
    def fresh(cls, spec: ScalingSpec, ready: int, now: float) -> DeciderState:
        """Begin with *ready* replicas; several of them begin in panic.

        So a restart with empty windows does not take away what was there.
        """
        panics = spec.panic and ready > 1
        return cls(panic_since=now if panics else None, most=ready)


def decide(
    spec: ScalingSpec, state: DeciderState, seen: Observation, now: float
) -> tuple[DeciderState, Decision]:
    """Return the state after, and the replicas that load wants now.

    >>> spec = ScalingSpec(total_value=10, target_utilization=0.7)
    >>> seen = Observation(stable=25, panic=42, ready=3)
    >>> _, decision = decide(spec, DeciderState(), seen, now=100.0)
    >>> decision.desired, decision.mode.value
    (6, 'panic')
    >>> decision.reason
    'panic: 42 in flight over 6 s against 7 wanted per replica'
    """
    return decide_at(spec, spec.target_value, state, seen, now)


def decide_at(
    spec: ScalingSpec,
    target: float,
    state: DeciderState,
    seen: Observation,
    now: float,
) -> tuple[DeciderState, Decision]:
    """Decide for a load of *target* per replica, whatever *spec* makes of its total."""
    ready = seen.ready or 1
    up = ceil(spec.max_scale_up_rate * ready)
    down = floor(ready / spec.max_scale_down_rate) if spec.reachable else 0
    by_stable = ceil(seen.stable / target)
    by_panic = ceil(seen.panic / target)
    desired = min(max(by_stable, down), up)
    if by_stable > 0 and desired < spec.activation_scale:
        desired = spec.activation_scale

    panic_since, most = _panic(spec, by_panic, state, seen, now)
    if panic_since is not None:
        burst = min(max(by_panic, down), up)
        if by_panic > 0 and burst < spec.activation_scale:
            burst = spec.activation_scale
        most = max(most, desired, burst)
        desired = most

    wanted, peaks = desired, state.peaks
    if spec.scale_down_delay_s <= 0:
        peaks = ()
    elif spec.reachable:
        peaks, desired = highest(peaks, wanted, spec.scale_down_delay_s, now)

    if panic_since is None:
        mode = Mode.STABLE
        reason = _load(spec, target, seen.stable, spec.stable_window_s)
        if wanted != by_stable:
            reason += _bound(spec, by_stable, wanted)
    else:
        mode = Mode.PANIC
        reason = f"panic: {_load(spec, target, seen.panic, spec.panic_window_s)}"
        if wanted != by_panic:
            reason += f"; {wanted} since a burst, for {spec.stable_window_s} s"
    if desired != wanted:
        reason += f"; {desired} for a scale-down delay of {spec.scale_down_delay_s} s"

    if (
        peaks is not state.peaks
        or panic_since != state.panic_since
        or most != state.most
    ):
        state = DeciderState(panic_since=panic_since, most=most, peaks=peaks)
    return state, Decision(
        desired=desired,
        mode=mode,
        reason=reason,
        excess_burst_capacity=_excess(spec, seen),
    )


def bursts(spec: ScalingSpec, by_panic: int, ready: int, starting: int) -> bool:
    """Say whether *by_panic* replicas, wanted by the panic window, begin a panic."""
    if spec.count_starting:
        ready += starting
    return spec.panic and by_panic / (ready or 1) >= spec.panic_threshold


def _panic(
    spec: ScalingSpec, by_panic: int, state: DeciderState, seen: Observation, now: float
) -> tuple[float | None, int]:
    """Return since when it panics (None: it does not), and the most it wanted so."""
    since = state.panic_since
    if not spec.panic:
        return None, 0 if since is not None else state.most
    if bursts(spec, by_panic, seen.ready, seen.starting):
        return now, state.most
    if since is not None and since + spec.stable_window_s < now:
        return None, 0
    return since, state.most


def _excess(spec: ScalingSpec, seen: Observation) -> int:
    """Return the requests that could come on top; below 0 activators should help."""
    burst = spec.target_burst_capacity
    if burst == 0:
        return 0
    if burst < 0:
        return -1
    return floor(seen.ready * spec.total_value - burst - seen.panic)


def _load(spec: ScalingSpec, target: float, load: float, window_s: int) -> str:
    if load == 0:
        return f"idle for {window_s} s"
    unit = "requests/s" if spec.metric is Metric.RPS else "in flight"
    seen = f"{round(load, 2):g} {unit} over {window_s} s"
    return f"{seen} against {target:g} wanted per replica"


def _bound(spec: ScalingSpec, by_load: int, wanted: int) -> str:
    if wanted < by_load:
        return f"; {wanted} at once, {spec.max_scale_up_rate:g} times the ready ones"
    if wanted == spec.activation_scale:
        return f"; never fewer than {wanted} when awake"
    return f"; {wanted} at once, the ready ones over {spec.max_scale_down_rate:g}"
