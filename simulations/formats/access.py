"""Access logs: nginx's and Apache's combined, and JSON (fromzero's own, or nginx's)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from math import nan

from simulations.formats.reader import Columns, Reader, Stamps
from simulations.trace import Trace

_COMBINED = re.compile(
    r"\S+ \S+ \S+ \[(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{4})\] "
    r'"(?:[^"\\]|\\.)*" \d{3} (?:\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*")?(?: (\d+\.\d+))?.*'
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_TIMES = ("time", "time_iso8601", "timestamp", "msec")
_TOOK = ("duration_s", "request_time")
_LATEST_S = 1e11
"""Since 1970: a larger number counts milliseconds."""
_WHY = "a line is written as its request ends"


def fits_combined(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is an access log as web servers write it."""
    return bool(head) and _COMBINED.fullmatch(head[0].strip()) is not None


def parse_combined(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace: a line's time, less how long it took where that is its end.

    That is `$request_time` after the user agent; without it no service time is known.
    """
    reader, columns, stamp = Reader(lines, name), Columns(), Stamps()
    for line in reader:
        found = _COMBINED.fullmatch(line)
        try:
            if found is None:
                raise ValueError(line)
            day, month, year, clock, zone, took = found.groups()
            date = f"{year}-{_MONTHS.index(month) // 3 + 1:02}-{day}"
            ahead = (int(zone[1:3]) * 60 + int(zone[3:])) * 60
            end = stamp(f"{date} {clock}") - (ahead if zone[0] == "+" else -ahead)
            took_s = nan if took is None else float(took)
            columns.add(end - (took_s if took else 0.0), service_s=took_s)
        except ValueError:
            rule = "must be a line of an access log in the form combined"
            if (error := reader.bad(rule)) is not None:
                raise error from None
    return columns.trace(reader, f"access log {name}", why_unsorted=_WHY)


def fits_json(head: Sequence[str]) -> bool:
    """Say whether a text that begins so has an object for each request, with a time."""
    if not head or not head[0].startswith("{"):
        return False
    try:
        row = json.loads(head[0])
    except ValueError:
        return False
    return isinstance(row, dict) and any(each in row for each in _TIMES)


def parse_json(lines: Iterable[str], name: str, seed: int) -> Trace:
    """Return the trace: when each request came and, where it is said, how long it took.

    The revision is the model, in nginx's the host; time in a queue is no service time.
    """
    reader, columns, stamp = Reader(lines, name), Columns(), Stamps()
    nobody = 0
    for line in reader:
        try:
            row = json.loads(line)
            if row.get("revision") == "":
                nobody += 1
                continue
            end = _seconds(next(row[each] for each in _TIMES if each in row), stamp)
            took = next((row[each] for each in _TOOK if each in row), None)
            took_s = nan if took is None else float(took)
            held_s = float(row.get("hold_s", 0.0))
            columns.add(
                end if took is None else end - took_s,
                str(row.get("revision") or row.get("host") or "model"),
                service_s=took_s if took is None else max(0.0, took_s - held_s),
            )
        except (ValueError, TypeError, AttributeError, StopIteration, RecursionError):
            rule = f"must be an object with {' or '.join(_TIMES)}, seconds or a date"
            if (error := reader.bad(rule)) is not None:
                raise error from None
    if nobody:
        reader.remarks.append(f"{nobody} lines are of no revision: left out")
    return columns.trace(reader, f"access log {name}", why_unsorted=_WHY)


def _seconds(said: object, stamp: Stamps) -> float:
    text = str(said)
    if isinstance(said, int | float) or re.fullmatch(r"\d+(\.\d+)?", text):
        since = float(text)
        if since > _LATEST_S:
            raise ValueError(text)
        return since
    zone = re.search(r"([+-])(\d{2}):?(\d{2})$", text)
    if zone is None:
        return stamp(text)
    ahead = (int(zone[2]) * 60 + int(zone[3])) * 60
    return stamp(text[: zone.start()]) - (ahead if zone[1] == "+" else -ahead)
