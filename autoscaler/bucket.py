"""How much may come at once, and how much of it each second."""

from __future__ import annotations


class Bucket:
    """A bucket of tokens, full at first; who takes more than there is has to wait.

    >>> bucket = Bucket(rate=10.0, burst=20.0, now=0.0)
    >>> bucket.take(20, 0.0), bucket.take(5, 0.0), bucket.take(1, 10.0)
    (0.0, 0.5, 0.0)
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, count: float, now: float) -> float:
        """Take *count*; return how many seconds to wait before taking again."""
        left = self._left + (now - self._at) * self._rate
        self._left = min(left, self._burst) - count
        self._at = now
        return max(0.0, -self._left / self._rate)
