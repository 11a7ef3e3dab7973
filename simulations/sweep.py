"""A search for settings: evenly over the space first, then around the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Protocol

from autoscaler.core.domain import RevisionSpec
from simulations.chance import uniforms
from simulations.pareto import front
from simulations.sobol import sobol

_FIRST = 0.5
"""Share of the points that fill the space before it is looked at more closely."""
_STEP = 0.12
"""How far a closer look goes, as a share of a setting's range."""

_NEAR = 4
"""How many of the cheapest that meet the goal are looked around besides the front."""
_LEAST = 8
"""Choices that are tried together, at least: what they come to is not known between."""

Choice = tuple[float, ...]
"""A number in [0, 1) for each setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a choice."""

    choice: Choice
    cost_s: float
    wait_s: float
    """The mean wait."""
    excess: float
    """By how much it misses the goal; 0: it meets it."""


class Search(Protocol):
    """Which choices to try next, by what came of those before."""

    def ask(self) -> list[Choice]:
        """Return choices to try together; none: enough were tried."""

    def tell(self, seen: Sequence[Seen]) -> None:
        """Learn what came of those that were asked for last, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A setting that is searched: from *low* to *high*, by ratios if *ratios*."""

    low: float
    high: float
    ratios: bool = False

    def at(self, share: float) -> float:
        """Return the value at a share of the range."""
        if self.ratios:
            return exp(log(self.low) + share * (log(self.high) - log(self.low)))
        return self.low + share * (self.high - self.low)


WINDOW = Range(low=6.0, high=600.0, ratios=True)
RETENTION = Range(low=1.0, high=3_600.0, ratios=True)
UTILIZATION = Range(low=0.3, high=1.0)
DELAY = Range(low=1.0, high=1_800.0, ratios=True)
THRESHOLD = Range(low=1.5, high=10.0, ratios=True)
_NONE = 0.15
"""The first part of a range that stands for none at all; the last of utilization stands
for all, since where a replica takes one request anything less wants two for it."""


def apply(spec: RevisionSpec, choice: Choice) -> RevisionSpec:
    """Return *spec* with the settings of a choice; sizes stay as they are.

    In one replica at most there is nothing to scale: only when it sleeps is chosen.
    """
    scaling = spec.scaling
    window = round(WINDOW.at(choice[0]))
    retention = 0.0 if choice[1] < _NONE else round(RETENTION.at(_rest(choice[1])))
    scaling = replace(scaling, stable_window_s=window, retention_s=float(retention))
    if scaling.max_replicas != 1:
        panics = choice[2] >= 0.4
        scaling = replace(
            scaling,
            panic=panics,
            panic_threshold=round(THRESHOLD.at((choice[2] - 0.4) / 0.6), 1)
            if panics
            else scaling.panic_threshold,
            target_utilization=1.0
            if choice[3] >= 1.0 - _NONE
            else round(UTILIZATION.at(choice[3] / (1.0 - _NONE)), 2),
            scale_down_delay_s=0
            if choice[4] < 2 * _NONE
            else round(DELAY.at((choice[4] - 2 * _NONE) / (1 - 2 * _NONE))),
        )
    return replace(spec, scaling=scaling)


def dimensions(spec: RevisionSpec) -> int:
    """Return how many numbers a choice has."""
    return 2 if spec.scaling.max_replicas == 1 else 5


class Sweep:
    """Half of the points all over the space, then closer to the best in steps.

    The best are those that nobody beats in cost and mean wait, and in turns with them
    the cheapest that meet the goal. The same is asked again for the same told.
    """

    def __init__(self, wide: int, points: int, seed: int) -> None:
        self._wide = wide
        self._points = points
        self._seed = seed
        self._seen: list[Seen] = []

    def ask(self) -> list[Choice]:
        """Return the next choices, however few are left."""
        if not self._seen:
            return list(sobol(self._wide, max(1, round(self._points * _FIRST))))
        left = self._points - len(self._seen)
        return self._closer(min(left, max(_LEAST, self._points // _LEAST)))

    def tell(self, seen: Sequence[Seen]) -> None:
        """Remember them."""
        self._seen += seen

    def _closer(self, count: int) -> list[Choice]:
        wide, best = self._wide, self._best()
        chances = uniforms(
            self._seed, f"closer/{len(self._seen)}", max(0, count) * (wide + 1)
        )
        found = []
        for number in range(count):
            begin = best[number % len(best)]
            mine = chances[number * (wide + 1) : (number + 1) * (wide + 1)]
            one = int(mine[wide] * wide)
            found.append(
                tuple(
                    _inside(x + (mine[n] - 0.5) * 2 * _STEP * (2 if n == one else 0.5))
                    for n, x in enumerate(begin)
                )
            )
        return found

    def _best(self) -> list[Choice]:
        seen = self._seen
        edge = [seen[n] for n in front([(each.cost_s, each.wait_s) for each in seen])]
        near = sorted(seen, key=lambda each: (each.excess, each.cost_s))[:_NEAR]
        turns = max(len(edge), len(near))
        return [
            each.choice
            for n in range(turns)
            for each in (edge[n % len(edge)], near[n % len(near)])
        ]


def _rest(share: float) -> float:
    return (share - _NONE) / (1.0 - _NONE)


def _inside(share: float) -> float:
    return min(max(share, 0.0), 1.0 - 1e-9)
