"""Our own format: what `--record-trace` and `fromzero trace` write.

CSV with a line of names; lines that begin with # are notes, of which `# source:`,
`# began_s:` (since 1970), `# span_s:` and each `# remark:` are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np

from simulations.formats.columns import Columns
from simulations.formats.reader import EPOCH_S, Reader, RuleError, rows, whole
from simulations.trace import MOST_S, UNKNOWN, Trace, TraceError

COLUMNS = ("arrival_s", "model", "input_tokens", "output_tokens", "service_s")
_WHY = "requests are recorded as they end"
_RULE = "must have a number of seconds from 0 on, and no negative number"
_LONG_S = 2 * 86_400.0
_BLOCK = 1 << 16
_MOST_REMARKS = 20
_RECORDED = "--record-trace"
_NOTES = ("source", "began_s", "span_s")


def fits(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is of this format."""
    names = [line for line in head if not line.startswith("#")]
    return bool(names) and "arrival_s" in names[0].strip().split(",")


def parse(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace; *seed* is for formats that leave something to chance."""
    notes: dict[str, str] = {}
    remarks: list[str] = []
    reader = Reader(_noting(lines, notes, remarks), name)
    columns, cells = Columns(begin=0.0, why_unsorted=_WHY), rows(reader)
    names = next(cells, [])
    places = {each: names.index(each) for each in names}
    if "arrival_s" not in places:
        raise TraceError(f"{name}: no column arrival_s; there must be one")

    def cell(row: list[str], column: str) -> str:
        return row[places[column]] if column in places else ""

    def tokens(row: list[str], column: str) -> int:
        said = cell(row, column)
        return whole(said) if said else UNKNOWN

    for row in cells:
        with reader.must(_RULE):
            if len(row) != len(names):
                raise RuleError(f"must have {len(names)} columns, as the line of names")
            columns.add(
                float(row[places["arrival_s"]]),
                cell(row, "model"),
                tokens(row, "input_tokens"),
                tokens(row, "output_tokens"),
                float(cell(row, "service_s") or nan),
            )
    span_s = _noted(notes, "span_s", 0.0, MOST_S, name)
    began_s = _noted(notes, "began_s", -EPOCH_S, EPOCH_S, name)
    if span_s is None and _RECORDED in notes.get("source", ""):
        remarks.append(
            "the recording was not ended: it is taken to end with its last request"
        )
    reader.remarks[:0] = remarks
    found = columns.trace(reader, notes.get("source", name), span_s=span_s)
    doubts = (*found.remarks, *_doubts(found))
    # What is doubtful was so before it was written, too.
    return replace(found, began_s=began_s, remarks=tuple(dict.fromkeys(doubts)))


def write(trace: Trace) -> Iterator[str]:
    """Yield the lines of *trace*; they are read again as the same trace."""
    yield f"# source: {_line(trace.source)}\n"
    yield from (f"# remark: {_line(each)}\n" for each in trace.remarks)
    yield "# format: 1\n"
    if trace.began_s is not None:
        yield f"# began_s: {trace.began_s!r}\n"
    yield f"# span_s: {trace.span_s!r}\n"
    yield ",".join(COLUMNS) + "\n"
    models = [_quoted(model) for model in trace.models]
    for begin in range(0, len(trace), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        for at, model, taken, made, service in zip(
            trace.arrivals[block].tolist(),
            trace.model[block].tolist(),
            trace.input_tokens[block].tolist(),
            trace.output_tokens[block].tolist(),
            trace.services[block].tolist(),
            strict=True,
        ):
            cells = (
                repr(at),
                models[model],
                "" if taken == UNKNOWN else str(taken),
                "" if made == UNKNOWN else str(made),
                "" if isnan(service) else repr(service),
            )
            yield ",".join(cells) + "\n"


def _noted(
    notes: Mapping[str, str], key: str, least: float, most: float, name: str
) -> float | None:
    """Return the seconds of a note; None: there is none."""
    said = notes.get(key)
    if said is None:
        return None
    try:
        found = float(said)
    except ValueError:
        raise TraceError(f"{name}: {key} is {said!r}, not a number") from None
    if not least <= found <= most:
        raise TraceError(
            f"{name}: {key} is {said}; must be seconds, from {least:g} to {most:g}"
        )
    return found


def _doubts(found: Trace) -> Iterator[str]:
    """Yield a remark on what may be milliseconds."""
    at = found.arrivals
    if found.span_s >= _LONG_S and not np.any(at != np.floor(at)):
        yield (
            "arrivals are whole numbers: taken for seconds, so the trace is "
            f"{found.span_s / 86_400.0:.3g} days long"
        )


def _quoted(model: str) -> str:
    if any(each in model for each in ',"\r\n') or model.startswith("#"):
        return '"' + model.replace('"', '""') + '"'
    return model


def _line(text: str) -> str:
    return " ".join(text.split())


def _noting(
    lines: Iterable[str], notes: dict[str, str], remarks: list[str]
) -> Iterator[str]:
    for line in lines:
        if line.startswith("#"):
            key, _, value = (each.strip() for each in line[1:].partition(":"))
            if key == "remark" and len(remarks) < _MOST_REMARKS:
                remarks.append(value)
            elif key in _NOTES:
                notes.setdefault(key, value)
        yield line
