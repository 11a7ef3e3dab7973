"""The access log that was asked for, open while the program serves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from activator.access_log import AccessLog
from activator.sink import Sink
from autoscaler.clock import monotonic, wall
from autoscaler.errors import BadInput, Problem
from fromzero.config import Settings

_STREAMS: Final = {"stdout": 1, "stderr": 2}


@contextmanager
def opened(settings: Settings) -> Iterator[AccessLog | None]:
    """Open the log that *settings* ask for; None: none. Raise BadInput if it fails."""
    if settings.access_log == "off":
        yield None
        return
    where = settings.access_log_file
    try:
        sink = Sink(where if isinstance(where, Path) else _STREAMS[where])
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        problem = Problem(field="access-log-file", value=str(where), rule=rule)
        raise BadInput([problem]) from error
    log = AccessLog(sink, monotonic, wall, json=settings.access_log == "json")
    try:
        yield log
    finally:
        log.close()


def on_screen(settings: Settings) -> bool:
    """Say whether lines are written where a table would be shown."""
    return settings.access_log != "off" and settings.access_log_file in _STREAMS


def reopening(log: AccessLog | None) -> None:
    """Have SIGUSR1 open the file of *log* anew, as who rotates logs asks for it."""
    if log is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, log.reopen)
