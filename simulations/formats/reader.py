"""Text line by line, and the rules that a line may break."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

from simulations.trace import TraceError

MOST = 200_000_000
"""Requests; more would not be in memory."""

EPOCH_S = 1e11
"""Seconds since 1970: what is later counts milliseconds."""

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
