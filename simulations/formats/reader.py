"""Text line by line, and columns that fill up: what the formats have in common."""

from __future__ import annotations

import csv
from array import array
from calendar import timegm
from collections.abc import Iterable, Iterator
from math import inf, isfinite, nan

import numpy as np

from simulations.trace import UNKNOWN, Trace, TraceError

MOST_S = 10 * 366 * 86_400.0
"""No trace is longer than ten years: a larger number of seconds is in another unit."""

_SHOWN = 80
_MOST_TOKENS = 2**53


class Reader:
    """Lines without their ends, by number; the last may be cut off."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self.name = name
        self.number = 0
        self.remarks: list[str] = []
        self._lines = lines
        self._line = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self._line = line
            text = line.rstrip("\r\n")
            if text and not text.startswith("#"):
                yield text

    def bad(self, rule: str) -> TraceError | None:
        """Return what is wrong with this line; None: it is the last, and was cut off,
        which is remarked."""
        if not self._line.endswith("\n"):
            self.remarks.append(f"line {self.number} is cut off: it was left out")
            return None
        said = self._line.rstrip("\r\n")
        shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        return TraceError(f"{self.name}:{self.number}: {shown!r}; {rule}")


def rows(reader: Reader) -> Iterator[list[str]]:
    """Yield the cells of each line of CSV."""
    try:
        yield from csv.reader(reader)
    except csv.Error as error:
        raise TraceError(f"{reader.name}:{reader.number}: {error}") from None


class Columns:
    """The requests of a trace while they are read."""

    def __init__(self) -> None:
        self.arrivals = array("d")
        self._model = array("I")
        self._input = array("q")
        self._output = array("q")
        self._services = array("d")
        self._models: dict[str, int] = {}

    def add(
        self,
        at: float,
        model: str = "model",
        input_tokens: int = UNKNOWN,
        output_tokens: int = UNKNOWN,
        service_s: float = nan,
    ) -> None:
        """Add one request; ValueError: it cannot be."""
        # NaN is a service time that is not known.
        if not isfinite(at) or service_s < 0 or service_s == inf:
            raise ValueError("no time")
        for count in (input_tokens, output_tokens):
            if not UNKNOWN <= count <= _MOST_TOKENS:
                raise ValueError("below zero, or too many")
        self.arrivals.append(at)
        self._model.append(self._models.setdefault(model, len(self._models)))
        self._input.append(input_tokens)
        self._output.append(output_tokens)
        self._services.append(service_s)

    def trace(
        self,
        reader: Reader,
        source: str,
        *,
        begin: float | None = None,
        span_s: float | None = None,
        why_unsorted: str = "",
    ) -> Trace:
        """Return what was read, from *begin* on (None: from the first arrival).

        Requests are put in order where *why_unsorted* says why they may not be.
        """
        at = np.frombuffer(self.arrivals, dtype=np.float64)
        if not len(at):
            raise TraceError(f"{reader.name}: no request; a trace has at least one")
        order = np.argsort(at, kind="stable")
        late = int((np.diff(at) < 0).sum())
        remarks = list(reader.remarks)
        if late:
            if not why_unsorted:
                first = int(np.flatnonzero(np.diff(at) < 0)[0]) + 1
                raise TraceError(
                    f"{reader.name}: request {first + 1} came before the one above it; "
                    "arrivals must ascend"
                )
            remarks.append(f"{late} lines put in order: {why_unsorted}")
        zero = float(at[order[0]]) if begin is None else begin
        if at[order[0]] < zero:
            raise TraceError(
                f"{reader.name}: a request {zero - at[order[0]]:g} s before the begin"
            )
        arrivals = at[order] - zero
        if arrivals[-1] > MOST_S:
            raise TraceError(
                f"{reader.name}: {arrivals[-1]:g} s long; more than ten years: is the "
                "time in seconds?"
            )
        return Trace(
            models=tuple(self._models),
            arrivals=arrivals,
            model=np.frombuffer(self._model, dtype=np.uint32)[order],
            input_tokens=np.frombuffer(self._input, dtype=np.int64)[order],
            output_tokens=np.frombuffer(self._output, dtype=np.int64)[order],
            services=np.frombuffer(self._services, dtype=np.float64)[order],
            span_s=max(float(arrivals[-1]), span_s or 0.0),
            source=source,
            remarks=tuple(remarks),
        )


class Stamps:
    """Times as `2023-11-16 18:17:03.9799600`, in UTC, to seconds since 1970.

    >>> Stamps()("2024-05-10 00:00:10") - Stamps()("2024-05-09T23:59:59.5")
    10.5
    """

    def __init__(self) -> None:
        self._minute = ""
        self._seconds = 0.0

    def __call__(self, text: str) -> float:
        """Return the seconds; ValueError: it is not such a time."""
        minute = text[:16]
        if minute != self._minute:
            self._seconds = _minute(minute)
            self._minute = minute
        if text[16:17] != ":":
            raise ValueError(text)
        rest = text[17:].removesuffix("Z").removesuffix("+00:00")
        seconds = float(rest)
        if not 0.0 <= seconds < 61.0:
            raise ValueError(text)
        return self._seconds + seconds


def _minute(text: str) -> float:
    day, hour, minute = text[:10], text[11:13], text[14:16]
    year, month, date = day.split("-")
    fields = (int(year), int(month), int(date), int(hour), int(minute), 0)
    if not (1 <= fields[1] <= 12 and 1 <= fields[2] <= 31 and fields[3] < 24):
        raise ValueError(text)
    return float(timegm(fields))
