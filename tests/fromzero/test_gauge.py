"""Who is looked at, and what is said of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.base import Launch, Requested
from autoscaler.backends.usage import TICKS_PER_S, Use, measurable
from autoscaler.core.domain import Metric, RevisionKey, RevisionSpec, ScalingSpec
from autoscaler.kserve import Wanted
from fromzero.gauge import gauge

pytestmark = pytest.mark.skipif(not measurable(), reason="it has no /proc")
IRIS = RevisionKey("default", "iris-predictor-00001")
BERT = RevisionKey("default", "bert-predictor-00001")
OFTEN_S = 0.001
LIMIT_S = 30.0


def wanted(metric: Metric, requested: Requested) -> Wanted:
    return Wanted(
        spec=RevisionSpec(scaling=ScalingSpec(metric=metric)),
        launch=Launch(command=("serve",), requested=requested),
    )


class Bench:
    """Revisions whose one replica uses a core, all the time."""

    def __init__(self, **there: Wanted) -> None:
        self.there = {
            RevisionKey("default", f"{name}-predictor-00001"): each
            for name, each in there.items()
        }
        self.asked: list[RevisionKey] = []
        self.said: dict[RevisionKey, float] = {}
        self._more = asyncio.Event()

    def used(self, key, look):
        self.asked.append(key)
        return {"one": Use(ticks=round(look.at * TICKS_PER_S), memory=50)}

    def say(self, key: RevisionKey, percent: float) -> None:
        self.said[key] = percent
        self._more.set()

    async def more(self) -> None:
        self._more.clear()
        await self._more.wait()

    @asynccontextmanager
    async def gauged(self):
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(
                gauge(lambda: self.there, self.used, self.say, OFTEN_S)
            )
            yield self
            task.cancel()


def test_only_revisions_that_scale_by_use_are_looked_at():
    async def scene():
        bench = Bench(
            iris=wanted(Metric.MEMORY, Requested(memory=200)),
            bert=wanted(Metric.CONCURRENCY, Requested(cpu=1, memory=1)),
        )
        async with bench.gauged():
            await bench.more()
        assert bench.said == {IRIS: 25}
        assert set(bench.asked) == {IRIS}

    asyncio.run(scene())


def test_cpu_is_said_from_the_second_look_on():
    async def scene():
        async with Bench(iris=wanted(Metric.CPU, Requested(cpu=1))).gauged() as bench:
            await bench.more()
        assert len(bench.asked) >= 2

    asyncio.run(scene())


def test_a_request_and_a_metric_may_change_and_a_revision_go_and_come():
    async def scene():
        bench = Bench(iris=wanted(Metric.MEMORY, Requested(memory=200)))
        async with bench.gauged():
            await bench.more()
            bench.there[IRIS] = wanted(Metric.MEMORY, Requested(memory=100))
            while bench.said[IRIS] != 50:
                await bench.more()
            bench.there = {BERT: wanted(Metric.MEMORY, Requested(memory=500))}
            while BERT not in bench.said:
                await bench.more()
            assert bench.said[BERT] == 10
            bench.there[IRIS] = wanted(Metric.CPU, Requested(memory=100))
            asked = len(bench.asked)
            while len(bench.asked) < asked + 4:
                await bench.more()
            assert bench.said[IRIS] == 50

    asyncio.run(scene())
