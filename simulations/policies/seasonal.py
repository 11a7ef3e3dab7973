"""Up ahead of the hours in which requests came on most of the last days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from math import inf

from autoscaler.core.domain import RevisionKey
from simulations.policies.policy import Seen, Wanted
from simulations.policies.rule import Rule
from simulations.policies.timer import Timers

DAY_S = 86_400.0
BIN_S = 900.0
_DAYS = 7
_MOST = 0.5
"""Share of the days on which a quarter of an hour had requests, for it to be kept."""


class Seasonal:
    """Idle timers, and besides the quarters of an hour that are used on most days.

    A run is taken to begin at midnight; only that days repeat matters.
    """

    def __init__(self, make: Callable[[], Rule]) -> None:
        self._timers = Timers(make)
        self._used: defaultdict[RevisionKey, set[int]] = defaultdict(set)
        """Quarters since the begin that had a request."""

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return what the timer keeps, or one ahead of time."""
        used = self._used[seen.key]
        if seen.used_at > -inf:
            used.add(int(seen.used_at // BIN_S))
        if seen.busy:
            used.add(int(now // BIN_S))
        wanted = self._timers.decide(seen, now)
        this = int(now // BIN_S)
        following = int((now + seen.load_s) // BIN_S) if seen.load_s else this
        again_at = (following + 1) * BIN_S - seen.load_s
        if again_at <= now:
            again_at += BIN_S
        again_at = min(wanted.again_at, again_at)
        # What is used, and what was, is a quarter's.
        until = min(wanted.until, (this + 1) * BIN_S)
        if wanted.replicas == 0 and any(
            self._expects(used, place) for place in {this, following}
        ):
            return Wanted(
                replicas=1,
                reason="most of the last days had requests at this time",
                again_at=again_at,
                until=until,
            )
        return replace(wanted, again_at=again_at, until=until)

    def _expects(self, used: set[int], place: int) -> bool:
        """Say whether the quarter at *place* had requests on most days before it."""
        day = int(DAY_S / BIN_S)
        days = min(_DAYS, place // day)
        had = sum(place - back * day in used for back in range(1, days + 1))
        return days > 0 and had >= _MOST * days
