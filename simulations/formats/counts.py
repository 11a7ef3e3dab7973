"""Requests that were only counted: so many in each bin of time.

A planner's own: CSV with a column of times (seconds from 0, or a date and time) and one
of counts, named `time` (or `minute`) and `requests` (or `count`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from simulations.chance import generator
from simulations.formats.reader import EPOCH_S, MOST, Reader, RuleError, rows, whole
from simulations.formats.stamps import Stamps
from simulations.trace import MOST_S, Trace, TraceError, trace

_TIMES = ("time", "minute", "timestamp")
_COUNTS = ("requests", "count", "requests_per_minute")
_SHORTEST_S, _COARSE_S = 1e-3, 300.0


class Bins:
    """Counts, bin by bin, until they are a trace."""

    def __init__(self, reader: Reader, seed: int) -> None:
        self._reader = reader
        self._seed = seed
        self._begins = array("d")
        self._counts = array("q")
        self._total = 0
        self._dated = True

    def add(self, begin: float, count: int, *, dated: bool) -> None:
        """Take the bin that begins then; RuleError: there can be no such one.

        *dated*: it counts from 1970.
        """
        if not abs(begin) <= EPOCH_S:
            raise RuleError("must have a time that is a number of seconds, or a date")
        if self._begins and begin < self._begins[-1] + _SHORTEST_S:
            raise RuleError("must begin after the bin above it")
        if self._begins and begin > self._begins[0] + MOST_S:
            raise RuleError("must not be ten years from the first: is that seconds?")
        if self._total + count > MOST:
            raise RuleError(f"must not lead to over {MOST:,} requests")
        self._total += count
        self._dated &= dated
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
        if not self._total:
            raise TraceError(f"{name}: no request; a trace has at least one")
        sizes, often = np.unique(steps.round(6), return_counts=True)
        width = float(sizes[int(often.argmax())])
        gaps = int((np.rint(steps / width) - 1).clip(min=0).sum())
        if gaps:
            remarks.append(f"{gaps} bins of {width:g} s are missing: taken for empty")
        lengths = np.append(np.where(steps < width - _SHORTEST_S, steps, width), width)
        short = int(np.count_nonzero(lengths < width))
        if short:
            remarks.append(f"{short} bins are shorter: taken to end with the next one")
        at = generator(self._seed, "counts").random(self._total)
        at *= np.repeat(lengths, counts)
        at += np.repeat(begins - begins[0], counts)
        at.sort()
        remarks.append(
            f"counted in bins of {width:g} s: spread evenly, seed {self._seed}"
        )
        if width > _COARSE_S:
            remarks.append(
                "bins this long hide bursts and pauses: there would be more cold "
                "starts, or fewer, than are simulated"
            )
        span_s = float(begins[-1] - begins[0]) + width
        np.minimum(at, span_s, out=at)
        found = trace(at, source=source, span_s=span_s, remarks=tuple(remarks))
        return replace(found, began_s=float(begins[0]) if self._dated else None)


def fits(head: Sequence[str]) -> bool:
    """Say whether a text that begins so counts requests."""
    names = _names(head[0].split(",")) if head else []
    return any(n in _TIMES for n in names) and any(n in _COUNTS for n in names)


def parse(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; where in its bin a request came is drawn by *seed*.

    Times are seconds, or minutes in a column of that name, or dates.
    """
    reader, stamp = Reader(lines, name), Stamps()
    bins, cells = Bins(reader, seed), rows(reader)
    names = _names(next(cells, []))
    when = next((n for n, each in enumerate(names) if each in _TIMES), None)
    many = next((n for n, each in enumerate(names) if each in _COUNTS), None)
    if when is None or many is None:
        raise TraceError(f"{name}: must begin with names, as minute,requests")
    unit = 60.0 if names[when] == "minute" else 1.0
    for row in cells:
        with reader.must("must be a time and a whole number of requests"):
            if len(row) != len(names):
                raise RuleError(f"must have {len(names)} columns, as the line of names")
            said = row[when].strip()
            dated = ":" in said
            at = stamp(said) if dated else float(said) * unit
            bins.add(at, whole(row[many].removesuffix(".0")), dated=dated)
    return bins.trace(name)


def _names(cells: Iterable[str]) -> list[str]:
    return [each.strip().strip('"').lower() for each in cells]
