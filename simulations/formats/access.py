"""Access logs: nginx's and Apache's combined, and JSON (fromzero's own, or nginx's)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import nan

from simulations.formats.columns import Columns
from simulations.formats.reader import Reader, RuleError
from simulations.formats.stamps import Stamps
from simulations.trace import MOST_S, Trace

_COMBINED = re.compile(
    r"\S+ \S+ \S+ \[(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{4})\] "
    r'"(?:[^"\\]|\\.)*" \d{3} (?:\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*")?(?: (\d+\.\d+)(?= |$))?.*'
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_TIMES = ("time", "time_iso8601", "timestamp", "msec")
_TOOK = ("duration_s", "request_time")
_REVISION = re.compile(r"(-predictor)?-\d{5}$")
_WHOSE = ("revision", "host", "authority")
_WHY = "a line is written as its request ends"


def fits_combined(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is an access log as web servers write it."""
    return bool(head) and _COMBINED.fullmatch(head[0].strip()) is not None


def parse_combined(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace: a line's time, less how long it took where that is its end.

    That is `$request_time` after the user agent; without it no service time is known.
    """
    reader, stamp = Reader(lines, name), Stamps()
    columns = Columns(dated=True, why_unsorted=_WHY)
    for line in reader:
        found = _COMBINED.fullmatch(line)
        with reader.must("must be a line of an access log in the form combined"):
            if found is None:
                raise ValueError(line)
            day, month, year, clock, zone, took = found.groups()
            date = f"{year}-{_MONTHS.index(month) // 3 + 1:02}-{day}"
            ahead = (int(zone[1:3]) * 60 + int(zone[3:])) * 60
            end = stamp(f"{date} {clock}") - (ahead if zone[0] == "+" else -ahead)
            took_s = nan if took is None else float(took)
            columns.add(end - (took_s if took else 0.0), service_s=took_s)
    return columns.trace(reader, f"access log {name}")


def fits_json(head: Sequence[str]) -> bool:
    """Say whether a text that begins so has an object for each request, with a time."""
    if not head or not head[0].startswith("{"):
        return False
    try:
        row = json.loads(head[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and any(
        each in row for each in (*_TIMES, "start_time")
    )


def parse_json(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace: when each request came and, where it is said, how long it took.

    The service is the model, elsewhere the host; time in a queue is no service time.
    """
    reader, stamp = Reader(lines, name), Stamps()
    columns = Columns(dated=True, why_unsorted=_WHY)
    nobody = 0
    for line in reader:
        with reader.must(f"must be an object with {' or '.join(_TIMES)}, as a date"):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise TypeError(line)
            if row.get("revision") == "":
                nobody += 1
                continue
            at, service_s = _when(row, stamp)
            columns.add(at, _model(row), service_s=service_s)
    if nobody:
        reader.remarks.append(f"{nobody} lines are of no revision: left out")
    return columns.trace(reader, f"access log {name}")


def _model(row: Mapping[str, object]) -> str:
    """Return whose request it was, as recordings have it: all revisions of a service.

    >>> _model({"namespace": "ns", "revision": "iris-predictor-00002"})
    'ns/iris'
    """
    found = str(next((row[each] for each in _WHOSE if row.get(each)), "model"))
    if "namespace" not in row:
        return found
    return f"{row['namespace']}/{_REVISION.sub('', found)}"


def _when(row: Mapping[str, object], stamp: Stamps) -> tuple[float, float]:
    """Return when a request came, and how long a replica took; NaN: not known."""
    if "start_time" in row:  # Envoy's: the begin, and milliseconds.
        begin, took = _seconds(row["start_time"], stamp), row.get("duration")
        return begin, nan if took is None else _number(took) / 1_000.0
    said = next((row[each] for each in _TIMES if each in row), None)
    took = next((row[each] for each in _TOOK if each in row), None)
    if took is None:
        return _seconds(said, stamp), nan
    took_s, held_s = _number(took), _number(row.get("hold_s", 0.0))
    if not (0.0 <= took_s <= MOST_S and 0.0 <= held_s <= MOST_S):
        raise RuleError(f"must have {' or '.join(_TOOK)} and hold_s of 0 s or more")
    return _seconds(said, stamp) - took_s, max(0.0, took_s - held_s)


def _number(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        raise RuleError(f"{said!r} must be a number")
    return float(said)


def _seconds(said: object, stamp: Stamps) -> float:
    text = str(said)
    if isinstance(said, float) or re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    zone = re.search(r"([+-])(\d{2}):?(\d{2})$", text)
    if zone is None:
        return stamp(text)
    ahead = (int(zone[2]) * 60 + int(zone[3])) * 60
    return stamp(text[: zone.start()]) - (ahead if zone[1] == "+" else -ahead)
