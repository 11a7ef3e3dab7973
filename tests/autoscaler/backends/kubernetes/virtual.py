"""An event loop whose time is what it waits for: nothing sleeps, everything is on time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

LIMIT_S = 100_000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """Only for scenes without sockets: what comes from outside never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        alive = [each._when for each in self._scheduled if not each._cancelled]
        if not self._ready and alive:
            self.now = max(self.now, min(alive))
        super()._run_once()


def virtually(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(LIMIT_S):
            await scene()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(within())


def now() -> float:
    return asyncio.get_running_loop().time()
