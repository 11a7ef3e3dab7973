"""Requests that were only counted: so many in each bin of time.

A planner's own: CSV with a column of times (seconds from 0, or a date and time) and one
of counts, named `time` (or `minute`) and `requests` (or `count`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import isfinite

import numpy as np

from simulations.chance import generator
from simulations.formats.reader import MOST_S, Reader, Stamps
from simulations.trace import Trace, TraceError, trace

_TIMES = ("time", "minute", "timestamp")
_COUNTS = ("requests", "count", "requests_per_minute")
_MOST = 200_000_000
"""Requests; more would not be in memory."""


class Bins:
    """Counts, bin by bin, until they are a trace."""

    def __init__(self, reader: Reader, seed: int) -> None:
        self._reader = reader
        self._seed = seed
        self._begins = array("d")
        self._counts = array("q")
        self._total = 0

    def add(self, begin: float, count: int) -> None:
        """Take the bin that begins then; ValueError: there can be no such count."""
        if count < 0 or not isfinite(begin):
            raise ValueError("no such bin")
        self._total += count
        if self._total > _MOST:
            raise TraceError(
                f"{self._reader.name}:{self._reader.number}: {self._total} requests "
                f"up to here; at most {_MOST}"
            )
        self._begins.append(begin)
        self._counts.append(count)

    def trace(self, source: str) -> Trace:
        """Return as many requests as were counted, spread evenly over their bins."""
        name, remarks = self._reader.name, list(self._reader.remarks)
        if len(self._begins) < 2:
            raise TraceError(
                f"{name}: {len(self._begins)} bins; two tell how long one is"
            )
        begins = np.frombuffer(self._begins, dtype=np.float64)
        counts = np.frombuffer(self._counts, dtype=np.int64)
        steps = np.diff(begins)
        if (steps <= 0).any():
            first = int(np.flatnonzero(steps <= 0)[0]) + 2
            raise TraceError(f"{name}: bin {first} is not after the one before it")
        if not self._total:
            raise TraceError(f"{name}: no request; a trace has at least one")
        if begins[-1] - begins[0] > MOST_S:
            raise TraceError(
                f"{name}: {begins[-1] - begins[0]:g} s long; more than ten years: is "
                "the time in seconds?"
            )
        sizes, often = np.unique(steps.round(6), return_counts=True)
        width = float(sizes[int(often.argmax())])
        gaps = int((np.rint(steps / width) - 1).clip(min=0).sum())
        if gaps:
            remarks.append(f"{gaps} bins of {width:g} s are missing: taken for empty")
        drawn = generator(self._seed, "counts").random(self._total)
        at = np.repeat(begins - begins[0], counts) + drawn * width
        at.sort()
        remarks.append(
            f"counted in bins of {width:g} s: spread evenly, seed {self._seed}"
        )
        span_s = float(begins[-1] - begins[0]) + width
        return trace(at, source=source, span_s=span_s, remarks=tuple(remarks))


def fits(head: Sequence[str]) -> bool:
    """Say whether a text that begins so counts requests."""
    names = _names(head[0]) if head else []
    return any(n in _TIMES for n in names) and any(n in _COUNTS for n in names)


def parse(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; where in its bin a request came is drawn by *seed*.

    Times are seconds, or minutes in a column of that name, or dates.
    """
    reader, stamp = Reader(lines, name), Stamps()
    bins, rows = Bins(reader, seed), iter(reader)
    names = _names(next(rows, ""))
    when = next((n for n, each in enumerate(names) if each in _TIMES), None)
    many = next((n for n, each in enumerate(names) if each in _COUNTS), None)
    if when is None or many is None:
        raise TraceError(f"{name}: must begin with names, as minute,requests")
    unit = 60.0 if names[when] == "minute" else 1.0
    for line in rows:
        cells = line.split(",")
        try:
            said = cells[when].strip()
            at = stamp(said) if "-" in said[1:] else float(said) * unit
            bins.add(at, int(cells[many]))
        except (ValueError, IndexError):
            rule = "must be a time and a whole number of requests"
            if (error := reader.bad(rule)) is not None:
                raise error from None
    return bins.trace(name)


def _names(line: str) -> list[str]:
    return [each.strip().lower() for each in line.split(",")]
