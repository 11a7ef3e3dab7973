"""The admin API over a real socket, around a loop whose Fleet is a fake."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from prometheus_client import CollectorRegistry, Counter

from autoscaler.answers import Remark
from autoscaler.core.commands import Order
from autoscaler.core.domain import RevisionKey
from autoscaler.health import serving
from autoscaler.server import AdminParts, build_app
from tests.fakes.known import IRIS, One


@asynccontextmanager
async def asking(
    loop: One | None = None, why: str = "", **more: object
) -> AsyncIterator[aiohttp.ClientSession]:
    registry = CollectorRegistry()
    Counter("fromzero_things", "Things.", registry=registry).inc()
    sock = socket.create_server(("127.0.0.1", 0))
    parts = AdminParts(
        loop=loop or One(),
        registry=registry,
        ready=lambda: why,
        logs=lambda key: ("a line",),
        **more,
    )
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with (
        asyncio.timeout(10),
        serving(build_app(parts), sock),
        aiohttp.ClientSession(url) as session,
    ):
        yield session


def test_health_is_said_whatever_readiness_says():
    async def scene():
        async with asking(why="documents are being read") as session:
            async with session.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
            async with session.get("/readyz") as answer:
                said = await answer.text()
                assert (answer.status, said) == (503, "documents are being read\n")

    asyncio.run(scene())


def test_readiness_is_said_where_nothing_is_in_the_way():
    async def scene():
        async with asking() as session, session.get("/readyz") as answer:
            assert answer.status == 200

    asyncio.run(scene())


def test_metrics_are_those_of_the_registry_in_prometheus_text():
    async def scene():
        async with asking() as session, session.get("/metrics") as answer:
            assert answer.content_type == "text/plain"
            assert "fromzero_things_total 1.0" in await answer.text()

    asyncio.run(scene())


def test_status_has_every_revision():
    async def scene():
        async with asking() as session, session.get("/status") as answer:
            revisions = (await answer.json())["revisions"]
            assert [each["name"] for each in revisions] == ["iris-predictor-00001"]
            assert revisions[0]["reason"] == "idle for 60 s"

    asyncio.run(scene())


def test_an_explanation_has_the_status_the_moments_and_the_output():
    async def scene():
        async with asking() as session:
            async with session.get(f"/explain/{IRIS}") as answer:
                said = await answer.json()
            assert said["state"] == "asleep"
            assert said["moments"] == [
                {"at": 5.0, "what": "start failed", "reason": "exit status 3"}
            ]
            assert said["logs"] == ["a line"]

    asyncio.run(scene())


def test_an_order_is_carried_out_and_answered_with_the_revision_after_it():
    async def scene():
        async with asking() as session:
            for order in Order:
                async with session.post(f"/{order.value}/{IRIS}") as answer:
                    said = await answer.json()
                assert said["reason"] == f"{order.value} asked"

    asyncio.run(scene())


def test_an_order_by_get_changes_nothing():
    async def scene():
        async with asking() as session, session.get(f"/wake/{IRIS}") as answer:
            assert answer.status == 405

    asyncio.run(scene())


def test_an_unknown_revision_is_said_by_name():
    async def scene():
        async with asking() as session:
            for ask in (session.get("/explain/a/b"), session.post("/wake/a/b")):
                async with ask as answer:
                    said = (await answer.json())["error"]
                    assert (answer.status, said) == (404, "there is no revision a/b")

    asyncio.run(scene())


def test_status_has_what_is_remarked_on_a_cluster():
    remark = Remark(
        about="InferenceService production/iris",
        revision=IRIS,
        reason="ScaledByAnother",
        message="an HPA scales it",
        blocks=True,
    )

    async def scene():
        async with (
            asking(remarks=lambda: (remark,)) as session,
            session.get("/status") as answer,
        ):
            assert (await answer.json())["remarks"] == [
                {
                    "about": "InferenceService production/iris",
                    "revision": list(IRIS),
                    "reason": "ScaledByAnother",
                    "message": "an HPA scales it",
                    "blocks": True,
                }
            ]

    asyncio.run(scene())


def test_a_release_begins_for_a_known_revision_only():
    released: list[RevisionKey] = []

    async def scene():
        async with asking(release=lambda key: released.append(key) or "") as session:
            async with session.post(f"/release/{IRIS}") as answer:
                assert answer.status == 200
            async with session.post("/release/no/body") as answer:
                assert answer.status == 404

    asyncio.run(scene())
    assert released == [IRIS]


def test_a_release_that_takes_hold_at_once_is_answered_with_what_was_there():
    loop = One()

    async def scene():
        async with asking(loop, release=lambda _: loop.go()) as session:
            async with session.post(f"/release/{IRIS}") as answer:
                said = await answer.json()
                assert (answer.status, said["name"]) == (200, IRIS.name)
            async with session.post(f"/release/{IRIS}") as answer:
                assert answer.status == 404

    asyncio.run(scene())


def test_who_does_not_lead_refuses_a_release_with_its_reason():
    async def scene():
        async with (
            asking(release=lambda _: "another leads") as session,
            session.post(f"/release/{IRIS}") as answer,
        ):
            assert answer.status == 409
            assert await answer.json() == {"error": "another leads"}

    asyncio.run(scene())


def test_one_machine_has_nobody_to_release_to():
    async def scene():
        async with asking() as session, session.post(f"/release/{IRIS}") as answer:
            assert answer.status == 409
            assert "no cluster" in (await answer.json())["error"]

    asyncio.run(scene())
