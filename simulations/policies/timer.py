"""Idle timers: as many replicas as there are requests for, kept as a rule says."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from autoscaler.core.delay import GRAIN_S, Peaks, expires, highest
from autoscaler.core.domain import RevisionKey
from simulations.policies.policy import Seen, Wanted
from simulations.policies.rule import Rule, windows

_DAY_S = 86_400


class _Idle:
    """One model: its rule, and since when nothing asks for it."""

    __slots__ = ("peaks", "resting", "rule", "used_at", "windows")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.used_at = -inf
        self.resting = False
        """Idle, by the windows that were set when that began."""
        self.windows = (0.0, 0.0)
        self.peaks: Peaks = ()


class Timers:
    """Decide by an idle rule for each model."""

    def __init__(self, make: Callable[[], Rule]) -> None:
        self._make = make
        self._idle: dict[RevisionKey, _Idle] = {}

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return what serves while there are requests, else what the rule keeps."""
        idle = self._idle.get(seen.key)
        if idle is None:
            idle = self._idle[seen.key] = _Idle(self._make())
        if idle.resting and (seen.busy or seen.used_at > idle.used_at):
            ended_at = now if seen.busy else seen.used_at
            idle.rule.saw(max(0.0, ended_at - idle.used_at))
            idle.resting = False
        idle.used_at = max(idle.used_at, seen.used_at)
        if seen.busy:
            idle.used_at = now
            return self._serve(seen, idle, now)
        if seen.used_at == -inf:
            return Wanted(replicas=0, reason="no request yet", until=inf)
        if not idle.resting:
            idle.used_at, idle.resting = seen.used_at, True
            idle.windows = windows(idle.rule, seen.load_s)
        return self._rest(seen, idle, now)

    def _serve(self, seen: Seen, idle: _Idle, now: float) -> Wanted:
        _, keeps = windows(idle.rule, seen.load_s)
        asked = seen.in_flight + seen.held
        reason = f"{asked} at once, {seen.scaling.total_value:g} for each replica"
        needed = self._peak(idle, seen.needed, keeps, now)
        if needed > seen.needed:
            reason += f"; {needed} within the last {keeps:g} s"
        # A peak counts from the last look at it, unless there is no lower one to come.
        until = self._drops_at(idle, keeps) if seen.needed == 1 else -inf
        return Wanted(replicas=needed, reason=reason, until=until)

    def _rest(self, seen: Seen, idle: _Idle, now: float) -> Wanted:
        before, keeps = idle.windows
        from_s = before - seen.load_s if before else 0.0
        begin, end = idle.used_at + from_s, idle.used_at + before + keeps
        if now < begin:
            reason = f"idle, wanted again {before:g} s after the last request"
            return Wanted(replicas=0, reason=reason, again_at=begin, until=inf)
        if now < end:
            kept = 1 if before else self._peak(idle, 1, keeps, now)
            reason = f"kept until {before + keeps:g} s after the last request"
            until = inf if before else self._drops_at(idle, keeps)
            return Wanted(replicas=kept, reason=reason, again_at=end, until=until)
        reason = f"idle for {before + keeps:g} s"
        return Wanted(replicas=0, reason=reason, until=inf)

    def _peak(self, idle: _Idle, needed: int, keeps: float, now: float) -> int:
        """Return the most that were needed within the time that one is kept."""
        idle.peaks, most = highest(idle.peaks, needed, _delay_s(keeps), now)
        return most

    def _drops_at(self, idle: _Idle, keeps: float) -> float:
        """Return when no more than one is needed any more; inf: no more is."""
        if idle.peaks[0][1] == 1:
            return inf
        return expires(idle.peaks, _delay_s(keeps))


def _delay_s(keeps: float) -> int:
    return int(min(max(keeps, GRAIN_S), _DAY_S))
