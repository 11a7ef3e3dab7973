"""A server of one Lease in virtual time, which is slow, loses answers and goes away."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from autoscaler.backends.kubernetes.api import ApiError
from autoscaler.backends.kubernetes.lease import Candidate, Lease
from tests.autoscaler.backends.kubernetes.virtual import now

NAMESPACE, NAME = "here", "leader"


class Records:
    """The record, and how the way to it is."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.record: dict[str, Any] | None = None
        self.version = 0
        self.slow_s = 0.0
        """At most, on the way there and again on the way back."""
        self.lost = 0.0
        """Share of answers that never come."""
        self.away = False
        self.writes = 0

    async def _way(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.slow_s))

    async def call(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Act as a server does: also for who has hung up by then."""
        if self.away:
            raise ApiError(0, "Unreachable", "the server is away")
        done: asyncio.Future[dict[str, Any]] = (
            asyncio.get_running_loop().create_future()
        )

        def arrive() -> None:
            try:
                answer = act()
            except ApiError as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(answer)

        there_s = self.chance.uniform(0, self.slow_s)
        lost = self.chance.random() < self.lost
        asyncio.get_running_loop().call_later(there_s, arrive)
        answer = await done
        await self._way()
        if lost:
            await asyncio.get_running_loop().create_future()
        return answer

    def _found(self) -> dict[str, Any]:
        if self.record is None:
            raise ApiError(404, "NotFound", "there is none")
        return copy.deepcopy(self.record)

    def _put(self, body: Any) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        self.record = copy.deepcopy(body)
        self.record["metadata"]["resourceVersion"] = str(self.version)
        return self._found()

    async def get(self, path: str) -> dict[str, Any]:
        assert path.endswith(f"/{NAMESPACE}/leases/{NAME}")
        return await self.call(self._found)

    async def create(self, path: str, body: Any) -> dict[str, Any]:
        assert path.endswith(f"/{NAMESPACE}/leases")
        assert "resourceVersion" not in body["metadata"]

        def act() -> dict[str, Any]:
            if self.record is not None:
                raise ApiError(409, "AlreadyExists", "there is one")
            return self._put(body)

        return await self.call(act)

    async def replace(self, path: str, body: Any) -> dict[str, Any]:
        expected = body["metadata"]["resourceVersion"]

        def act() -> dict[str, Any]:
            if self._found()["metadata"]["resourceVersion"] != expected:
                raise ApiError(409, "Conflict", "it is another by now")
            return self._put(body)

        return await self.call(act)


class Person:
    """A candidate, what it was told, and a clock of its own."""

    def __init__(
        self,
        identity: str,
        records: Any,
        rate: float = 1.0,
        wall: float = 0.0,
        *,
        namespace: str = NAMESPACE,
        times: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.terms: list[int] = []
        self.stop = asyncio.Event()
        self.news = asyncio.Event()
        chance = random.Random(identity)
        self.lease = Lease(
            records,
            Candidate(namespace=namespace, name=NAME, identity=identity, **times),
            self._changed,
            chance.random,
            lambda: now() * rate,
            lambda: wall + now() * rate,
        )

    def _changed(self) -> None:
        self.news.set()
        term = self.lease.term
        if self.lease.leading and self.terms[-1:] != [term]:
            self.terms.append(term)

    async def run(self) -> None:
        await self.lease.run(self.stop)

    async def until(self, wanted: Callable[[], bool]) -> None:
        while not wanted():
            self.news.clear()
            await self.news.wait()

    async def leads(self) -> None:
        await self.until(lambda: self.lease.leading)
