"""How a program that serves is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal

_log = logging.getLogger(__name__)


def ending_by_signals() -> asyncio.Event:
    """Return what SIGTERM or SIGINT sets; the second cancels the task that asks."""
    stop = asyncio.Event()
    serving = asyncio.current_task()

    def told() -> None:
        if stop.is_set() and serving is not None:
            _log.info("stopping at once")
            serving.cancel()
        else:
            _log.info("stopping: a second signal does not wait for what runs")
            stop.set()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, told)
    return stop
