"""Events: written in time, on the real API server too, and a burden to nobody."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.kubernetes.announcer import Announcer
from autoscaler.backends.kubernetes.api import Api, ApiError
from autoscaler.backends.kubernetes.managed import Reference
from tests.autoscaler.backends.kubernetes.virtual import now, virtually
from tests.kube.cluster import eventually

EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"
LIMIT_S = 60.0


def about(name="iris", namespace="lab", uid=""):
    return Reference(
        api_version="v1", kind="ConfigMap", namespace=namespace, name=name, uid=uid
    )


class Server:
    """Keep Events; be troubled as told."""

    def __init__(self) -> None:
        self.events: dict[str, dict] = {}
        self.calls = 0
        self.troubles: list[int | None] = []
        """Statuses of the next answers; None: done, but nobody hears of it."""
        self.always: int | None = None
        self.heard = asyncio.Event()

    async def _answer(self, act) -> dict:
        self.calls += 1
        self.heard.set()
        await asyncio.sleep(0.01)
        trouble = self.troubles.pop(0) if self.troubles else self.always or 200
        if trouble is None:
            act()
            raise ApiError(0, "Unreachable", "the answer was lost")
        if trouble != 200:
            raise ApiError(trouble, "Troubled", "as told")
        return act()

    async def create(self, path: str, body: object) -> dict:
        def act() -> dict:
            name = body["metadata"]["name"]
            if name in self.events:
                raise ApiError(409, "AlreadyExists", name)
            self.events[name] = copy.deepcopy(body)
            return body

        return await self._answer(act)

    async def patch(self, path: str, body: object) -> dict:
        def act() -> dict:
            name = path.rsplit("/", 1)[1]
            if name not in self.events:
                raise ApiError(404, "NotFound", name)
            self.events[name].update(body)
            return self.events[name]

        return await self._answer(act)

    def counts(self) -> list[int]:
        found = self.events.values()
        return [each.get("series", {}).get("count", 1) for each in found]


@asynccontextmanager
async def announcing(api, clock=now):
    """Run an announcer; to leave is to stop it."""
    stop = asyncio.Event()
    its = Announcer(api, "fromzero-0", random.Random(1).random, clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(its.run(stop))
        yield its
        stop.set()


def test_what_is_said_just_before_the_end_is_written():
    async def scene():
        server = Server()
        async with announcing(server) as its:
            its.say(about(), "Slept", "idle for 60 s", warning=False)
        assert server.counts() == [1]

    virtually(scene)


def test_the_end_waits_for_a_server_that_is_away_no_longer_than_a_moment():
    async def scene():
        server = Server()
        server.always = 503
        async with announcing(server) as its:
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            began = now()
        assert now() - began < 3.0

    virtually(scene)


def test_an_event_outlives_an_outage_and_is_written_once():
    async def scene():
        server = Server()
        server.troubles = [None, 0, 0, 429, 0, 0, 0, 0, 503]
        async with announcing(server) as its:
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(300.0)
            assert server.counts() == [1]
            its.say(about(), "Slept", "idle for 60 s", warning=False)
        assert server.counts() == [2]

    virtually(scene)


def test_an_outage_costs_few_calls():
    async def scene():
        server = Server()
        server.always = 429
        async with announcing(server) as its:
            for number in range(500):
                its.say(about(f"map-{number}"), "Slept", "idle", warning=False)
            await asyncio.sleep(600.0)
            assert server.calls < 60
            server.always = None
            await asyncio.sleep(120.0)
        assert len(server.events) == 500
        assert its.dropped == 0

    virtually(scene)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_one_that_is_refused_is_logged_once_and_dropped(status, caplog):
    async def scene():
        server = Server()
        server.always = status
        async with announcing(server) as its:
            for _ in range(3):
                its.say(about(), "Slept", "idle for 60 s", warning=False)
                await asyncio.sleep(5.0)
            assert (server.calls, its.dropped) == (3, 3)
            server.always = None
            its.say(about("other"), "Slept", "idle for 60 s", warning=False)
        assert server.counts() == [1]

    with caplog.at_level(logging.WARNING):
        virtually(scene)
    assert len([each for each in caplog.messages if "refused" in each]) == 1


def test_one_that_the_server_always_fails_at_holds_up_no_other():
    async def scene():
        server = Server()
        create = server.create

        async def fails(path: str, body: object) -> dict:
            if body["reason"] == "Poison":
                raise ApiError(500, "InternalError", "as told")
            return await create(path, body)

        server.create = fails
        async with announcing(server) as its:
            its.say(about(), "Poison", "", warning=True)
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(60.0)
            assert server.counts() == [1]
            assert its.dropped == 1

    virtually(scene)


def test_a_series_whose_event_has_expired_goes_on_in_a_new_one():
    async def scene():
        server = Server()
        async with announcing(server) as its:
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(5.0)
            server.events.clear()
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(5.0)
            assert server.counts() == [2]

    virtually(scene)


def test_a_count_that_was_lost_with_an_answer_is_made_good():
    async def scene():
        server = Server()
        server.troubles = [None]
        async with announcing(server) as its:
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(0.1)
            its.say(about(), "Slept", "idle for 60 s", warning=False)
            await asyncio.sleep(60.0)
            assert server.counts() == [2]

    virtually(scene)


@pytest.mark.slow
def test_a_real_api_server_takes_and_counts_them_and_kubectl_shows_them(cluster, space):
    maps = f"/api/v1/namespaces/{space}/configmaps"
    made = cluster.admin.create(maps, {"metadata": {"name": "iris"}})
    iris = about("iris", space, made["metadata"]["uid"])

    def there(number):
        return lambda: len(cluster.events(space)) == number

    async def scene():
        async with asyncio.timeout(LIMIT_S):
            async with (
                Api.from_kubeconfig(cluster.kubeconfig()) as api,
                announcing(api, asyncio.get_running_loop().time) as its,
            ):
                its.say(iris, "StartFailed", "ü" * 2000, warning=True)
                its.say(iris, "Slept", "idle for 60 s", warning=False)
                await asyncio.to_thread(eventually, "both", there(2))
                its.say(iris, "Slept", "idle for 60 s", warning=False)
                its.say(about("x", "nowhere"), "Slept", "idle", warning=False)
                its.say(about("y" * 253, space), "Q" * 999, "", warning=False)
                await asyncio.to_thread(eventually, "the last", there(3))
            assert its.dropped == 1

    asyncio.run(scene())

    found = {each["reason"]: each for each in cluster.events(space)}
    assert set(found) == {"StartFailed", "Slept", "Q" * 125 + "…"}
    slept, failed = found["Slept"], found["StartFailed"]
    assert slept["series"]["count"] == 2
    assert slept["regarding"]["uid"] == made["metadata"]["uid"]
    assert (slept["type"], failed["type"]) == ("Normal", "Warning")
    assert slept["reportingController"] == "fromzero"
    assert slept["reportingInstance"] == "fromzero-0"
    assert len(failed["note"].encode()) <= 1024
    shown = cluster.kubectl("describe", "configmap", "iris", "-n", space)
    assert "StartFailed" in shown
    assert "idle for 60 s" in shown


@pytest.mark.slow
def test_a_namespace_that_is_ending_takes_none_and_nobody_waits(cluster):
    space = cluster.namespace()
    path = f"/api/v1/namespaces/{space}"
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    cluster.admin.create(f"{path}/configmaps", held)
    cluster.admin.delete(path)

    async def scene():
        async with asyncio.timeout(LIMIT_S):
            async with (
                Api.from_kubeconfig(cluster.kubeconfig()) as api,
                announcing(api, asyncio.get_running_loop().time) as its,
            ):
                its.say(about("held", space), "Slept", "idle", warning=False)
                while not its.dropped:  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.05)

    try:
        asyncio.run(scene())
    finally:
        free = {"metadata": {"finalizers": []}}
        cluster.admin.patch(f"{path}/configmaps/held", free)
