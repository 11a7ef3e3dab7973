"""A Lease of coordination.k8s.io: at most one of several processes leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from autoscaler.backends.kubernetes.answers import (
    CONFLICT,
    NOT_FOUND,
    ApiError,
    words,
)
from autoscaler.backends.kubernetes.claim import Candidate, Claim
from autoscaler.clock import Clock, monotonic, wall

__all__ = ["Candidate", "Lease"]

_log = logging.getLogger(__name__)

_TRY_S = 5.0  # Of one call: two fit into a renewal's deadline.
_JITTER = 0.5  # Of a retry; client-go's 1.2 would make a fail-over 3 s longer.
_GRAIN_S = 0.001  # Of a loop's time: a timer may be early by so much.
_OTHER = (CONFLICT, NOT_FOUND)  # Answers to a write: the record is another.


class Records(Protocol):
    """What is asked of the API server; each raises ApiError."""

    async def get(self, path: str) -> dict[str, Any]:
        """Return an object."""

    async def create(self, path: str, body: object) -> dict[str, Any]:
        """Make an object that is not there yet."""

    async def replace(self, path: str, body: object) -> dict[str, Any]:
        """Put *body* in the place of an object of the same resourceVersion."""


class Lease:
    """Seek, keep and give back one Lease; *changed* is called when anything here is.

    ``leading`` is judged by the clock at each look, so it ends in time even where no
    answer comes and nothing else runs.
    """

    def __init__(
        self,
        api: Records,
        candidate: Candidate,
        changed: Callable[[], None],
        uniform: Callable[[], float],
        clock: Clock = monotonic,
        wall: Clock = wall,
    ) -> None:
        self._api = api
        self._candidate = candidate
        self._changed = changed
        self._uniform = uniform
        self._clock = clock
        self._wall = wall
        self._claim = Claim(candidate)
        self._told: tuple[object, ...] = (False, "", 0, {})
        self._nudge = asyncio.Event()
        self._leases = (
            f"/apis/coordination.k8s.io/v1/namespaces/{candidate.namespace}/leases"
        )
        self._path = f"{self._leases}/{candidate.name}"
        self.failing = ""
        """Why the last try came to nothing; empty: it did not."""

    @property
    def leading(self) -> bool:
        return self._claim.leading(self._clock())

    @property
    def left_s(self) -> float:
        """How long it still leads if no renewal succeeds; 0: it does not."""
        now = self._clock()
        return self._claim.left_s(now) if self._claim.leading(now) else 0.0

    @property
    def holder(self) -> str:
        """Who leads, as was last heard; empty: nobody."""
        return self._claim.holder

    @property
    def term(self) -> int:
        """The holder's, from 1 on; a leader after another has a higher one."""
        return self._claim.term

    @property
    def annotations(self) -> Mapping[str, str]:
        """Those of the Lease, as the API server last said."""
        return self._claim.annotations

    def annotate(self, key: str, value: str | None) -> None:
        """Have an annotation, or none, for as long as this process leads.

        ``annotations`` has it once it is written; who does not lead is not heard.
        """
        if self.leading and self._claim.annotate(key, value):
            self._nudge.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Seek and keep the lease until *stop*; then give it back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._heed(stop))
                await self._keep(stop)
            await self._release()
        finally:
            self._claim.lose()
            self._tell()

    async def _heed(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._nudge.set()

    async def _keep(self, stop: asyncio.Event) -> None:
        while True:
            self._nudge.clear()
            if stop.is_set():
                return
            await self._try()
            await self._rest()

    async def _try(self) -> None:
        self._tell()
        failing = ""
        try:
            async with asyncio.timeout(min(_TRY_S, self.left_s or _TRY_S)):
                await self._once()
        except (ApiError, TimeoutError) as error:
            # A conflict is another candidate's luck; the next try sees whose it is.
            if not isinstance(error, ApiError) or error.status != CONFLICT:
                failing = words(error)
        if failing and not self.failing:
            _log.warning('lease failing lease=%s error="%s"', self._path, failing)
        self.failing = failing
        self._tell()

    async def _once(self) -> None:
        if self.leading:
            try:
                return await self._write()
            except ApiError as error:
                if error.status not in _OTHER:
                    raise
        await self._look()
        if self._claim.free(self._clock()):
            await self._write()

    async def _look(self) -> None:
        try:
            found = await self._api.get(self._path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            self._claim.observed(None, self._clock())
        else:
            self._claim.observed(found, self._clock())

    async def _write(self) -> None:
        sent = self._clock()
        body = self._claim.claimed(sent, self._wall())
        if self._claim.exists:
            answer = await self._api.replace(self._path, body)
        else:
            answer = await self._api.create(self._leases, body)
        self._claim.won(answer, sent, self._clock())

    async def _rest(self) -> None:
        """Wait for another try; not beyond the moment when leadership ends."""
        rest_s = self._candidate.retry_s * (1 + _JITTER * self._uniform())
        left_s = self._claim.left_s(self._clock())
        if left_s:
            rest_s = min(rest_s, left_s + _GRAIN_S)
        try:
            async with asyncio.timeout(rest_s):
                await self._nudge.wait()
        except TimeoutError:
            pass

    async def _release(self) -> None:
        """Lead no more, then say so: who hears it may lead at once."""
        self._claim.lose()
        self._tell()
        try:
            async with asyncio.timeout(_TRY_S):
                # A renewal that nobody answered may come in between, once.
                for last in (False, True):
                    await self._look()
                    if self.holder != self._candidate.identity:
                        return
                    if await self._let_go(last=last):
                        return
        except (ApiError, TimeoutError) as error:
            _log.warning(
                'lease not released lease=%s error="%s"', self._path, words(error)
            )

    async def _let_go(self, *, last: bool) -> bool:
        body = self._claim.released(self._wall())
        try:
            answer = await self._api.replace(self._path, body)
        except ApiError as error:
            if last or error.status != CONFLICT:
                raise
            return False
        self._claim.observed(answer, self._clock())
        return True

    def _tell(self) -> None:
        now = (self.leading, self.holder, self.term, self.annotations)
        if now == self._told:
            return
        if now[:3] != self._told[:3]:
            _log.info(
                "lease lease=%s leading=%s holder=%s term=%d", self._path, *now[:3]
            )
        self._told = now
        self._changed()
