"""What is to be made true at the API server: the newest wish for each thing wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

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
    ) -> None:
        self._do = do
        self._tasks = tasks
        self._uniform = uniform
        self._wishes: dict[K, W] = {}
        self._busy: set[K] = set()
        self._waiting: dict[K, asyncio.Event] = {}
        self._under_way: dict[K, tuple[W, asyncio.Timeout]] = {}

    def want(self, key: K, wish: W) -> None:
        """Have *wish* be true of *key*, instead of what was wished before."""
        if key in self._wishes and self._wishes[key] == wish:
            return
        self._wishes[key] = wish
        if key in self._busy:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.set()
        else:
            self._busy.add(key)
            self._tasks.create_task(self._run(key))

    def drop(self, key: K) -> None:
        """Wish nothing of *key* any more; a job under way is not taken back."""
        self._wishes.pop(key, None)

    def abandon(self, key: K) -> None:
        """Wish nothing of *key* any more, and break off a job under way."""
        self.drop(key)
        if key in self._under_way:
            self._under_way[key][1].reschedule(asyncio.get_running_loop().time())

    def abandon_all(self) -> None:
        """Wish nothing of anything any more, and break off what is under way."""
        self._wishes.clear()
        for key in self._under_way:
            self.abandon(key)

    def pending(self, key: K) -> bool:
        """Say whether a wish for *key* is not true yet, as far as is known."""
        return key in self._wishes

    def under_way(self, key: K) -> W | None:
        """Return what is being made true of *key*, whatever is wished by now."""
        return self._under_way[key][0] if key in self._under_way else None

    async def _run(self, key: K) -> None:
        failures = 0
        try:
            while key in self._wishes:
                wish = self._wishes[key]
                limit = asyncio.timeout(None)
                try:
                    await self._try(key, wish, limit)
                except Exception as error:
                    if limit.expired():
                        continue  # It was broken off.
                    failures += 1
                    _log.warning('errand failed of=%s error="%s"', key, error)
                    await self._rest(key, failures)
                    continue
                failures = 0
                if self._wishes.get(key) is wish:
                    del self._wishes[key]
        finally:
            self._busy.discard(key)

    async def _try(self, key: K, wish: W, limit: asyncio.Timeout) -> None:
        async with limit:
            self._under_way[key] = wish, limit
            try:
                await self._do(key, wish)
            finally:
                del self._under_way[key]

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
