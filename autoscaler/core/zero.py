"""From what load wants to what is applied: bounds, and the way to zero and back.

    ASLEEP --wanted--> WAKING --ready--> AWAKE --idle for a stable window--> ASLEEP
                         |  ^---lost it---'
                         '--nobody wants it, and the progress deadline passed--> ASLEEP

A revision that falls asleep keeps its last replica for the grace and the retention,
so `ASLEEP` begins with a replica that still serves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from autoscaler.core.domain import ScalingSpec


class Phase(StrEnum):
    """Where a revision is on its way (Knative's Active condition)."""

    ASLEEP = "asleep"
    """Inactive: no load; nothing runs, or its last replica is about to go."""
    WAKING = "waking"
    """Activating: fewer replicas are ready than there must be."""
    AWAKE = "awake"
    """Active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroState:
    """What the way to zero remembers of one revision."""

    phase: Phase
    since: float
    """When *phase* began. Not a deadline: settings that change count at once."""
    initialised: bool = False
    """The initial scale was ready once, so it binds no more."""
    empty: bool = False
    """Asleep, and zero replicas were asked for: they stay zero until it wakes."""
    proxied_since: float = inf
    """Since when every request comes through an activator: the grace has run from
    then. inf: from falling asleep. The driver says so, with `replace`."""

    @classmethod
    def fresh(cls, spec: ScalingSpec, now: float) -> ZeroState:
        """Begin: waking to the initial scale, or born asleep if that is 0."""
        if spec.initial_scale == 0 and _least(spec) == 0:
            return cls(phase=Phase.ASLEEP, since=now, initialised=True, empty=True)
        return cls(phase=Phase.WAKING, since=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What to apply, and when to ask again."""

    replicas: int | None
    """Replicas to have; None: leave them as they are."""
    reason: str
    """What bound the wanted number, in words; empty: nothing did."""
    again_at: float
    """Ask again then, even if nothing has changed; inf: no need."""
    overdue: bool = False
    """Too few replicas became ready within the progress deadline."""


def settle(
    spec: ScalingSpec, state: ZeroState, desired: int | None, ready: int, now: float
) -> tuple[ZeroState, Settled]:
    """Bound *desired* and take the next step to zero or from it.

    *desired* None is "not known", which keeps what is there; a sleeping revision has
    no load, which is known: 0.

    >>> spec = ScalingSpec(min_replicas=0, stable_window_s=60, grace_s=30)
    >>> state = ZeroState(phase=Phase.AWAKE, since=0.0, initialised=True)
    >>> state, settled = settle(spec, state, 0, ready=1, now=59.0)
    >>> settled.replicas, settled.reason, settled.again_at
    (1, 'awake for less than 60 s', 60.0)
    >>> state, settled = settle(spec, state, 0, ready=1, now=60.0)
    >>> state.phase.value, settled.replicas, settled.again_at
    ('asleep', None, 90.0)
    >>> settle(spec, state, 0, ready=1, now=90.0)[1].replicas
    0
    """
    state = _look(spec, state, ready, now)
    if desired is None and state.phase is not Phase.WAKING:
        return state, Settled(replicas=None, reason="load not known", again_at=inf)
    wanted, reason = _bound(spec, state, desired or 0)
    if wanted == 0:
        if spec.scale_to_zero:
            return _to_zero(spec, state, ready, now)
        wanted, reason = 1, "scale to zero is off"
    if state.phase is Phase.ASLEEP:
        phase = Phase.AWAKE if ready >= _needed(spec, state) else Phase.WAKING
        state = replace(state, phase=phase, since=now, empty=False)
    again_at, overdue = inf, False
    if state.phase is Phase.WAKING:
        deadline = state.since + spec.progress_deadline_s
        overdue = now >= deadline
        again_at = inf if overdue else deadline
    return state, Settled(
        replicas=wanted, reason=reason, again_at=again_at, overdue=overdue
    )


def initial_scale(asked: int | None, default: int, *, allow_zero: bool) -> int:
    """Return the initial scale to use: what was asked, unless 0 is not allowed.

    >>> initial_scale(0, 1, allow_zero=False)
    1
    """
    if asked is None or (asked == 0 and not allow_zero):
        return default
    return asked


def _least(spec: ScalingSpec) -> int:
    """Return the lower bound; nobody can reach an unreachable one, so it has none."""
    return spec.min_replicas if spec.reachable else 0


def _initial(spec: ScalingSpec) -> int:
    most = spec.max_replicas
    return min(spec.initial_scale, most) if most else spec.initial_scale


def _needed(spec: ScalingSpec, state: ZeroState) -> int:
    """Return the replicas that must be ready for the revision to be awake."""
    return max(_least(spec), 1 if state.initialised else _initial(spec))


def _look(spec: ScalingSpec, state: ZeroState, ready: int, now: float) -> ZeroState:
    """Take in how many replicas are ready, before anything is decided.

    So that asking twice at one instant gives one answer.
    """
    needed = _needed(spec, state)
    if not state.initialised and ready >= needed:
        state = replace(state, initialised=True)
    if state.phase is Phase.ASLEEP:
        return state
    if needed == 0:
        phase = Phase.ASLEEP
    else:
        phase = Phase.AWAKE if ready >= needed else Phase.WAKING
    if phase is not state.phase:
        state = replace(state, phase=phase, since=now)
    return state


def _bound(spec: ScalingSpec, state: ZeroState, desired: int) -> tuple[int, str]:
    least, most = _least(spec), spec.max_replicas
    wanted, reason = desired, ""
    if desired < least:
        wanted, reason = least, f"at least {least} (minReplicas)"
    initial = spec.initial_scale
    if initial > 1 and initial > wanted and not state.initialised and spec.reachable:
        wanted, reason = initial, f"initial scale {initial}"
    if 0 < most < wanted:
        wanted, reason = most, f"at most {most} (maxReplicas)"
    return wanted, reason


def _to_zero(
    spec: ScalingSpec, state: ZeroState, ready: int, now: float
) -> tuple[ZeroState, Settled]:
    """Take the next step of a revision that nothing asks for and that may sleep."""
    if state.phase is Phase.WAKING:
        return _wait(spec, state, now)
    if state.phase is Phase.AWAKE:
        sleeps_at = state.since + spec.stable_window_s
        if now < sleeps_at:
            reason = f"awake for less than {spec.stable_window_s} s"
            return state, Settled(replicas=1, reason=reason, again_at=sleeps_at)
        state = replace(state, phase=Phase.ASLEEP, since=now)
    kept_until = state.since + (spec.retention_s if spec.reachable else 0.0)
    zero_at = max(kept_until, min(state.since, state.proxied_since) + spec.grace_s)
    if now < zero_at and not state.empty:
        why = "retention" if zero_at == kept_until else "grace"
        return state, Settled(
            replicas=1 if ready > 1 else None,
            reason=f"last replica kept for {zero_at - state.since:g} s ({why})",
            again_at=zero_at,
        )
    if not state.empty:
        state = replace(state, empty=True)
    return state, Settled(replicas=0, reason="", again_at=inf)


def _wait(spec: ScalingSpec, state: ZeroState, now: float) -> tuple[ZeroState, Settled]:
    """Let a wake that nothing asks for any more come to its end, good or bad."""
    deadline = state.since + spec.progress_deadline_s
    if now < deadline:
        born = spec.reachable and not state.initialised
        replicas = _initial(spec) if born else None
        reason = "a wake that has begun is completed"
        return state, Settled(replicas=replicas, reason=reason, again_at=deadline)
    state = replace(state, phase=Phase.ASLEEP, since=now, empty=True)
    reason = f"not ready within {spec.progress_deadline_s:g} s"
    return state, Settled(replicas=0, reason=reason, again_at=inf, overdue=True)
