"""What is to be made true at the API server: the newest wish for each thing wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from autoscaler.clock import Clock, monotonic
from autoscaler.core.pause import pause_s

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")

_log = logging.getLogger(__name__)

_FIRST_S = 0.2
_LONGEST_S = 5.0
"""Somebody may be held for what is to be done, when the API server is back."""


class Errands(Generic[K, W]):
    """Run one job at a time for each thing; a job that fails is tried again, later.

    *do* makes a wish true, and may be called again with the same. No thing waits for
    another; a thing that nobody wishes anything of costs nothing.
    """

    def __init__(
        self,
        do: Callable[[K, W], Awaitable[None]],
        tasks: asyncio.TaskGroup,
        uniform: Callable[[], float],
        clock: Clock = monotonic,
    ) -> None:
        self._do = do
        self._tasks = tasks
        self._uniform = uniform
        self._clock = clock
        self._wishes: dict[K, W] = {}
        self._busy: set[K] = set()
        self._waiting: dict[K, asyncio.Event] = {}

    def want(self, key: K, wish: W) -> None:
        """Have *wish* be true of *key*, instead of what was wished before."""
        self._wishes[key] = wish
        if key in self._busy:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.set()
        else:
            self._busy.add(key)
            self._tasks.create_task(self._run(key))

    def drop(self, key: K) -> None:
        """Wish nothing of *key* any more; a call under way is not taken back."""
        self._wishes.pop(key, None)

    def drop_all(self) -> None:
        """Wish nothing of anything any more."""
        self._wishes.clear()

    def pending(self, key: K) -> bool:
        """Say whether a wish for *key* is not true yet, as far as is known."""
        return key in self._wishes

    async def _run(self, key: K) -> None:
        failures = 0
        try:
            while key in self._wishes:
                wish = self._wishes[key]
                try:
                    await self._do(key, wish)
                except Exception as error:
                    failures += 1
                    _log.warning('errand failed of=%s error="%s"', key, error)
                    await self._rest(key, failures)
                    continue
                failures = 0
                if self._wishes.get(key) is wish:
                    del self._wishes[key]
        finally:
            self._busy.discard(key)
            self._waiting.pop(key, None)

    async def _rest(self, key: K, failures: int) -> None:
        """Wait before another try; a new wish is tried at once, the first time."""
        wait_s = pause_s(failures, _FIRST_S, _LONGEST_S, self._uniform())
        event = self._waiting[key] = asyncio.Event()
        try:
            async with asyncio.timeout(wait_s):
                if failures > 1:
                    await asyncio.get_running_loop().create_future()
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(key, None)
