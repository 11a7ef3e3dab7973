"""Text line by line, and columns that fill up: what the formats have in common."""

from __future__ import annotations

import csv
from array import array
from calendar import monthrange, timegm
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, isfinite, nan
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulations.trace import MOST_S, UNKNOWN, Trace, TraceError, in_order

MOST = 200_000_000
"""Requests; more would not be in memory."""

EPOCH_S = 1e11
"""Seconds since 1970: what is later counts milliseconds."""
_LONG_S = 600.0
_MOST_MODELS = 1_000_000
_MOST_TOKENS = 1_000_000_000
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a trace is wanted: requests that would be drawn outside of it are not.

    Those inside are the same as in the whole; whoever reads a part cuts it out.
    """

    model: str = ""
    """Any, if it is empty."""
    begin_s: float = 0.0
    end_s: float = inf


class RuleError(ValueError):
    """A line breaks a rule, which this says."""


_UNREADABLE = (ValueError, LookupError, TypeError, OverflowError, RecursionError)


class Reader:
    """Lines without their ends, by number; the last may be cut off."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self.name = name
        self.number = 0
        self.remarks: list[str] = []
        self._lines = lines
        self._line = ""
        self._rule = ""
        self._left_out = False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self._line = line
            text = line.rstrip("\r\n")
            if text and not text.startswith("#"):
                yield text
        if self._cut() and not self._left_out:
            self.remarks.append(
                f"line {self.number} does not end: it was read, but may be cut off"
            )

    def must(self, rule: str) -> Self:
        """Return a context in which what cannot be read of a line is an error.

        TraceError: the line, and the rule it breaks. Where it is the last and was cut
        off it is left out, which is remarked.
        """
        self._rule = rule
        return self

    def __enter__(self) -> None:
        """Read a line."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, _UNREADABLE):
            return False
        if self._cut():
            self.remarks.append(f"line {self.number} is cut off: it was left out")
            self._left_out = True
            return True
        raise self.error(
            str(error) if isinstance(error, RuleError) else self._rule
        ) from None

    def error(self, rule: str) -> TraceError:
        """Return what is wrong with the line that was read last."""
        said = self._line.rstrip("\r\n")
        shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        return TraceError(f"{self.name}:{self.number}: {shown!r}; {rule}")

    def _cut(self) -> bool:
        return bool(self._line) and not self._line.endswith("\n")


def rows(reader: Reader) -> Iterator[list[str]]:
    """Yield the cells of each line of CSV; a line is a row, also where it is quoted."""
    cells = csv.reader(reader)
    try:
        for number, row in enumerate(cells, 1):
            if cells.line_num != number:
                raise reader.error("a quote that an earlier line opens ends here")
            yield row
    except csv.Error as error:
        raise reader.error(str(error)) from None


class Columns:
    """The requests of a trace while they are read, from *begin* on.

    Where *begin* is None time begins with the first request; *dated*: what is added
    counts from 1970. Lines may be out of order if *why_unsorted* says why.
    """

    def __init__(
        self,
        *,
        begin: float | None = None,
        dated: bool = False,
        why_unsorted: str = "",
    ) -> None:
        self._dated = dated
        self._begin = begin
        self._why_unsorted = why_unsorted
        self._low = -EPOCH_S if begin is None else begin
        self._high = EPOCH_S if begin is None else begin + MOST_S
        self._arrivals = array("d")
        self._model = array("I")
        self._input = array("q")
        self._output = array("q")
        self._services = array("d")
        self._models: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def add(
        self,
        at: float,
        model: str = "model",
        input_tokens: int = UNKNOWN,
        output_tokens: int = UNKNOWN,
        service_s: float = nan,
    ) -> None:
        """Add one request; RuleError: it cannot be."""
        if not self._low <= at <= self._high:
            raise RuleError(self._why_not(at))
        if len(self._arrivals) >= MOST:
            raise RuleError(f"must be one of at most {MOST:,} requests")
        if service_s < 0 or service_s > MOST_S:  # NaN is one that is not known.
            raise RuleError("a service time must be seconds, from 0 to ten years")
        if input_tokens > _MOST_TOKENS or output_tokens > _MOST_TOKENS:
            raise RuleError(f"must have at most {_MOST_TOKENS:,} tokens")
        number = self._models.get(model)
        if number is None:
            number = self._named(model)
        if not self._arrivals and self._begin is None:
            self._low, self._high = at - MOST_S, at + MOST_S
        if not self._why_unsorted:
            self._low = at
        self._arrivals.append(at)
        self._model.append(number)
        self._input.append(input_tokens)
        self._output.append(output_tokens)
        self._services.append(service_s)

    def trace(
        self, reader: Reader, source: str, *, span_s: float | None = None
    ) -> Trace:
        """Return what was read; columns that were in order are not copied."""
        at = np.frombuffer(self._arrivals, dtype=np.float64)
        if not len(at):
            raise TraceError(f"{reader.name}: no request; a trace has at least one")
        remarks = list(reader.remarks)
        late = int(np.count_nonzero(at[1:] < at[:-1]))
        order: NDArray[np.intp] | slice = slice(None)
        if late:
            order = np.argsort(at, kind="stable")
            remarks.append(f"{late} lines put in order: {self._why_unsorted}")
        arrivals = at[order]
        began = float(arrivals[0])
        if self._begin is None:
            arrivals -= began
        services = np.frombuffer(self._services, dtype=np.float64)[order]
        long = int(np.count_nonzero(services > _LONG_S))
        if 2 * long > int(np.count_nonzero(services >= 0.0)):
            remarks.append(
                f"{long} requests took more than {_LONG_S:g} s each: are those seconds?"
            )
        models, model = in_order(
            tuple(self._models), np.frombuffer(self._model, dtype=np.uint32)[order]
        )
        return Trace(
            models=models,
            arrivals=arrivals,
            model=model,
            input_tokens=np.frombuffer(self._input, dtype=np.int64)[order],
            output_tokens=np.frombuffer(self._output, dtype=np.int64)[order],
            services=services,
            span_s=max(float(arrivals[-1]), span_s or 0.0),
            source=source,
            remarks=tuple(remarks),
            began_s=began if self._dated else None,
        )

    def _named(self, model: str) -> int:
        if not model.isprintable():
            raise RuleError("the name of a model must be printable")
        if len(self._models) >= _MOST_MODELS:
            raise RuleError(f"must be of one of at most {_MOST_MODELS:,} models")
        return self._models.setdefault(model, len(self._models))

    def _why_not(self, at: float) -> str:
        """Return the rule that a request at that time breaks."""
        if not isfinite(at):
            return "must have a time that is a number"
        if self._begin is not None and at < self._begin:
            return f"must not come before {self._begin:g} s"
        if abs(at) > EPOCH_S:
            return "must have its time in seconds; these are milliseconds, or less"
        if self._arrivals and at < self._arrivals[-1] and not self._why_unsorted:
            return "came before the request above it; arrivals must ascend"
        begin = "the begin" if self._begin is not None else "the first"
        return f"must not be ten years from {begin}: is the time in seconds?"


def whole(said: str | float) -> int:
    """Return a count.

    >>> whole("12"), whole(12.0)
    (12, 12)
    """
    if isinstance(said, str):
        found = int(said)
    else:
        found = int(said)
        if found != said or isinstance(said, bool):
            raise RuleError("must have whole numbers")
    if found < 0:
        raise RuleError("must have no number below zero")
    return found


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
        if len(text) == 16:
            return self._seconds
        if text[16:17] != ":":
            raise ValueError(text)
        rest = text[17:].removesuffix("Z").removesuffix("+00:00")
        seconds = float(rest)
        if not 0.0 <= seconds < 61.0:
            raise ValueError(text)
        return self._seconds + seconds


def _minute(text: str) -> float:
    day, between, clock = text[:10], text[10:11], text[11:16]
    (year, month, date), (hour, minute) = (
        map(int, day.split("-")),
        map(int, clock.split(":")),
    )
    if not 1 <= month <= 12:
        raise RuleError("must have a month from 1 to 12")
    if not 1 <= date <= monthrange(year, month)[1]:
        raise RuleError("must have a day that its month has")
    if between not in (" ", "T") or not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(text)
    return float(timegm((year, month, date, hour, minute, 0)))
