"""Up when the next request is near, which is known: the least that it costs that nobody
waits."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf

from simulations.policies.policy import Seen, Wanted
from simulations.workload import Workload

_AHEAD_S = 0.01
"""A start is to be over so long before its request."""
_LATE_S = 2.0
"""A request may have come and not be reported yet for so long."""


class Offline:
    """Decide by when the next request of each model comes.

    An idle time shorter than a start costs less idle than away, and a longer one costs
    the start that is over when it ends. How long that is it has to learn as others do.
    """

    def __init__(self, loads: Sequence[Workload]) -> None:
        self._arrivals = {load.key: load.arrivals for load in loads}

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return what serves while there are requests, else what the next one needs."""
        if seen.busy:
            asked = seen.in_flight + seen.held
            reason = f"{asked} at once, {seen.scaling.total_value:g} for each replica"
            return Wanted(replicas=seen.needed, reason=reason, until=inf)
        arrivals = self._arrivals.get(seen.key, ())
        place = bisect_right(arrivals, max(seen.used_at, now - _LATE_S))
        if place == len(arrivals):
            return Wanted(replicas=0, reason="no request is to come", until=inf)
        coming = arrivals[place]
        begin = coming - seen.load_s - _AHEAD_S
        if coming - seen.used_at > seen.load_s and now < begin:
            reason = f"the next request is {coming - now:.0f} s away"
            return Wanted(replicas=0, reason=reason, again_at=begin, until=begin)
        again_at = coming if coming > now else coming + _LATE_S
        reason = f"the next request comes within a start, {seen.load_s:.0f} s"
        return Wanted(replicas=1, reason=reason, again_at=again_at, until=again_at)
