"""The exact time-integral of how many requests are there, held ones included."""

from __future__ import annotations

from typing import NamedTuple


def nanoseconds(now: float) -> int:
    """Return *now* as whole nanoseconds: the one rounding there is.

    >>> nanoseconds(0.1 + 0.2)
    300000000
    """
    return round(now * 1e9)


class Reading(NamedTuple):
    """What happened since the reading before."""

    integral: int
    """Request-nanoseconds."""
    arrived: int
    finished: int
    """Requests that were let in, and ended."""


class Meter:
    """Count requests and the time they take, in integers, so that no sum drifts.

    Who begins at a and ends at b is there for b - a. So the integral up to t is the sum
    of ends, less the sum of begins, plus t for each that is still there: one addition
    at each begin and each end. On its hot path the Switchboard makes them itself.

    >>> meter = Meter()
    >>> meter.begin(100); meter.begin(250); meter.end(300)
    >>> meter.read(400).integral, meter.read(1000).integral
    (350, 600)
    """

    __slots__ = ("_level", "_total", "arrived", "level", "moments", "turned_away")

    def __init__(self) -> None:
        self.arrived = 0
        """Requests that came since the last reading, turned away ones included."""
        self.turned_away = 0
        """Of them, those that were not let in."""
        self.level = 0
        """Requests that are there: held or in flight."""
        self.moments = 0
        """Sum of the moments of all ends, less that of all begins, in ns."""
        self._level = 0
        self._total = 0

    def begin(self, at: int) -> None:
        """Have one more request from *at*, in ns."""
        self.level += 1
        self.moments -= at

    def end(self, at: int) -> None:
        """Have one less."""
        self.level -= 1
        self.moments += at

    def read(self, at: int) -> Reading:
        """Return what happened up to *at* and was not read yet."""
        total = self.moments + self.level * at
        admitted = self.arrived - self.turned_away
        reading = Reading(
            integral=total - self._total,
            arrived=self.arrived,
            finished=admitted + self._level - self.level,
        )
        self._total, self._level = total, self.level
        self.arrived = self.turned_away = 0
        return reading
