from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.kubernetes.answers import ApiError
from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.scaler import COST, Scaler
from autoscaler.core.domain import RevisionKey
from tests.kube.documents import at

KEY = RevisionKey("production", "iris")


class Server:
    """An API server of which some calls never come back, or are refused."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.refuses: list[int] = []
        self.says = "no"
        self.stuck: set[str] = set()
        self.free = asyncio.Event()
        self.called = asyncio.Event()
        self.ended = asyncio.Event()
        """A call that was stuck came to an end."""

    async def patch(self, path, body, *, fieldManager):  # noqa: N803 - the API's
        assert fieldManager == "fromzero"
        self.calls.append((path, body))
        self.called.set()
        if any(f"/{name}/" in path for name in self.stuck):
            try:
                await self.free.wait()
            finally:
                self.ended.set()
        if self.refuses:
            raise ApiError(self.refuses.pop(), "Refused", self.says)
        return {}


class Heard:
    """What a scaler reported."""

    def __init__(self) -> None:
        self.accepted: list[tuple[RevisionKey, int]] = []
        self.given_up: list[RevisionKey] = []
        self.refusals: list[tuple[RevisionKey, str]] = []
        self.news = asyncio.Event()

    def accept(self, key: RevisionKey, replicas: int) -> None:
        self.accepted.append((key, replicas))
        self.news.set()

    def refuse(self, key: RevisionKey, reason: str) -> None:
        self.refusals.append((key, reason))
        self.news.set()

    def reconsider(self, key: RevisionKey) -> None:
        self.given_up.append(key)
        self.news.set()

    async def until(self, number: int) -> None:
        while sum(map(len, (self.accepted, self.given_up, self.refusals))) < number:
            self.news.clear()
            await self.news.wait()


@asynccontextmanager
async def scaling(api, left_s=lambda: 10.0):
    heard = Heard()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        scaler = Scaler(
            api,
            heard.accept,
            heard.reconsider,
            heard.refuse,
            tasks,
            lambda: 0.0,
            left_s,
        )
        yield scaler, heard


def want(scaler: Scaler, key: RevisionKey, replicas: int, **more) -> None:
    scaler.want(key, replicas, **({"expected_version": None, "costs": ()} | more))


def test_one_that_is_stuck_holds_up_no_other():
    async def scene():
        server = Server()
        server.stuck.add("stuck")
        async with scaling(server) as (scaler, heard):
            want(scaler, RevisionKey("a", "stuck"), 1)
            for n in range(100):
                want(scaler, RevisionKey("a", f"d{n}"), 1)
            await heard.until(100)
            assert len(heard.accepted) == 100
            server.free.set()

    asyncio.run(scene())


def test_the_same_wish_twice_is_one_call_and_a_new_one_wins():
    async def scene():
        server = Server()
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 1)
            want(scaler, KEY, 1)
            want(scaler, KEY, 3)
            await heard.until(1)
        assert heard.accepted[-1] == (KEY, 3)
        assert len(server.calls) <= 2

    asyncio.run(scene())


def test_a_server_that_fails_is_asked_again():
    async def scene():
        server = Server()
        server.refuses = [500, 0, 429]
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 2)
            await heard.until(1)
        assert heard.accepted == [(KEY, 2)]
        assert len(server.calls) == 4

    asyncio.run(scene())


@pytest.mark.parametrize("status", [404, 409])
def test_what_is_not_as_it_was_is_given_up_and_looked_at_again(status):
    async def scene():
        server = Server()
        server.refuses = [status]
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 0, expected_version="7")
            await heard.until(1)
        assert (heard.given_up, heard.accepted) == ([KEY], [])
        (call,) = server.calls
        assert call[1] == {
            "spec": {"replicas": 0},
            "metadata": {"resourceVersion": "7"},
        }

    asyncio.run(scene())


@pytest.mark.parametrize("status", [403, 422])
def test_what_will_never_be_taken_is_given_up_with_the_reason(status):
    async def scene():
        server = Server()
        server.refuses = [status]
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 1)
            await heard.until(1)
        ((key, reason),) = heard.refusals
        assert (key, heard.accepted) == (KEY, [])
        assert "refuses the scale: no" in reason

    asyncio.run(scene())


def test_a_mark_is_taken_off_who_was_spared():
    async def scene():
        server = Server()
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 2, costs=("a",))
            await heard.until(1)
            want(scaler, KEY, 1, costs=("b",))
            await heard.until(2)
        marks = [
            (path.rsplit("/", 1)[1], body["metadata"]["annotations"][COST])
            for path, body in server.calls
            if "/pods/" in path
        ]
        assert marks == [("a", "-100"), ("a", None), ("b", "-100")]

    asyncio.run(scene())


def test_a_version_that_has_passed_is_not_tried_twice():
    async def scene():
        server = Server()
        server.refuses = [409]
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 0, expected_version="7")
            await heard.until(1)
            for _ in range(5):
                want(scaler, KEY, 0, expected_version="7")
                await asyncio.sleep(0)
            want(scaler, KEY, 0, expected_version="8")
            await heard.until(2)
        assert heard.accepted == [(KEY, 0)]
        assert len(server.calls) == 2

    asyncio.run(scene())


def test_roles_that_are_not_known_yet_are_waited_for():
    async def scene():
        server = Server()
        server.refuses = [403]
        server.says = 'User "a" cannot patch resource "deployments/scale"'
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 1)
            await heard.until(1)
        assert heard.accepted == [(KEY, 1)]

    asyncio.run(scene())


def test_a_pod_that_is_gone_needs_no_mark():
    async def scene():
        server = Server()
        server.refuses = [404]
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 1, costs=("iris-x",))
            await heard.until(1)
        assert heard.accepted == [(KEY, 1)]

    asyncio.run(scene())


def test_a_wake_does_not_wait_for_a_scale_down_under_way():
    async def scene():
        server = Server()
        server.stuck.add("iris")
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 0, expected_version="7")
            await server.called.wait()
            server.stuck.clear()
            want(scaler, KEY, 1)
            await heard.until(1)
        assert heard.accepted == [(KEY, 1)]
        assert [body["spec"]["replicas"] for _, body in server.calls] == [0, 1]

    asyncio.run(scene())


@pytest.mark.parametrize("has", [0, 1])
def test_a_scale_down_under_way_ends_where_there_is_no_need_of_it_any_more(has):
    async def scene():
        server = Server()
        server.stuck.add("iris")
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 0, expected_version="7")
            await server.called.wait()
            scaler.settled(KEY, has)
            if has:
                await server.ended.wait()
            else:
                server.free.set()
                await heard.until(1)
        assert heard.accepted == ([] if has else [(KEY, 0)])

    asyncio.run(scene())


def test_what_is_dropped_is_broken_off():
    async def scene():
        server = Server()
        server.stuck.add("iris")
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 2)
            await server.called.wait()
            scaler.drop(KEY)
            await server.ended.wait()
        assert (len(server.calls), heard.accepted) == (1, [])

    asyncio.run(scene())


def test_a_call_of_the_leader_ends_with_its_leadership():
    async def scene():
        server = Server()
        server.stuck.add("iris")
        left_s = [0.01, 0.01]
        async with scaling(server, lambda: left_s.pop() if left_s else 0.0) as (
            scaler,
            heard,
        ):
            want(scaler, KEY, 0, expected_version="7")
            await server.ended.wait()
        # Then there was no leadership, so it was not tried again.
        assert (len(server.calls), heard.accepted) == (1, [])

    asyncio.run(scene())


def test_who_leads_no_more_marks_pods_at_most():
    async def scene():
        left_s = 10.0

        class Slow(Server):
            async def patch(self, path, body, **more):
                nonlocal left_s
                left_s = 0.0  # While a pod was marked.
                return await super().patch(path, body, **more)

        server = Slow()
        async with scaling(server, lambda: left_s) as (scaler, _):
            want(scaler, KEY, 1, expected_version="7", costs=("a",))
        assert [path.rsplit("/", 1)[1] for path, _ in server.calls] == ["a"]

    asyncio.run(scene())


def test_who_follows_wakes():
    async def scene():
        server = Server()
        async with scaling(server, lambda: 0.0) as (scaler, heard):
            scaler.wake(KEY, "7")
            await heard.until(1)
        assert heard.accepted == [(KEY, 1)]
        ((_, body),) = server.calls
        assert body["metadata"] == {"resourceVersion": "7"}

    asyncio.run(scene())


def test_marks_of_what_is_gone_are_forgotten():
    async def scene():
        server = Server()
        async with scaling(server) as (scaler, heard):
            want(scaler, KEY, 2, costs=("a",))
            await heard.until(1)
            scaler.forget(KEY)
            want(scaler, KEY, 1, costs=("b",))
            await heard.until(2)
        marked = [
            path.rsplit("/", 1)[1] for path, _ in server.calls if "/pods/" in path
        ]
        assert marked == ["a", "b"]

    asyncio.run(scene())


def deployment(name: str, replicas: int) -> dict:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    }


@pytest.mark.slow
def test_a_real_server_scales_by_precondition_and_chooses_the_marked(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        path = at(space, "deployments")
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            await api.create(path, deployment("iris", 3))
            pods: list[dict] = []
            while len(pods) < 3:
                pods = (await api.get(at(space, "pods")))["items"]
            async with scaling(api) as (scaler, heard):
                want(scaler, key, 0, expected_version="1")
                await heard.until(1)
                assert heard.given_up == [key]

                chosen = pods[0]["metadata"]["name"]
                now = (await api.get(f"{path}/iris"))["metadata"]["resourceVersion"]
                want(scaler, key, 2, expected_version=now, costs=(chosen,))
                await heard.until(2)
                while heard.given_up == [key, key]:
                    # The controller wrote its status in between.
                    heard.given_up.pop()
                    now = (await api.get(f"{path}/iris"))["metadata"]["resourceVersion"]
                    want(scaler, key, 2, expected_version=now, costs=(chosen,))
                    await heard.until(2)
            left = {chosen}
            while chosen in left:
                pods = (await api.get(at(space, "pods")))["items"]
                left = {
                    each["metadata"]["name"]
                    for each in pods
                    if "deletionTimestamp" not in each["metadata"]
                }
            assert len(left) == 2
            managers = (await api.get(f"{path}/iris"))["metadata"]["managedFields"]
            scaled = [each for each in managers if each.get("subresource") == "scale"]
            assert [each["manager"] for each in scaled] == ["fromzero"]

    asyncio.run(scene())


@pytest.mark.slow
def test_a_hundred_wakes_at_once_are_all_accepted(cluster, space):
    async def scene():
        path = at(space, "deployments")
        keys = [RevisionKey(space, f"d{n}") for n in range(100)]
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    group.create_task(api.create(path, deployment(key.name, 0)))
            async with scaling(api) as (scaler, heard):
                for key in keys:
                    want(scaler, key, 1)
                await heard.until(100)
            counts = [
                each["spec"]["replicas"]
                async for page in api.pages(path)
                for each in page["items"]
            ]
        assert counts == [1] * 100

    asyncio.run(scene())
