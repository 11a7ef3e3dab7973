"""What settings must reach: `p99_wait<20s,cold<1%`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulations.totals import Totals

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "%": 0.01}
_WAITS = {"p50_wait": "p50_s", "p95_wait": "p95_s", "p99_wait": "p99_s"}
_LIMIT = re.compile(r"([a-z0-9_]+)\s*<=?\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|%)")
_JUST = 1e-9
"""What it is to be at a limit, which is to miss it."""
RULE = (
    "must be limits with commas between them: p50_wait, p95_wait, p99_wait or max_wait "
    "and a time (p99_wait<20s), cold or rejected and a share (cold<1%)"
)


class GoalError(Exception):
    """A text that is no goal: what, and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One figure that must be less than a number, of seconds or a share."""

    figure: str
    most: float

    def of(self, found: Totals) -> float:
        """Return the figure."""
        requests = max(1, found.requests)
        match self.figure:
            case "cold":
                return found.cold / requests
            case "rejected":
                return found.rejected / requests
            case "max_wait":
                return found.longest_s
            case name:
                return float(getattr(found, _WAITS[name]))

    def __str__(self) -> str:
        if self.figure in ("cold", "rejected"):
            return f"{self.figure} < {self.most * 100:g} %"
        return f"{self.figure} < {self.most:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """All limits that must hold."""

    limits: tuple[Limit, ...]

    def met(self, found: Totals) -> bool:
        """Say whether all hold."""
        return all(limit.of(found) < limit.most for limit in self.limits)

    def excess(self, found: Totals) -> float:
        """Return by how much the limits are missed, summed as shares of each; 0 just
        where all hold."""
        return sum(
            _JUST + (limit.of(found) / limit.most - 1.0 if limit.most else 1.0)
            for limit in self.limits
            if limit.of(found) >= limit.most
        )

    def __str__(self) -> str:
        return " and ".join(map(str, self.limits))


def parse(text: str) -> Goal:
    """Return the goal that *text* says; GoalError: it says none.

    >>> str(parse("p99_wait<20s, cold<1%"))
    'p99_wait < 20 s and cold < 1 %'
    """
    limits = []
    for part in text.split(","):
        found = _LIMIT.fullmatch(part.strip())
        figure = found[1] if found else ""
        share = figure in ("cold", "rejected")
        known = share or figure in _WAITS or figure == "max_wait"
        if found is None or not known or share != (found[3] == "%"):
            raise GoalError(f"{part.strip()!r}: {RULE}")
        limits.append(Limit(figure=figure, most=float(found[2]) * _UNITS[found[3]]))
    return Goal(limits=tuple(limits))
