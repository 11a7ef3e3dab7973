"""Censuses of what a real API server has, handed to a backend that writes them down."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.managed import Finding, Managed, Reference
from autoscaler.backends.kubernetes.overseer import Overseer
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.backends.kubernetes.store import Store
from autoscaler.core.domain import RevisionKey
from tests.kube.documents import at

ABOUT = Reference(api_version="v1", kind="ConfigMap", namespace="own", name="revisions")


class Book:
    """A backend that keeps what it is handed, and lets go when it is told to."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        self.kept: dict[RevisionKey, Managed] = {}
        self.looked: list[RevisionKey] = []
        self.clings = False

    @property
    def keys(self):
        return self.kept.keys()

    def managed(self, key):
        return self.kept.get(key)

    def refusals(self):
        return {}

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

    async def label(self, value: str | None) -> None:
        body = {"metadata": {"labels": {"fromzero.dev/managed": value}}}
        await self.api.patch(f"/api/v1/namespaces/{self.space}", body)

    async def make(self, kind: str, body: dict) -> None:
        await self.api.create(at(self.space, kind), body)


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
