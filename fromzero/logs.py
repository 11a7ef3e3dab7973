"""Log lines: plain ones for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum

from fromzero.printable import printable


class LogFormat(StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        # A message from outside must stay on its line.
        said = printable(record.getMessage())
        lines = [f"{at} {record.levelname.lower():7} {said}"]
        if record.exc_info:
            # What an exception says may come from outside too: no line of it begins
            # as ours do.
            trace = self.formatException(record.exc_info).split("\n")
            lines += [f"  {printable(each)}" for each in trace]
        return "\n".join(lines)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # The one control character that json leaves as it is.
        return json.dumps(line).replace("\x7f", "\\u007f")


def begin(form: LogFormat, *, quiet: bool = False) -> None:
    """Write log lines to stderr; *quiet*: warnings and worse, beside a table."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form is LogFormat.JSON else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if quiet else logging.INFO)
