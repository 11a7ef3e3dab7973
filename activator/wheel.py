"""Limits of I/O phases for many connections, at the cost of one timer."""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

GRAIN_S: Final = 0.25
"""A limit is noticed so late at most, if the wheel is swept so often."""


class Timed(Protocol):
    """Something with limits that move all the time."""

    spoke: int
    """Where the wheel has it; the wheel's own to write. 0: nowhere."""

    def check(self, now: float) -> float:
        """Act on a limit that has passed; return when to be asked again."""


class Wheel:
    """Ask each of its members again when it wanted to be.

    A limit that moves to a later time costs nothing: the member says so when asked.
    """

    def __init__(self, now: float) -> None:
        self._spokes: dict[int, set[Timed]] = {}
        self._swept = _spoke(now) - 1

    def ask(self, member: Timed, at: float) -> None:
        """Ask *member* at *at*, or earlier if that was wanted before."""
        spoke = _spoke(at)
        if member.spoke and member.spoke <= spoke:
            return
        self.drop(member)
        member.spoke = spoke = max(spoke, self._swept + 1)
        self._spokes.setdefault(spoke, set()).add(member)

    def drop(self, member: Timed) -> None:
        """Ask *member* nothing any more."""
        members = self._spokes.get(member.spoke)
        if members is not None:
            members.discard(member)
        member.spoke = 0

    def sweep(self, now: float) -> None:
        """Ask everybody who is due."""
        last = _spoke(now) - 1
        if len(self._spokes) < last - self._swept:
            due = sorted(spoke for spoke in self._spokes if spoke <= last)
        else:
            due = [s for s in range(self._swept + 1, last + 1) if s in self._spokes]
        self._swept = max(self._swept, last)
        for spoke in due:
            for member in self._spokes.pop(spoke):
                if member.spoke != spoke:
                    continue  # Dropped, or moved, by one that was asked before it.
                member.spoke = 0
                at = member.check(now)
                if at < inf:
                    self.ask(member, at)


def _spoke(at: float) -> int:
    """Return the first spoke that is swept when *at* has passed."""
    return int(at / GRAIN_S) + 1
