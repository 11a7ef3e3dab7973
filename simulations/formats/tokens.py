"""Public LLM traces with a line for each request: BurstGPT's and Mooncake's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from simulations.formats.columns import Columns
from simulations.formats.reader import Reader, RuleError, rows, whole
from simulations.trace import Trace, TraceError

_OBJECT = "must be an object with timestamp, input_length and output_length"
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
        with reader.must(f"must be {','.join(names)}"):
            if len(row) != len(names):
                raise ValueError(row)
            at, model, taken, made = (row[place] for place in places)
            columns.add(float(at), model, whole(taken), whole(made))
    return columns.trace(reader, f"BurstGPT trace {name}")


def fits_mooncake(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is of github.com/kvcache-ai/Mooncake."""
    return bool(head) and '"timestamp"' in head[0] and '"input_length"' in head[0]


def parse_mooncake(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; a timestamp is in milliseconds."""
    reader, columns = Reader(lines, name), Columns()
    for line in reader:
        with reader.must(_OBJECT):
            row = json.loads(line)
            if isinstance(row["timestamp"], float) and row["timestamp"] % 1.0:
                raise RuleError("must have a timestamp of whole milliseconds")
            columns.add(
                whole(row["timestamp"]) / 1000.0,
                "model",
                whole(row["input_length"]),
                whole(row["output_length"]),
            )
    return columns.trace(reader, f"Mooncake trace {name}")
