"""When an idle replica goes, and when one is started ahead of the next request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Rule(Protocol):
    """What is remembered of one model's idle times, and what follows from it."""

    def windows(self, load_s: float) -> tuple[float, float]:
        """Return after how long idle it is to be ready again, and how long it is kept
        from then on; a first of 0 keeps it from the begin of the idle time."""

    def saw(self, idle_s: float) -> None:
        """Know how long an idle time was, now that it has ended."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same idle timer always."""

    keep_s: float

    def windows(self, load_s: float) -> tuple[float, float]:
        """Return the timer."""
        return 0.0, self.keep_s

    def saw(self, idle_s: float) -> None:
        """Learn nothing."""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Idle for as long as a start costs: at most twice what one who knows would pay."""

    wait_cost: float = 0.0
    """What a second of somebody's waiting costs, in seconds of a replica."""

    def windows(self, load_s: float) -> tuple[float, float]:
        """Return the time in which idling costs what the next start would."""
        return 0.0, load_s * (1.0 + self.wait_cost)

    def saw(self, idle_s: float) -> None:
        """Learn nothing."""


def windows(rule: Rule, load_s: float) -> tuple[float, float]:
    """Return the rule's windows, a start ahead beginning *load_s* before it is ready:
    one that would begin before the idle time does is no start, but keeping."""
    before, keeps = rule.windows(load_s)
    return (0.0, before + keeps) if before <= load_s else (before, keeps)
