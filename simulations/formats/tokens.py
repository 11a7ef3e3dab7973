"""Public LLM traces with a line for each request: BurstGPT's and Mooncake's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from simulations.formats.reader import Columns, Reader, rows
from simulations.trace import Trace, TraceError

_BURST = ("Timestamp", "Model", "Request tokens", "Response tokens")


def fits_burstgpt(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is of github.com/HPMLL/BurstGPT."""
    names = [each.strip() for each in head[0].split(",")] if head else []
    return all(each in names for each in _BURST)


def parse_burstgpt(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; a Timestamp is in seconds, a failed request has no answer."""
    reader, columns = Reader(lines, name), Columns()
    cells = rows(reader)
    names = [each.strip() for each in next(cells, [])]
    if not all(each in names for each in _BURST):
        raise TraceError(f"{name}: must begin with {','.join(_BURST)}")
    places = [names.index(each) for each in _BURST]
    for row in cells:
        try:
            at, model, taken, made = (row[place] for place in places)
            columns.add(float(at), model, int(taken), int(made))
        except (ValueError, IndexError):
            if (error := reader.bad(f"must be {','.join(names)}")) is not None:
                raise error from None
    return columns.trace(reader, f"BurstGPT trace {name}")


def fits_mooncake(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is of github.com/kvcache-ai/Mooncake."""
    return bool(head) and '"timestamp"' in head[0] and '"input_length"' in head[0]


def parse_mooncake(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; a timestamp is in milliseconds."""
    reader, columns = Reader(lines, name), Columns()
    for line in reader:
        try:
            row = json.loads(line)
            at = float(row["timestamp"]) / 1000.0
            columns.add(
                at, "model", int(row["input_length"]), int(row["output_length"])
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            rule = "must be an object with timestamp, input_length and output_length"
            if (error := reader.bad(rule)) is not None:
                raise error from None
    return columns.trace(reader, f"Mooncake trace {name}")
