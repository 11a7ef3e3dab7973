"""`fromzero demo`: prepare, play, clean up, and judge."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import uvloop
from aiohttp import ClientSession, ClientTimeout

from autoscaler.core.commands import Status
from fromzero import config, doors, logs
from fromzero.demo import stage
from fromzero.demo.script import Script
from fromzero.demo.story import Story
from fromzero.demo.visitor import Visitor
from fromzero.doors import Doors
from fromzero.logs import LogFormat
from fromzero.machine import Machine
from fromzero.source import Source

_SEED = 20  # The same requests reach version 2 each time.
_REQUEST_S = 60.0


class _Models:
    """The machine as the script sees it."""

    def __init__(self, machine: Machine, copy: Path) -> None:
        self.machine = machine
        self._copy = copy
        self._changed = asyncio.Event()
        machine.loop.listen(lambda event: self._changed.set())

    def statuses(self) -> tuple[Status, ...]:
        return self.machine.loop.statuses()

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._changed.clear()
            await self._changed.wait()

    def change_to_canary(self, percent: int) -> None:
        stage.canary(self._copy, percent)


def run(seconds: float) -> int:
    """Play the demo; return 0 if all was as it should be, after *seconds* at most."""
    logs.begin(LogFormat.TEXT, quiet=True)
    directory = stage.documents()
    stage.prepare(directory)
    story = Story()
    with stage.copied(directory) as copy:
        problems = play(copy, story, seconds)
        problems += [f"still running: {each}" for each in stage.left(copy)]
    for each in dict.fromkeys(problems):
        story.tell("wrong", "", each)
    if not problems:
        story.tell(
            "done", "", "every answer was right, nothing was lost, no process is left"
        )
    return 1 if problems else 0


def play(copy: Path, story: Story, seconds: float) -> list[str]:
    """Serve *copy* and play the script; return what was not as it should be."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(config.PREFIX)}
    flags = {
        "port": 0, "host": "127.0.0.1", "admin_port": 0, "state_dir": copy / ".state",
        "seed": _SEED,
    }  # fmt: skip
    settings = config.resolve(flags, kept, None)
    with doors.opened(settings) as opened:
        defaults = settings.defaults(opened.activator, kept.get("PATH", ""))
        source = Source((copy,), defaults, settings.state_dir)

        async def scene() -> list[str]:
            machine = Machine(source, settings, kept, tell=story.saw)
            return await _scene(_Models(machine, copy), opened, story, seconds)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(scene())


async def _scene(
    models: _Models, opened: Doors, story: Story, seconds: float
) -> list[str]:
    stop = asyncio.Event()
    timeout = ClientTimeout(total=_REQUEST_S)
    base = f"http://{opened.activator}"
    async with asyncio.TaskGroup() as group:
        group.create_task(models.machine.run(opened, stop))
        try:
            async with ClientSession(base, timeout=timeout) as session:
                visitor = Visitor(session)
                try:
                    async with asyncio.timeout(seconds):
                        await Script(visitor, story, models).play()
                except TimeoutError:
                    problems = [f"it was not over after {seconds:g} s"]
                else:
                    problems = []
        finally:
            stop.set()
    problems += visitor.problems
    story.title("The end.")
    story.tell("asked", "", f"{visitor.asked} requests, {visitor.right} answered right")
    if visitor.right != visitor.asked and not visitor.problems:
        problems.append(f"{visitor.asked - visitor.right} requests have no answer")
    return problems
