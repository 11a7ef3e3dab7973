"""The table of revisions on a terminal, drawn again while things change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from autoscaler import answers
from autoscaler.core.commands import Status
from fromzero.show import table

_EVERY_S = 0.25  # As fast as an eye follows a number.


async def show(
    statuses: Callable[[], tuple[Status, ...]],
    console: Console,
    every_s: float = _EVERY_S,
) -> None:
    """Draw the table of *statuses* on *console* until cancelled; leave the last one."""
    with Live(console=console, auto_refresh=False) as live:
        before: tuple[Status, ...] | None = None
        while True:
            now = statuses()
            if now != before:
                rows = [answers.revision(each) for each in now]
                live.update(table(rows), refresh=True)
                before = now
            await asyncio.sleep(every_s)
