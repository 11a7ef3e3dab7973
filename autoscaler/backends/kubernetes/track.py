"""One replica as its page of metrics shows it, second after second."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

from autoscaler.backends.kubernetes.engines import Reading

FRESH_S = 2.0
"""A reading stands for so long: one answer may be late or lost, not two."""

LONGEST_S = 60.0
"""Requests that take longer are averaged over this."""

_MOST = 1e6


class _Ended(NamedTuple):
    at: float
    seconds: float
    number: float


class Track:
    """Readings of one replica, without a gap since `since`."""

    __slots__ = ("_ended", "at", "reading", "since", "used_at", "why")

    def __init__(self) -> None:
        self.at = -inf
        """When it was read."""
        self.since = inf
        self.used_at = -inf
        """When it was last seen to have, or to have had, a request."""
        self.reading: Reading | None = None
        self.why = ""
        """Why it was not read, the last time; empty: it was."""
        self._ended: deque[_Ended] = deque()

    def read(self, reading: Reading, now: float) -> float:
        """Take in *reading*; return how many requests have ended since the one before.

        After a gap, and after a restart of the server, it begins anew.
        """
        before = self.reading
        if now - self.at > FRESH_S or before is None or before.engine != reading.engine:
            self.since = self.used_at = now
            self._ended.clear()
        self.at, self.reading, self.why = now, reading, ""
        ended = self._count(reading, now)
        if ended or reading.busy:
            self.used_at = now
        return ended

    def fresh(self, now: float) -> bool:
        """Say whether what was read counts for now."""
        return now - self.at <= FRESH_S

    def load(self, now: float) -> tuple[float, float]:
        """Return requests at once, and over how many seconds they are a mean.

        A count of what has ended knows a request only afterwards: by Little's law
        their number is the seconds that they took, over the time that they took them.
        """
        reading = self.reading
        if reading is None:
            return 0.0, 0.0
        if reading.busy is not None:
            return reading.busy, 0.0
        first, last = self._ended[0], self._ended[-1]
        took, number = last.seconds - first.seconds, last.number - first.number
        window_s = min(LONGEST_S, max(1.0, took / number if number > 0 else 1.0))
        for each in self._ended:
            if each.at > now - window_s:
                break
            first = each
        span_s = max(window_s, last.at - first.at)
        return min(_MOST, (last.seconds - first.seconds) / span_s), window_s

    def quiet_s(self, now: float) -> float:
        """Return for how long it is known to have had nothing."""
        if not self.fresh(now):
            return 0.0
        return max(0.0, now - max(self.since, self.used_at))

    def _count(self, reading: Reading, now: float) -> float:
        if reading.ended is None:
            return 0.0
        last = self._ended[-1] if self._ended else None
        latest = _Ended(now, reading.seconds or 0.0, reading.ended)
        if last is None:
            self._ended.append(latest)
            return 0.0
        if latest.number < last.number or latest.seconds < last.seconds:
            # It was restarted.
            last = _Ended(last.at, 0.0, 0.0)
            self._ended = deque([last])
        self._ended.append(latest)
        while len(self._ended) > 1 and self._ended[1].at <= now - LONGEST_S:
            self._ended.popleft()
        return min(_MOST, latest.number - last.number)
