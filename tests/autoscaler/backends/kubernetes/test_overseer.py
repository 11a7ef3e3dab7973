"""Censuses of what a real API server has, handed to a backend that writes them down."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.kubernetes import reading, store
from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.managed import Finding, Managed, Reference
from autoscaler.backends.kubernetes.overseer import Overseer
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.backends.kubernetes.store import Store
from autoscaler.core.domain import RevisionKey
from tests.autoscaler.backends.kubernetes.troubled import Trouble, road
from tests.kube.documents import at

ABOUT = Reference(api_version="v1", kind="ConfigMap", namespace="own", name="revisions")


class Book:
    """A backend that keeps what it is handed, and lets go when it is told to."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        self.kept: dict[RevisionKey, Managed] = {}
        self.looked: list[RevisionKey] = []
        self.clings = False
        self.refused: dict[RevisionKey, str] = {}
        self.records: dict[RevisionKey, tuple] = {}

    @property
    def keys(self):
        return self.kept.keys()

    def managed(self, key):
        return self.kept.get(key)

    def refusals(self):
        return self.refused

    def recorded(self, front, slices):
        self.records[front] = tuple(slices)

    def look_at(self, key):
        self.looked.append(key)
        self.stirred.set()

    def counted(self, namespace, managed):
        if not self.clings:
            others = {k: e for k, e in self.kept.items() if k.namespace != namespace}
            self.kept = others | {each.key: each for each in managed}


def deployment(name: str, **annotations: str) -> dict:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "none",
                            "ports": [{"containerPort": 8080}],
                        }
                    ]
                },
            },
        },
    }


def service(name: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


OPTED = {"fromzero.dev/managed": "true", "fromzero.dev/min-replicas": "0"}


class Watched:
    """An overseer at work on one namespace."""

    def __init__(self, api: Api, space: str) -> None:
        self.api, self.space = api, space
        self.book = Book()
        self.said: list[Finding] = []
        self.routes: tuple = ()
        self.overseer = Overseer(
            Settings(),
            say=self.said.append,
            route=self._route,
            standins=lambda key, entrances: (),
            learned=lambda key: 0.0,
        )
        self.store = Store(api, self.overseer.heard, self.overseer.space, lambda: 0.5)
        self.overseer.attach(self.store, self.book)

    def _route(self, routes) -> None:
        self.routes = routes

    async def until(self, look) -> None:
        while True:
            self.overseer.tend()
            if look():
                return
            self.book.stirred.clear()
            try:
                async with asyncio.timeout(0.1):
                    await self.book.stirred.wait()
            except TimeoutError:
                pass

    def about(self, space: str) -> list[Finding]:
        """Return what is found of a namespace itself."""
        what = f"Namespace {space}"
        return [one for one in self.overseer.findings if str(one.about) == what]

    async def label(self, value: str | None, space: str = "") -> None:
        body = {"metadata": {"labels": {"fromzero.dev/managed": value}}}
        await self.api.patch(f"/api/v1/namespaces/{space or self.space}", body)

    async def make(self, kind: str, body: dict, space: str = "") -> None:
        await self.api.create(at(space or self.space, kind), body)


@asynccontextmanager
async def watching(cluster, space: str):
    async with (
        asyncio.timeout(60),
        Api.at(cluster.url, cluster.admin.token, cluster.ca) as api,
    ):
        watched = Watched(api, space)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watched.store.run())
            await watched.label("true")
            yield watched
            running.cancel()
            await watched.label(None)  # It goes some time after the test.


@pytest.mark.slow
def test_what_opts_in_is_managed_and_what_opts_out_is_not_any_more(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.until(lambda: key in here.book.kept and here.overseer.counted)
            assert here.book.kept[key].spec.scaling.min_replicas == 0
            assert here.routes
            seen = here.overseer.seen(here.book.kept[key])
            assert seen is not None
            assert seen.service.meta.name == "iris"

            gone = {"metadata": {"annotations": {"fromzero.dev/managed": None}}}
            await here.api.patch(at(space, "deployments", "iris"), gone)
            await here.until(lambda: not here.book.kept)
            assert here.routes == ()

    asyncio.run(scene())


@pytest.mark.slow
def test_a_namespace_is_watched_until_the_last_of_it_was_let_go(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.until(lambda: key in here.book.kept)

            here.book.clings = True
            await here.label(None)
            await here.until(lambda: not here.store.manages(space))
            here.overseer.tend()
            assert space in here.store.spaces

            here.book.clings = False
            await here.until(lambda: space not in here.store.spaces)

    asyncio.run(scene())


@pytest.mark.slow
def test_settings_of_one_revision_count_as_soon_as_they_are_written(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.until(lambda: key in here.book.kept)

            here.overseer.override({f"{space}.iris": "min-replicas: 2"}, ABOUT)
            await here.until(lambda: here.book.kept[key].spec.scaling.min_replicas == 2)
            here.overseer.override({"iris": "min-replicas: none"}, ABOUT)
            assert any("min-replicas" in each.message for each in here.said)
            assert here.overseer.findings

    asyncio.run(scene())


@pytest.mark.slow
def test_a_finding_is_said_once_and_shown_while_it_holds(cluster, space):
    async def scene():
        async with watching(cluster, space) as here:
            await here.make("deployments", deployment("alone", **OPTED))
            await here.until(lambda: here.said)
            await here.make("services", service("other"))
            await here.until(lambda: here.store.service(space, "other"))
            here.overseer.tend()
            texts = [each.message for each in here.said]
            assert len(texts) == len(set(texts))
            assert any("alone" in text for text in texts)

            await here.make("services", service("alone"))
            key = RevisionKey(space, "alone")
            await here.until(lambda: key in here.book.kept)
            about = [each for each in here.overseer.findings if "alone" in each.message]
            assert not any(each.blocks for each in about)

            load = Finding(about=ABOUT, key=key, reason="LoadUnknown", message="silent")
            here.overseer.found(key, load)
            assert load in here.overseer.findings
            here.overseer.found(key, None)
            assert load not in here.overseer.findings

    asyncio.run(scene())


@asynccontextmanager
async def on_a_bad_road(cluster, space: str, *troubles: Trouble):
    """Have an overseer of *space* whose every call goes over a road with *troubles*."""
    async with (
        asyncio.timeout(60),
        road(cluster.url, cluster.admin.token, str(cluster.ca)) as way,
        way.api() as api,
    ):
        way.troubles += troubles
        watched = Watched(api, space)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watched.store.run())
            yield watched, way
            running.cancel()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [("pods", 403, "403"), ("inferenceservices", 500, "500")],
    ids=["no right to pods", "a broken definition"],
)
def test_a_namespace_that_cannot_be_listed_holds_up_no_other(
    cluster, space, monkeypatch, kind, status, word
):
    monkeypatch.setattr(store, "_PATIENCE_S", 1.0)
    bad = cluster.namespace()

    async def scene():
        refused = Trouble(
            status=status, only=lambda request: f"/{bad}/{kind}" in request.path
        )
        keys = RevisionKey(space, "iris"), RevisionKey(bad, "iris")
        async with on_a_bad_road(cluster, space, *[refused] * 99) as (here, way):
            for where in (space, bad):
                await here.make("services", service("iris"), where)
                await here.make("deployments", deployment("iris", **OPTED), where)
                await here.label("true", where)
            await here.until(
                lambda: here.store.synced and {space, bad} <= here.store.spaces.keys()
                and here.overseer.counted
            )  # fmt: skip
            await here.until(
                lambda: (
                    keys[0] in here.book.kept
                    and any(
                        f"{kind}: {word} " in one.message for one in here.about(bad)
                    )
                )
            )
            assert keys[1] not in here.book.kept
            assert f"Namespace {bad}" in {str(one.about) for one in here.said}
            assert here.overseer.manages(keys[1]), "it may, and what is kept stays so"

            way.troubles.clear()
            await here.until(lambda: set(here.book.kept) >= set(keys))
            assert here.about(bad) == []
            await here.label(None, bad)
            await here.label(None)

    asyncio.run(scene())
    cluster.admin.delete(f"/api/v1/namespaces/{bad}")


@pytest.mark.slow
def test_while_the_server_is_away_no_namespace_is_given_up(cluster, space, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE_S", 1.0)

    async def scene():
        silent = Trouble(cut=0, only=lambda request: f"/{space}/" in request.path)
        async with on_a_bad_road(cluster, space, *[silent] * 999) as (here, way):
            await here.label("true")
            await here.until(lambda: space in here.store.spaces)
            way.closed = True
            way.cut_all()
            ends = asyncio.get_running_loop().time() + 3.0
            await here.until(lambda: asyncio.get_running_loop().time() > ends)
            assert not here.store.synced
            assert not here.store.unread(space)

            way.troubles.clear()
            way.closed = False
            await here.until(lambda: here.store.spaces[space].synced)
            await here.until(lambda: here.overseer.counted)
            assert here.about(space) == []
            await here.label(None)

    asyncio.run(scene())


@pytest.mark.slow
def test_an_object_that_cannot_be_read_is_said_and_left_out(
    cluster, space, monkeypatch
):
    def picky(raw):
        if reading.meta(raw).name == "bad":
            raise RecursionError("too deep")
        return reading.service(raw)

    watched = dataclasses.replace(store._KINDS[store.Kind.SERVICE], read=picky)
    monkeypatch.setitem(store._KINDS, store.Kind.SERVICE, watched)

    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("bad"))
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.until(lambda: key in here.book.kept)
            words = "services/bad: RecursionError: too deep"
            await here.until(lambda: any(words in one.message for one in here.said))

            assert any(words in one.message for one in here.overseer.findings)

    asyncio.run(scene())


@pytest.mark.slow
def test_of_what_is_not_managed_any_more_nothing_is_kept(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.make("deployments", deployment("alone", **OPTED))
            await here.until(lambda: key in here.book.kept and here.overseer.counted)
            load = Finding(about=ABOUT, key=key, reason="LoadUnknown", message="silent")
            here.overseer.found(key, load)

            here.overseer.found(key, None)  # As when its revision is gone.
            await here.label(None)
            await here.until(lambda: space not in here.store.spaces)

            left = [
                name
                for name, found in vars(here.overseer).items()
                if isinstance(found, dict | set) and f"'{space}'" in repr(found)
            ]
            assert left == []

    asyncio.run(scene())


def record_of(service: str, port: int) -> dict:
    labels = {
        "kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "fromzero.dev",
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-fromzero-ipv4", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [],
    }


@pytest.mark.slow
def test_ports_that_slices_record_are_known_wherever_they_are_until_they_are_gone(
    cluster, space, monkeypatch
):
    monkeypatch.setattr(store, "_PATIENCE_S", 1.0)

    async def scene():
        refused = Trouble(
            status=403, only=lambda request: f"/{space}/pods" in request.path
        )
        fronts = [RevisionKey(space, name) for name in ("iris", "llm")]
        async with on_a_bad_road(cluster, space, *[refused] * 99) as (here, way):
            for front, port in zip(fronts, (20005, 20006), strict=True):
                await here.make("endpointslices", record_of(front.name, port))
            await here.label("true")
            await here.until(lambda: here.about(space))
            shown = [
                each.ports for front in fronts for each in here.book.records[front]
            ]
            assert shown == [(("http", 20005),), (("http", 20006),)]

            await here.api.delete(at(space, "endpointslices", "iris-fromzero-ipv4"))
            await here.until(lambda: here.book.records[fronts[0]] == ())
            assert here.book.records[fronts[1]] != ()

            way.troubles.clear()
            await here.label(None)
            await here.until(lambda: here.book.records[fronts[1]] == ())
            assert space not in here.store.spaces

    asyncio.run(scene())


@pytest.mark.slow
def test_who_cannot_be_stood_in_for_is_said_once_for_each_reason(cluster, space):
    async def scene():
        key = RevisionKey(space, "iris")
        async with watching(cluster, space) as here:
            await here.make("services", service("iris"))
            await here.make("deployments", deployment("iris", **OPTED))
            await here.until(lambda: key in here.book.kept)

            def said() -> list[str]:
                return [one.message for one in here.said if one.reason == "NoStandIn"]

            for reason in ("all are taken", "all are taken", "its share is used up"):
                here.book.refused = {key: reason}
                here.overseer.look_round()
            here.book.refused = {}
            here.overseer.look_round()

            assert [each.rpartition(": ")[2] for each in said()] == [
                "all are taken",
                "its share is used up",
            ]

    asyncio.run(scene())
