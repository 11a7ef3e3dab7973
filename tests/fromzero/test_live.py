from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from rich.console import Console

from fromzero.live import show
from tests.fakes.known import ASLEEP


def test_the_table_is_drawn_when_something_changed_and_the_last_one_stays():
    async def scene():
        out = io.StringIO()
        drawn = Console(file=out, force_terminal=True, width=120, color_system=None)
        states = iter(("asleep", "asleep", "starting", "ready"))
        ready = asyncio.Event()

        def statuses():
            state = next(states, "")
            if not state:
                ready.set()
            return (replace(ASLEEP, state=state or "ready"),)

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(show(statuses, drawn, every_s=0.0))
            await ready.wait()
            task.cancel()

        return out.getvalue()

    said = asyncio.run(scene())

    assert said.index("asleep") < said.index("starting") < said.rindex("ready ")
    assert said.count("starting") == 1


def test_what_goes_wrong_while_drawing_leaves_the_terminal_as_it_was():
    async def scene():
        out = io.StringIO()
        drawn = Console(file=out, force_terminal=True, width=120)

        def statuses():
            raise ArithmeticError("a bug")

        with pytest.raises(ArithmeticError):
            await show(statuses, drawn)
        return out.getvalue()

    assert "\x1b[?25h" in asyncio.run(scene())
