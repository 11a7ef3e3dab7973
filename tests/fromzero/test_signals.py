from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fromzero.signals import ending_by_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_is_a_word_and_the_second_the_end(number):
    async def serve(heard: list[str]) -> None:
        stop = ending_by_signals()
        try:
            os.kill(os.getpid(), number)
            await stop.wait()
            heard.append("told")
            os.kill(os.getpid(), number)
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async def scene() -> None:
        heard: list[str] = []
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.TaskGroup() as tasks:
                    await tasks.create_task(serve(heard))
        assert heard == ["told", "cancelled"]

    asyncio.run(scene())
