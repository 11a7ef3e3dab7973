from __future__ import annotations

import asyncio

import pytest

from autoscaler.backends.base import Requested
from autoscaler.backends.kubernetes.answers import ApiError
from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.facts import Container, Meta, Pod
from autoscaler.backends.kubernetes.metering import Metering
from autoscaler.core.domain import Metric, RevisionKey

KEY = RevisionKey("production", "iris")


def pod(name: str = "iris-a") -> Pod:
    requested = Requested(cpu=0.5, memory=1 << 30)
    return Pod(
        meta=Meta(name=name), containers=(Container(name="main", requested=requested),)
    )


def metrics(name: str = "iris-a", cpu: str = "250m") -> dict:
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {"name": name},
        "containers": [{"name": "main", "usage": {"cpu": cpu, "memory": "512Mi"}}],
    }


class Server:
    def __init__(self, *items: dict, error: ApiError | None = None) -> None:
        self.items, self.error = items, error
        self.asked: list[str] = []

    async def pages(self, path):
        self.asked.append(path)
        if self.error is not None:
            raise self.error
        yield {"items": list(self.items)}


def looked(server, *metered) -> list[tuple[RevisionKey, float]]:
    told: list[tuple[RevisionKey, float]] = []
    metering = Metering(server, lambda: metered, lambda *each: told.append(each))
    asyncio.run(metering.look())
    return told


def test_use_is_told_in_percent_of_what_was_requested():
    server = Server(metrics())

    assert looked(server, (KEY, Metric.CPU, (pod(),))) == [(KEY, 50.0)]
    assert looked(server, (KEY, Metric.MEMORY, (pod(),))) == [(KEY, 50.0)]


def test_nobody_is_asked_for_nobody():
    server = Server()

    assert looked(server) == []
    assert server.asked == []


def test_what_is_not_known_is_not_told(caplog):
    assert looked(Server(), (KEY, Metric.CPU, (pod(),))) == []
    assert looked(Server(metrics()), (KEY, Metric.CPU, ())) == []
    assert (
        looked(
            Server(error=ApiError(404, "NotFound", "no")), (KEY, Metric.CPU, (pod(),))
        )
        == []
    )
    assert "is metrics-server installed?" in caplog.text


@pytest.mark.slow
def test_a_real_servers_list_is_read(cluster, space):
    async def scene():
        told: list[tuple[RevisionKey, float]] = []
        key = RevisionKey(space, "iris")
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{space}/pods"
        async with (
            asyncio.timeout(20),
            Api.at(cluster.url, cluster.admin.token, cluster.ca) as api,
        ):
            await api.create(path, metrics())
            metered = (key, Metric.CPU, (pod(),))
            metering = Metering(
                api, lambda: (metered,), lambda *each: told.append(each)
            )
            await metering.look()
        assert told == [(key, 50.0)]

    asyncio.run(scene())
