"""The hybrid histogram of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020).

Idle times are counted by minutes. If they crowd, a replica is away until shortly before
the earliest of them ends and is kept until shortly after the last does. If too many are
longer than what is counted, the next one is predicted. The paper's ARIMA is the median
of the last ten here: on traces of a few hundred idle times neither knows more.
"""

from __future__ import annotations

from collections import deque
from math import ceil, sqrt
from statistics import median

BIN_S = 60.0
HEAD, TAIL = 0.05, 0.99
_MARGIN = 0.1
_CROWDED = 2.0
"""The least coefficient of variation of the bins' counts that says anything."""
_OUT = 0.5
"""Share of idle times out of range from which on the next is predicted."""
_EARLY, _SPREAD = 0.85, 0.30
_LAST = 10


class Histogram:
    """What one model's idle times were.

    >>> rule = Histogram(range_s=3_600.0)
    >>> rule.windows(load_s=37.0)
    (0.0, 3600.0)
    >>> for _ in range(20):
    ...     rule.saw(605.0)
    >>> before, keeps = rule.windows(load_s=37.0)
    >>> round(before), round(before + keeps)  # 10 minutes less, 11 more a tenth
    (540, 726)
    """

    __slots__ = ("_bins", "_last", "_out", "_squares", "_total", "range_s")

    def __init__(self, range_s: float) -> None:
        self.range_s = range_s
        self._bins = [0] * max(1, ceil(range_s / BIN_S))
        self._last: deque[float] = deque(maxlen=_LAST)
        self._out = 0
        self._total = 0
        self._squares = 0

    def saw(self, idle_s: float) -> None:
        """Count an idle time."""
        self._last.append(idle_s)
        place = int(idle_s / BIN_S)
        if place >= len(self._bins):
            self._out += 1
            return
        self._squares += 2 * self._bins[place] + 1
        self._bins[place] += 1
        self._total += 1

    def windows(self, load_s: float) -> tuple[float, float]:
        """Return by which windows the next idle time is met."""
        if self._out and self._out >= _OUT * (self._out + self._total):
            ahead = median(self._last)
            return _EARLY * ahead, _SPREAD * ahead
        if not self.crowded:
            return 0.0, self.range_s
        before = (1.0 - _MARGIN) * self._at(HEAD) * BIN_S
        until = (1.0 + _MARGIN) * (self._at(TAIL) + 1) * BIN_S
        return before, until - before

    @property
    def crowded(self) -> bool:
        """Whether the counts differ enough from bin to bin to go by them."""
        mean = self._total / len(self._bins)
        variance = self._squares / len(self._bins) - mean * mean
        return mean > 0.0 and sqrt(max(0.0, variance)) >= _CROWDED * mean

    def _at(self, share: float) -> int:
        """Return the bin in which the *share* of all that were counted is reached."""
        wanted, counted = share * self._total, 0
        for place, count in enumerate(self._bins):
            counted += count
            if counted >= wanted and count:
                return place
        return len(self._bins) - 1
