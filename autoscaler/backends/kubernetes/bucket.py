"""A token bucket: so many at once, then one in every while."""

from __future__ import annotations


class Bucket:
    """Hold *most* tokens when full; one comes back every *each_s*."""

    def __init__(self, most: int, each_s: float) -> None:
        self._most = most
        self._each_s = each_s
        self._full_at = float("-inf")
        """When it is full again, if nothing more is taken."""

    def ready_at(self, now: float) -> float:
        """Return when a token can be had, *now* or later."""
        return max(now, self._full_at - (self._most - 1) * self._each_s)

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        if self.ready_at(now) > now:
            return False
        self._full_at = max(now, self._full_at) + self._each_s
        return True
