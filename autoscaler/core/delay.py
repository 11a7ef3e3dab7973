"""The scale-down delay: the highest number wanted within the last seconds."""

from __future__ import annotations

Peaks = tuple[tuple[int, int], ...]
"""(index of time, value), later ones lower: only what can still become the highest."""

GRAIN_S = 2
"""Knative keeps one value for each of its ticks, so a delay ends on a whole one."""


def highest(peaks: Peaks, value: int, delay_s: int, now: float) -> tuple[Peaks, int]:
    """Add *value*, wanted now; return what to remember and the highest of *delay_s*.

    >>> peaks, wanted = highest((), 4, delay_s=60, now=0.0)
    >>> peaks, wanted = highest(peaks, 1, delay_s=60, now=58.0)
    >>> wanted
    4
    >>> highest(peaks, 1, delay_s=60, now=60.0)[1]
    1
    """
    peaks = push(peaks, int(now) // GRAIN_S, value, -(-delay_s // GRAIN_S))
    return peaks, peaks[0][1]


def expires(peaks: Peaks, delay_s: int) -> float:
    """Return when the highest value is so no more, if no other one is added.

    >>> peaks, _ = highest((), 4, delay_s=5, now=3.0)
    >>> expires(peaks, delay_s=5)
    8.0
    """
    return float((peaks[0][0] - (-delay_s // GRAIN_S)) * GRAIN_S)


def push(peaks: Peaks, index: int, value: int, size: int) -> Peaks:
    """Add *value* at *index* and drop what is *size* or more before it, or beaten.

    >>> push(((1, 5), (2, 4)), index=6, value=3, size=5)
    ((2, 4), (6, 3))
    """
    first, last = 0, len(peaks)
    while first < last and index - peaks[first][0] >= size:
        first += 1
    while last > first and peaks[last - 1][1] <= value:
        last -= 1
    if last > first and peaks[last - 1][0] == index:
        return peaks[first:last]
    return (*peaks[first:last], (index, value))
