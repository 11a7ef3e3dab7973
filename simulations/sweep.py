"""A search for settings: evenly over the space first, then around the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

from autoscaler.core.domain import RevisionSpec
from simulations.chance import uniforms
from simulations.outcome import Point
from simulations.pareto import front
from simulations.sobol import sobol

_FIRST = 0.5
"""Share of the points that fill the space before it is looked at more closely."""
_STEP = 0.12
"""How far a closer look goes, as a share of a setting's range."""

Choice = tuple[float, ...]
"""A number in [0, 1) for each setting."""


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
"""The first part of a range that stands for none at all."""


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
            target_utilization=round(UTILIZATION.at(choice[3]), 2),
            scale_down_delay_s=0
            if choice[4] < 2 * _NONE
            else round(DELAY.at((choice[4] - 2 * _NONE) / (1 - 2 * _NONE))),
        )
    return replace(spec, scaling=scaling)


def dimensions(spec: RevisionSpec) -> int:
    """Return how many numbers a choice has."""
    return 2 if spec.scaling.max_replicas == 1 else 5


def first(spec: RevisionSpec, points: int) -> list[Choice]:
    """Return the choices to begin with."""
    return list(sobol(dimensions(spec), max(1, round(points * _FIRST))))


def closer(
    spec: RevisionSpec, tried: Sequence[tuple[Choice, Point]], count: int, seed: int
) -> list[Choice]:
    """Return choices around those that nobody beats; the same for the same tried."""
    pairs = [(point.cost_s, point.wait_s) for _, point in tried]
    best = [tried[place][0] for place in front(pairs)]
    wide = dimensions(spec)
    chances = uniforms(seed, f"closer/{len(tried)}", count * (wide + 1))
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


def _rest(share: float) -> float:
    return (share - _NONE) / (1.0 - _NONE)


def _inside(share: float) -> float:
    return min(max(share, 0.0), 1.0 - 1e-9)
