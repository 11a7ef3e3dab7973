"""How long one request, or tunnel, waits for a replica, over all the times it does."""

from __future__ import annotations

from math import inf

from activator.telemetry import Durations


class Hold:
    """Made when it is first held; *durations* is where it is counted.

    >>> hold = Hold(Durations((1.0,)))
    >>> hold.begin(10.0); hold.end(11.5); hold.end(99.0)
    >>> hold.begin(20.0); hold.end(20.5)
    >>> hold.took_s
    2.0
    """

    __slots__ = ("_durations", "_since", "took_s")

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._since = inf
        self.took_s = 0.0
        """All that has ended."""

    def begin(self, now: float) -> None:
        """Wait, for the first time or because the replica that had it failed."""
        self._since = now

    def end(self, now: float) -> None:
        """Wait no more, if it does."""
        if self._since != inf:
            took_s = now - self._since
            self._since = inf
            self.took_s += took_s
            self._durations.add(took_s)
