"""How much may come at once, and how much of it in a while."""

from __future__ import annotations


class Bucket:
    """A bucket of *most* tokens, full at first; one comes back every *each_s*.

    >>> bucket = Bucket(20, each_s=0.1)
    >>> bucket.take(20, 0.0), bucket.take(5, 0.0), bucket.take(1, 10.0)
    (0.0, 0.5, 0.0)
    """

    __slots__ = ("_each_s", "_full_at", "_most")

    def __init__(self, most: float, each_s: float) -> None:
        self._most = most
        self._each_s = each_s
        self._full_at = float("-inf")
        """When it is full again, if nothing more is taken."""

    def ready_at(self, now: float) -> float:
        """Return when there is a whole token, *now* or later."""
        return max(now, self._full_at - (self._most - 1) * self._each_s)

    def take(self, count: float, now: float) -> float:
        """Take *count*, there or not; return how long to wait before taking again."""
        self._full_at = max(now, self._full_at) + count * self._each_s
        return max(0.0, self._full_at - self._most * self._each_s - now)
