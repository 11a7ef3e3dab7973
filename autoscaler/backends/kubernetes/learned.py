"""How long starts take, as they were seen: what a route's timeout is held against."""

from __future__ import annotations

from autoscaler.core.domain import RevisionKey

_WEIGHT = 0.3
"""Of the newest start."""


class Learned:
    """Follow each revision's way from no replica to a ready one."""

    def __init__(self) -> None:
        self._since: dict[RevisionKey, float] = {}
        self._took: dict[RevisionKey, float] = {}

    def ordered(self, key: RevisionKey, replicas: int, ready: int, now: float) -> None:
        """Know that *replicas* were asked for while *ready* served."""
        if replicas and not ready:
            self._since.setdefault(key, now)
        elif not replicas:
            self._since.pop(key, None)

    def ready(self, key: RevisionKey, now: float) -> None:
        """Know that one serves."""
        since = self._since.pop(key, None)
        if since is not None:
            took = now - since
            before = self._took.get(key, took)
            self._took[key] = before + _WEIGHT * (took - before)

    def took(self, key: RevisionKey) -> float:
        """Return the seconds that a start takes, lately; 0: none was seen.

        >>> learned, key = Learned(), RevisionKey("production", "iris")
        >>> learned.ordered(key, 1, 0, now=10.0)
        >>> learned.ready(key, now=30.0)
        >>> learned.took(key)
        20.0
        """
        return self._took.get(key, 0.0)

    def forget(self, key: RevisionKey) -> None:
        """Know nothing of *key* any more."""
        self._since.pop(key, None)
        self._took.pop(key, None)
