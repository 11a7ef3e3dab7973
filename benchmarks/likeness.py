"""How alike two runs of the same requests are: real and simulated, or real and real."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

TICK_S = 2.0
NEAR_S = 10.0
"""Decisions are scored so near to a change too: far from one they are easy."""
LONG_S = 0.1
"""Waits above this are waits for a replica, not for a processor."""

Steps = tuple[tuple[float, int], ...]
"""When a number changed, and to what; 0 before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What one run did; times are from its begin."""

    span_s: float
    arrivals: NDArray[np.float64]
    waits: NDArray[np.float64]
    """From arrival to a replica; NaN: it never got to one."""
    cold: NDArray[np.bool_]
    """It found no ready replica."""
    desired: Steps
    replica_s: float
    starts: int
    failures: int
    most: int
    """Replicas at once."""

    @property
    def sleeps(self) -> int:
        """Return how often nothing was wanted any more."""
        return sum(not count for _, count in self.desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Differences of one run (b) from another (a)."""

    equal: float
    """Share of ticks with the same desired count."""
    near: float
    """The same, of ticks within NEAR_S of a change in either."""
    lag_ticks: float
    """The latest of the changes that both made."""
    unmatched: int
    """Changes that only one of them made."""
    both_cold: int
    only_a_cold: int
    only_b_cold: int
    neither_cold: int
    mape: float
    """Of waits above LONG_S in a: mean of |b - a| / a."""
    pearson: float
    bias_s: float
    """Of those: mean of b - a."""
    quantiles: tuple[tuple[float, float], ...]
    """p50, p95 and p99 of the waits of each."""
    distance: float
    """Kolmogorov's and Smirnov's, of all waits."""
    replica_s: tuple[float, float]
    starts: tuple[int, int]
    failures: tuple[int, int]
    answered: tuple[int, int]

    @property
    def precision(self) -> float:
        return self.both_cold / max(1, self.both_cold + self.only_b_cold)

    @property
    def recall(self) -> float:
        return self.both_cold / max(1, self.both_cold + self.only_a_cold)


def compare(a: Story, b: Story) -> Likeness:
    """Compare two runs of the same requests."""
    span_s = min(a.span_s, b.span_s)
    ticks = [number * TICK_S for number in range(int(span_s / TICK_S))]
    same = [_at(a.desired, at) == _at(b.desired, at) for at in ticks]
    changes = sorted(at for at, _ in a.desired + b.desired)
    near = [
        equal for at, equal in zip(ticks, same, strict=True) if _is_near(changes, at)
    ]
    lag_s, unmatched = lag(a.desired, b.desired)
    long = (a.waits > LONG_S) & ~np.isnan(b.waits)
    real, other = a.waits[long], b.waits[long]
    got = a.waits[~np.isnan(a.waits)], b.waits[~np.isnan(b.waits)]
    return Likeness(
        equal=_share(same),
        near=_share(near),
        lag_ticks=lag_s / TICK_S,
        unmatched=unmatched,
        both_cold=int((a.cold & b.cold).sum()),
        only_a_cold=int((a.cold & ~b.cold).sum()),
        only_b_cold=int((~a.cold & b.cold).sum()),
        neither_cold=int((~a.cold & ~b.cold).sum()),
        mape=float(np.mean(np.abs(other - real) / real)) if len(real) else 0.0,
        pearson=_pearson(real, other),
        bias_s=float(np.mean(other - real)) if len(real) else 0.0,
        quantiles=tuple(
            (float(np.quantile(got[0], q)), float(np.quantile(got[1], q)))
            for q in (0.5, 0.95, 0.99)
        ),
        distance=ks(*got),
        replica_s=(a.replica_s, b.replica_s),
        starts=(a.starts, b.starts),
        failures=(a.failures, b.failures),
        answered=(len(got[0]), len(got[1])),
    )


def lag(a: Steps, b: Steps) -> tuple[float, int]:
    """Return by how much the latest change that both made differs, and how many were
    made by one only.

    >>> lag(((1.0, 1), (9.0, 0)), ((1.5, 1), (5.0, 2), (9.0, 0)))
    (0.5, 1)
    """
    matcher = SequenceMatcher(None, [n for _, n in a], [n for _, n in b], False)
    worst, matched = 0.0, 0
    for i, j, size in matcher.get_matching_blocks():
        matched += size
        for step in range(size):
            worst = max(worst, abs(a[i + step][0] - b[j + step][0]))
    return worst, len(a) + len(b) - 2 * matched


def ks(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the largest difference of two distribution functions.

    >>> ks(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    0.5
    """
    both = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), both, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def steps(series: list[tuple[float, int]]) -> Steps:
    """Keep of a series what changes it.

    >>> steps([(0.0, 0), (1.0, 2), (2.0, 2), (3.0, 0)])
    ((1.0, 2), (3.0, 0))
    """
    kept: list[tuple[float, int]] = []
    for at, count in series:
        if count != (kept[-1][1] if kept else 0):
            kept.append((at, count))
    return tuple(kept)


def _at(series: Steps, at: float) -> int:
    place = bisect_right(series, at, key=lambda step: step[0])
    return series[place - 1][1] if place else 0


def _is_near(changes: list[float], at: float) -> bool:
    place = bisect_right(changes, at)
    return any(
        abs(at - each) <= NEAR_S for each in changes[max(0, place - 1) : place + 1]
    )


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation; of what does not vary, whether they are the same."""
    if len(a) < 2 or not a.std() or not b.std():
        return float(np.array_equal(a, b))
    return float(np.corrcoef(a, b)[0, 1])


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else 1.0
