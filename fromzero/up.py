"""`fromzero up`: serve until told to stop; a table on a terminal, else log lines."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace

import uvloop

from fromzero import access, config, doors, logs
from fromzero.doors import Doors
from fromzero.flags import Flags
from fromzero.logs import LogFormat
from fromzero.machine import Machine
from fromzero.records import recording
from fromzero.signals import ending_by_signals
from fromzero.source import Source


def run(flags: Flags) -> None:
    """Serve; raise BadInput with all problems before anything is started."""
    settings = config.resolve(flags.settings, os.environ, flags.config)
    table = sys.stdout.isatty() and flags.log_format is LogFormat.TEXT
    table = table and not access.on_screen(settings)
    logs.begin(flags.log_format, quiet=table)
    with (
        doors.opened(settings) as opened,
        recording(flags.records) as files,
        access.opened(settings) as log,
    ):
        defaults = settings.defaults(opened.activator, os.environ.get("PATH", ""))
        source = Source(flags.paths, defaults, settings.state_dir)

        async def serve() -> None:
            access.reopening(log)
            written = replace(files, access=log)
            machine = Machine(source, settings, os.environ, written)
            await _until_told(machine, opened, table=table)

        # The second signal is one not to wait for anything: all has been killed.
        with (
            suppress(asyncio.CancelledError),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(serve())


async def _until_told(machine: Machine, opened: Doors, *, table: bool) -> None:
    """Run *machine* until SIGTERM or SIGINT; the second of them hurries."""
    stop = ending_by_signals()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, machine.reload.set)
    if not table:
        await machine.run(opened, stop)
        return
    from fromzero.live import show
    from fromzero.show import console

    screen = console()
    screen.print(f"serving on {opened.activator}, admin port {opened.administration}")
    async with asyncio.TaskGroup() as group:
        shown = group.create_task(show(machine.loop.statuses, screen))
        try:
            await machine.run(opened, stop)
        finally:
            shown.cancel()
