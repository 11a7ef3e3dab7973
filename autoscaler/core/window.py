"""A sliding window of load: one bucket a second, averaged as Knative does.

A second without a record counts as nothing, except before the first one: a window
that is not full yet is averaged over the seconds it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, exp, floor, inf, log

from autoscaler.core.domain import Aggregation

_NEVER = -(1 << 62)
"""A second before any other: stands for "not yet", so that comparisons stay plain."""

_MICRO = 1e6
"""Averages are rounded to six digits, which makes an idle window exactly 0 although
its running total has gathered float errors."""


class Window:
    """The last *window_s* seconds of one load, as a ring of sums.

    >>> window = Window(5, Aggregation.LINEAR)
    >>> for second, load in enumerate([1, 2, 3, 4, 5]):
    ...     window.record(load, now=second + 0.5)
    >>> window.average(now=4.9)
    3.0
    >>> window.average(now=6.0)  # the first two seconds have left
    4.0
    """

    __slots__ = ("_decay", "_first", "_last", "_ring", "_share", "_size", "_total")

    def __init__(self, window_s: int, aggregation: Aggregation) -> None:
        self._size = window_s
        self._ring = [0.0] * window_s
        self._total = 0.0
        self._first = _NEVER
        self._last = _NEVER
        self._share = 0.0
        self._decay = 0.0
        if aggregation is Aggregation.WEIGHTED:
            self._share = smoothing(window_s)
            self._decay = 1.0 - self._share

    @property
    def window_s(self) -> int:
        """Length in seconds, which is the number of buckets."""
        return self._size

    def record(self, value: float, now: float) -> None:
        """Add *value* to the second of *now*; one older than the window is ignored."""
        second = int(now)
        if second != self._last and not self._turn(second):
            return
        self._ring[second % self._size] += value
        self._total += value

    def span(self, load: float, seconds: float, now: float) -> None:
        """Add a mean *load* to each of the *seconds* that end with that of *now*."""
        second, size = int(now), self._size
        count = min(ceil(seconds), size)
        if second < self._last:
            for back in range(count):
                self.record(load * min(1.0, seconds - back), now - back)
            return
        self._turn(second)
        self._first = min(self._first, second - count + 1)
        if load:
            ring = self._ring
            for back in range(count):
                part = load * min(1.0, seconds - back)
                ring[(second - back) % size] += part
                self._total += part

    def average(self, now: float) -> float:
        """Return the mean load of the window that ends with the second of *now*."""
        if self._share:
            return self._weighted(int(now))
        size = self._size
        lag = int(now) - self._last
        total = self._total
        filled = self._last - self._first + 1
        if lag > 0:
            if lag >= size:
                return 0.0
            ring = self._ring
            for second in range(self._last + 1, self._last + lag + 1):
                total -= ring[second % size]
            size -= lag
        return _round(total / (filled if filled < size else size), _MICRO)

    def wanted(self, target: float, now: float) -> int:
        """Return how many replicas, each of which can take *target*, the average makes.

        >>> window = Window(2, Aggregation.LINEAR)
        >>> window.record(3.0, now=0.5)
        >>> window.wanted(2.0, now=0.9)
        2
        """
        return ceil(self.average(now) / target)

    def most(self, target: float, level: int, now: float) -> int:
        """Return a number of replicas, each of which can take *target*, than which the
        average never makes more if each second from now on brings *level*."""
        if not level:
            return self.wanted(target, now)
        return ceil(_round(max(level, max(self._ring)), _MICRO) / target)

    def steady_until(self, target: float, level: int, now: float) -> float:
        """Return when the average first makes another number of replicas, each of which
        can take *target*, if each second from now on brings *level*; inf: never.

        *now*: not known, of a window that is weighted or was not told of this second,
        or of a level above 0 with which a second alone may make two.
        """
        size, second, total = self._size, self._last, self._total
        if self._share or second != int(now):
            return now
        ring, age = self._ring, second - self._first + 1
        mean = _round(total / min(age, size), _MICRO)
        wanted = ceil(mean / target)
        if level:
            # Where no second alone makes two, no mean of them does.
            return inf if wanted == 1 == self.most(target, level, now) else now
        if not wanted:
            return inf
        if wanted == 1:
            # For as long as any second has a load that shows.
            last = next(back for back in range(size) if ring[(second - back) % size])
            if ring[(second - last) % size] > 2 * size / _MICRO:
                return float(second - last + size)
        ahead = 0
        while ceil(mean / target) == wanted:
            ahead += 1
            total -= ring[(second + ahead) % size]
            mean = _round(total / min(age + ahead, size), _MICRO)
        return float(second + ahead)

    def is_empty(self, now: float) -> bool:
        """Say whether nothing was recorded for longer than the window."""
        return int(now) - self._last > self._size

    def resize(self, window_s: int, now: float) -> None:
        """Keep the newest seconds in a window of another length.

        What is kept counts as a full window of the old length, even if it was not.
        """
        old = self._size
        if window_s == old:
            return
        ring = [0.0] * window_s
        if now - self._last <= old:
            for second in range(self._last - min(old, window_s) + 1, self._last + 1):
                ring[second % window_s] = self._ring[second % old]
            self._first = self._last - old + 1
        else:
            self._first = _NEVER
        self._size = window_s
        self._ring = ring
        self._total = sum(ring)
        if self._share:
            self._share = smoothing(window_s)
            self._decay = 1.0 - self._share

    def seconds(self) -> Iterator[tuple[int, float]]:
        """Yield each second of the ring with its sum, oldest first."""
        if self._last != _NEVER:
            for second in range(self._last - self._size + 1, self._last + 1):
                yield second, self._ring[second % self._size]

    def _turn(self, second: int) -> bool:
        """Make room for *second*; say whether it belongs to the window at all."""
        size, last = self._size, self._last
        if second + size <= last:
            return False
        if self._first == _NEVER or second < self._first:
            self._first = second
        if second > last:
            ring = self._ring
            if second - last >= size:
                self._first = second
                ring[:] = [0.0] * size
                self._total = 0.0
            else:
                for skipped in range(last + 1, second + 1):
                    index = skipped % size
                    self._total -= ring[index]
                    ring[index] = 0.0
            self._last = second
        return True

    def _weighted(self, second: int) -> float:
        """Return the sum of the buckets, each weighing less than the one after it."""
        lag = second - self._last
        if lag > self._size:
            return 0.0
        weight, decay = self._share, self._decay
        lag = max(lag, 0)
        weight *= decay**lag
        cut = self._last % self._size + 1
        newest_first = self._ring[cut:] + self._ring[:cut]
        newest_first.reverse()
        average = 0.0
        for value in newest_first[: self._size - lag]:
            average += value * weight
            weight *= decay
        return average


def smoothing(window_s: int) -> float:
    """Return the weight of the newest second of an exponentially weighted window.

    All seconds of the window together weigh 99.99 %, unless that makes the newest
    weigh less than 0.2.

    >>> smoothing(60)
    0.2
    >>> round(smoothing(6), 5)
    0.78456
    """
    # As Go's math.Pow(0.0001, 1/n) does it: the last bit decides at whole numbers.
    return max(1.0 - exp(log(0.0001) * (1.0 / window_s)), 0.2)


def rounded(value: float, digits: int) -> float:
    """Round to *digits* decimals, halves away from zero (Python's go to even).

    >>> rounded(1.2345, 3), rounded(-2.5, 0)
    (1.235, -3.0)
    """
    return _round(value, 10.0**digits)


def _round(value: float, scale: float) -> float:
    scaled = value * scale
    whole = floor(scaled)
    rest = scaled - whole
    if rest > 0.5 or (rest == 0.5 and scaled > 0):
        whole += 1
    return whole / scale
