from __future__ import annotations

import asyncio

import pytest

from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.facts import Happened, Meta, Owner, Pod, Slice
from autoscaler.backends.kubernetes.store import Kind, Shelf, Space, Store

SPACE = "production"


def pod(name: str, of: str = "iris", **changes) -> Pod:
    meta = Meta(
        name=name,
        uid=f"u-{name}",
        labels={"pod-template-hash": "6c9f"},
        owner=Owner("ReplicaSet", f"{of}-6c9f", "r"),
    )
    return Pod(meta=meta, **changes)


def test_a_list_tells_what_differs_from_what_was_there_and_nothing_else():
    told: list[tuple[object, object]] = []
    shelf: Shelf[int] = Shelf(lambda was, now: told.append((was, now)))
    shelf.replaced({"a": 1, "b": 2})
    told.clear()

    shelf.replaced({"b": 2, "c": 3})
    shelf.changed("c", 3)
    shelf.gone("nobody")

    assert sorted(told, key=str) == [(1, None), (None, 3)]


def test_an_object_is_found_by_what_it_belongs_to_until_it_is_gone():
    space = Space(SPACE, lambda *_: None)
    pods, slices = space.shelves[Kind.POD], space.shelves[Kind.SLICE]
    events = space.shelves[Kind.EVENT]

    pods.changed("iris-6c9f-a", pod("iris-6c9f-a"))
    pods.changed("iris-6c9f-a", pod("iris-6c9f-a", node="node-1"))
    pods.changed("llm-6c9f-b", pod("llm-6c9f-b", of="llm"))
    slices.changed("iris-x", Slice(meta=Meta(name="iris-x"), service="iris"))
    happened = Happened(
        meta=Meta(name="e"), kind="Pod", name="iris-6c9f-a", uid="u-iris-6c9f-a",
        reason="Pulling", message="", warning=False, at=0.0,
    )  # fmt: skip
    events.changed("e", happened)

    assert [each.node for each in space.pods["iris"].values()] == ["node-1"]
    assert list(space.slices["iris"]) == ["iris-x"]
    assert space.events["u-iris-6c9f-a"] == {"e": happened}

    pods.gone("iris-6c9f-a")
    slices.gone("iris-x")
    events.replaced({})

    assert (set(space.pods), space.slices, space.events) == ({"llm"}, {}, {})


def labelled(name: str, managed: str | None) -> dict:
    return {"metadata": {"name": name, "labels": {"fromzero.dev/managed": managed}}}


@pytest.mark.slow
def test_namespaces_come_with_the_label_and_go_when_they_are_dropped(cluster, space):
    async def scene():
        changed = asyncio.Event()

        async def until(look):
            while not look():
                changed.clear()
                await changed.wait()

        async with (
            asyncio.timeout(30),
            Api.at(cluster.url, cluster.admin.token, cluster.ca) as api,
        ):
            store = Store(
                api,
                lambda *_: changed.set(),
                lambda *_: changed.set(),
                uniform=lambda: 0.5,
            )
            config = {"metadata": {"name": "own"}, "spec": {"ports": [{"port": 80}]}}
            await api.create(f"/api/v1/namespaces/{space}/services", config)
            path = f"/api/v1/namespaces/{space}"
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(store.run())
                await api.patch(path, labelled(space, "true"))
                await until(lambda: store.service(space, "own"))
                assert store.manages(space)

                await api.patch(path, labelled(space, None))
                await until(lambda: not store.manages(space))
                assert store.service(space, "own") is not None

                store.drop(space)
                assert store.service(space, "own") is None
                assert space not in store.spaces
                running.cancel()

    asyncio.run(scene())


@pytest.mark.slow
def test_one_namespace_alone_needs_no_label_and_no_list_of_namespaces(cluster, space):
    async def scene():
        synced = asyncio.Event()
        async with (
            asyncio.timeout(30),
            Api.at(cluster.url, cluster.admin.token, cluster.ca) as api,
        ):
            store = Store(
                api,
                lambda *_: synced.set(),
                lambda *_: None,
                uniform=lambda: 0.5,
                only=space,
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(store.run())
                config = {"metadata": {"name": "o"}, "spec": {"ports": [{"port": 80}]}}
                await api.create(f"/api/v1/namespaces/{space}/services", config)
                while store.service(space, "o") is None:
                    synced.clear()
                    await synced.wait()
                assert list(store.spaces) == [space]
                running.cancel()

    asyncio.run(scene())
