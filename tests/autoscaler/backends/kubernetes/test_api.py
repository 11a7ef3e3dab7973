"""Calls to an API server: what is sent, what is raised, and that each has an end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from autoscaler.backends.kubernetes.api import Api, ApiError, Patch
from tests.autoscaler.backends.kubernetes.troubled import (
    LIMIT_S,
    Trouble,
    answering,
    listening,
    road,
)

MAPS = "/api/v1/namespaces/{}/configmaps"


def bounded(scene) -> None:
    async def within():
        async with asyncio.timeout(LIMIT_S):
            await scene()

    asyncio.run(within())


async def watched(api: Api, path: str, version: str, timeout_s: int) -> list[dict]:
    async with api.watch(path, version, timeout_s) as events:
        return [each async for each in events]


def test_what_is_not_used_is_not_imported():
    code = (
        "import sys, autoscaler.backends.kubernetes.api\n"
        "assert not [m for m in sys.modules if m.startswith('kubernetes_asyncio')]"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_call_carries_the_token_the_query_and_the_kind_of_its_patch():
    async def scene():
        async with (
            answering((200, {"kind": "X"}, {})) as (url, asked),
            Api.at(url, "word", None) as api,
        ):
            await api.patch("/a/b", {"x": 1}, Patch.STRATEGIC, dryRun="All", force=True)
            await api.delete("/a/b", gracePeriodSeconds=3)

            patch, delete = asked

        assert patch.headers["Authorization"] == "Bearer word"
        assert patch.headers["Content-Type"] == Patch.STRATEGIC
        assert dict(patch.query) == {"dryRun": "All", "force": "true"}
        assert (delete.method, delete.query["gracePeriodSeconds"]) == ("DELETE", "3")

    bounded(scene)


def test_an_answer_that_asks_to_wait_is_waited_for_and_asked_again():
    async def scene():
        busy = (429, {"kind": "Status"}, {"Retry-After": "1"})
        async with (
            answering(busy, (200, {"kind": "X"}, {})) as (url, asked),
            Api.at(url, "word", None) as api,
        ):
            assert await api.create("/a", {}) == {"kind": "X"}
            assert len(asked) == 2

    bounded(scene)


def test_one_that_asks_for_longer_than_a_call_lasts_is_raised_at_once():
    async def scene():
        busy = (429, {"kind": "Status"}, {"Retry-After": "3"})
        async with (
            answering(busy) as (url, asked),
            Api.at(url, "word", None, timeout_s=2.0) as api,
        ):
            with pytest.raises(ApiError) as caught:
                await api.get("/a")

        assert (caught.value.status, caught.value.retry_after_s) == (429, 3.0)
        assert len(asked) == 1

    bounded(scene)


def test_a_server_that_never_answers_is_left_in_time():
    async def scene():
        async with road("http://127.0.0.1:1") as way, way.api(timeout_s=0.2) as api:
            way.troubles += [Trouble(silent=True), Trouble(silent=True)]
            with pytest.raises(ApiError) as caught:
                await api.get("/a")
            with pytest.raises(ApiError):
                async with api.watch("/a", "1", 60):
                    raise AssertionError("the server has not agreed")

        assert caught.value.status == 0
        assert "GET /a" in str(caught.value)

    bounded(scene)


def test_a_server_that_is_not_there_is_an_error_like_others():
    async def scene():
        async with Api.at("http://127.0.0.1:1", "word", None) as api:
            with pytest.raises(ApiError, match="GET /a"):
                await api.get("/a")

    bounded(scene)


def test_credentials_that_are_not_there_are_an_error_like_others(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "config").write_text("{}")

    async def scene():
        for api in (
            Api.in_cluster(),
            Api.from_kubeconfig(tmp_path / "config"),
            Api.from_kubeconfig(tmp_path / "nowhere"),
            Api.at("https://127.0.0.1:1", "word", tmp_path / "nowhere"),
        ):
            with pytest.raises(ApiError, match="credentials"):
                async with api:
                    raise AssertionError("there are none")

    bounded(scene)


def test_a_token_that_a_program_makes_is_made_again_when_it_is_refused(tmp_path):
    word = tmp_path / "word"
    word.write_text("old")
    program = (
        "import json, pathlib; print(json.dumps({'kind': 'ExecCredential', "
        "'apiVersion': 'client.authentication.k8s.io/v1', 'status': {'token': "
        f"pathlib.Path({str(word)!r}).read_text()}}}}))"
    )

    async def scene():
        async with answering(
            (200, {}, {}), (401, {}, {}), (200, {"kind": "X"}, {}), (401, {}, {})
        ) as (url, asked):
            path = tmp_path / "config"
            path.write_text(json.dumps(by_program(url, program)))
            async with Api.from_kubeconfig(path, "there") as api:
                await api.get("/a")
                word.write_text("new")
                assert await api.get("/a") == {"kind": "X"}
                with pytest.raises(ApiError) as caught:
                    await api.get("/a")

        assert [each.headers["Authorization"] for each in asked] == [
            "Bearer old",
            "Bearer old",
            "Bearer new",
            "Bearer new",
        ]
        assert caught.value.status == 401

    bounded(scene)


class Listing:
    """A list of objects of *sizes* in bytes, a page as large as it is asked for."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.limits: list[int] = []
        self.answered: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        begin = int(request.query.get("continue", "0"))
        sizes = self.sizes[begin : begin + limit]
        more = str(begin + limit) if begin + limit < len(self.sizes) else ""
        page = {
            "metadata": {"continue": more},
            "items": [{"n": begin + n, "x": "x" * s} for n, s in enumerate(sizes)],
        }
        text = json.dumps(page)
        self.limits.append(limit)
        self.answered.append(len(text))
        return web.Response(text=text)


@asynccontextmanager
async def listed(sizes: list[int]):
    its = Listing(sizes)
    app = web.Application()
    app.router.add_get("/list", its.answer)
    async with listening(app) as url, Api.at(url, "word", None) as api:
        yield api, its


async def numbers(api: Api) -> list[int]:
    return [each["n"] async for page in api.pages("/list") for each in page["items"]]


MIB = 1 << 20


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([100] * 1000, id="small ones"),
        pytest.param([MIB] * 40, id="large ones"),
        pytest.param([100] * 600 + [3 * MIB] * 12 + [100] * 600, id="some large ones"),
        pytest.param([7 * MIB, 7 * MIB], id="the largest"),
    ],
)
def test_a_list_is_whole_however_large_its_objects_are(sizes):
    async def scene():
        async with listed(sizes) as (api, its):
            assert await numbers(api) == list(range(len(sizes)))
            assert max(its.limits) <= 250
            assert len(its.limits) <= 60

    bounded(scene)


def test_pages_become_smaller_before_they_are_too_large_and_larger_again():
    async def scene():
        sizes = [20_000] * 400 + [100] * 2000
        async with listed(sizes) as (api, its):
            await numbers(api)

            assert max(its.answered[1:8]) <= 1.1 * MIB
            assert its.limits[-1] == 250

    bounded(scene)


def test_an_object_that_is_too_large_by_itself_is_refused_by_name_of_its_list():
    async def scene():
        async with listed([100, 9 * MIB]) as (api, its):
            with pytest.raises(ApiError) as caught:
                await numbers(api)

            assert caught.value.reason == "TooLarge"
            assert "GET /list: an answer of " in str(caught.value)
            assert str(caught.value).endswith("bytes, must be at most 8388608")
            assert its.limits == [250, 62, 15, 3, 1, 2, 1]

    bounded(scene)


def by_program(url: str, program: str) -> dict:
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", program],
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"exec": command}}],
        "contexts": [{"name": "there", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "nowhere",
    }


def config_map(name: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data,
    }


@pytest.mark.slow
def test_a_real_server_makes_changes_lists_and_takes_away(cluster, space):
    async def scene():
        path = MAPS.format(space)
        async with Api.from_kubeconfig(cluster.kubeconfig()) as api:
            made = await api.create(path, config_map("a", x="1"))
            with pytest.raises(ApiError) as twice:
                await api.create(path, config_map("a"))
            changed = await api.patch(f"{path}/a", {"data": {"y": "2"}})
            with pytest.raises(ApiError) as old:
                await api.replace(f"{path}/a", made | {"data": {}})
            await api.replace(f"{path}/a", changed | {"data": {"z": "3"}})
            found = await api.get(f"{path}/a")
            await api.delete(f"{path}/a")
            with pytest.raises(ApiError) as gone:
                await api.get(f"{path}/a")

        assert changed["data"] == {"x": "1", "y": "2"}
        assert found["data"] == {"z": "3"}
        assert (twice.value.status, twice.value.reason) == (409, "AlreadyExists")
        assert (old.value.status, old.value.reason) == (409, "Conflict")
        assert (gone.value.status, gone.value.reason) == (404, "NotFound")

    bounded(scene)


@pytest.mark.slow
def test_pages_of_a_real_server_have_each_object_once(cluster, space):
    async def scene():
        path = MAPS.format(space)
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            async with asyncio.TaskGroup() as group:
                for number in range(25):
                    group.create_task(api.create(path, config_map(f"m{number}")))
            pages = [
                [each["metadata"]["name"] for each in page["items"]]
                async for page in api.pages(path, limit=10)
            ]

        assert [len(each) for each in pages] == [10, 10, 6]  # And one of Kubernetes'.
        assert len({name for page in pages for name in page}) == 26

    bounded(scene)


@pytest.mark.slow
def test_a_watch_of_a_real_server_goes_on_where_it_was_and_ends_in_time(cluster, space):
    async def scene():
        path = MAPS.format(space)
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            before = (await api.get(path))["metadata"]["resourceVersion"]
            await api.create(path, config_map("a"))
            await api.patch(f"{path}/a", {"data": {"y": "2"}})
            await api.delete(f"{path}/a")

            events = await watched(api, path, before, 1)

        found = [
            (each["type"], each["object"]["metadata"].get("name", ""))
            for each in events
        ]

        assert found[:3] == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    bounded(scene)


@pytest.mark.slow
def test_a_watch_of_long_ago_is_too_old_for_a_real_server(cluster, space):
    async def scene():
        # Its cache is younger than the first version; that of a kind of old is not.
        path = f"/apis/serving.kserve.io/v1beta1/namespaces/{space}/inferenceservices"
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            await api.get(path)
            with pytest.raises(ApiError) as caught:
                await watched(api, path, "1", 1)

        assert caught.value.status == 410

    bounded(scene)


@pytest.mark.slow
def test_a_watch_that_breaks_off_in_a_line_is_an_error(cluster, space):
    async def scene():
        path = MAPS.format(space)
        async with (
            road(cluster.url, cluster.admin.token, str(cluster.ca)) as way,
            way.api() as api,
        ):
            before = (await api.get(path))["metadata"]["resourceVersion"]
            await api.create(path, config_map("a", x="1" * 1000))
            way.troubles.append(Trouble(cut=500))
            with pytest.raises(ApiError) as caught:
                await watched(api, path, before, 30)

        assert caught.value.status == 0

    bounded(scene)


@pytest.mark.slow
def test_pages_of_large_objects_of_a_real_server_have_each_once(cluster, space):
    async def scene():
        path = MAPS.format(space)
        async with Api.at(cluster.url, cluster.admin.token, cluster.ca) as api:
            for number in range(20):
                await api.create(path, config_map(f"m{number}", x="x" * 900_000))
            pages = [
                [each["metadata"]["name"] for each in page["items"]]
                async for page in api.pages(path)
            ]

        assert max(map(len, pages)) <= 15
        assert sum(map(len, pages)) == 21  # And one of Kubernetes'.
        assert len({name for page in pages for name in page}) == 21

    bounded(scene)
