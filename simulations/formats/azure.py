"""Traces of Azure's: LLM requests with tokens, their counts, and functions.

github.com/Azure/AzurePublicDataset publishes the first and the last; counts of the LLM
trace of 2024 in bins are derived from it by others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulations.formats.columns import Columns
from simulations.formats.counts import Bins
from simulations.formats.reader import Reader, whole
from simulations.formats.stamps import Stamps
from simulations.trace import Trace

TOKENS = "TIMESTAMP,ContextTokens,GeneratedTokens"
COUNTS = "Time,TIMESTAMP"
FUNCTIONS = "app,func,end_timestamp,duration"
_CLOCK_S = 0.1


def fits_tokens(head: Sequence[str]) -> bool:
    """Say whether a text that begins so has a line for each LLM request."""
    return bool(head) and head[0].strip() == TOKENS


def parse_tokens(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; nothing is left to chance."""
    reader, columns, stamp = Reader(lines, name), Columns(dated=True), Stamps()
    rows = iter(reader)
    next(rows, None)
    for line in rows:
        with reader.must(f"must be {TOKENS}"):
            when, taken, made = line.split(",")
            columns.add(stamp(when), "model", whole(taken), whole(made))
    return columns.trace(reader, f"Azure LLM inference trace {name}")


def fits_counts(head: Sequence[str]) -> bool:
    """Say whether a text that begins so counts LLM requests in bins."""
    return bool(head) and head[0].strip() == COUNTS


def parse_counts(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; where in its bin a request came is drawn by *seed*."""
    reader, stamp = Reader(lines, name), Stamps()
    bins = Bins(reader, seed)
    rows = iter(reader)
    next(rows, None)
    for line in rows:
        with reader.must("must be a time and a whole number"):
            when, count = line.split(",")
            bins.add(stamp(when), whole(count), dated=True)
    return bins.trace(f"Azure LLM inference trace {name}")


def fits_functions(head: Sequence[str]) -> bool:
    """Say whether a text that begins so has a line for each call of a function."""
    return bool(head) and head[0].strip() == FUNCTIONS


def parse_functions(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; a function is a model, and its duration the service time."""
    why = "calls are written as they end"
    reader, columns = Reader(lines, name), Columns(begin=0.0, why_unsorted=why)
    rows = iter(reader)
    next(rows, None)
    early = 0
    for line in rows:
        with reader.must(f"must be {FUNCTIONS}"):
            _, function, end, duration = line.split(",")
            took_s = float(duration)
            at = float(end) - took_s
            # NaN stays NaN.
            columns.add(max(at, 0.0), function, service_s=took_s)
            # The clock of the end is finer than that of the duration.
            early += at < -_CLOCK_S
    if early:
        reader.remarks.append(
            f"{early} calls began before the trace: taken to come at its begin"
        )
    return columns.trace(reader, f"Azure Functions trace {name}")
