"""Pods reach Services by their ClusterIPs, and are refused where nobody is ready."""

from __future__ import annotations

import asyncio

import pytest

from tests.kube.clients import Endpoint
from tests.kube.documents import at, until
from tests.kube.network import GATEWAY
from tests.kube.proxy import Proxy, doors
from tests.kube.talk import Talk


def service(address: str, *names: str) -> dict:
    ports = [{"name": n, "port": 80 + i} for i, n in enumerate(names)]
    return {"spec": {"clusterIP": address, "ports": ports}}


def slice_(port: int, *names: str) -> dict:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "svc"}},
        "addressType": "IPv4",
        "ports": [{"name": name, "port": port} for name in names],
        "endpoints": [{"addresses": [str(GATEWAY)]}],
    }


def test_each_port_is_passed_on_by_its_name():
    behind = Endpoint(str(GATEWAY), 8080)

    assert doors(service("10.96.0.9", "a", "b"), [slice_(8080, "b", "c")]) == {
        ("10.96.0.9", 81): (behind,)
    }
    assert doors(service("None", "a"), [slice_(8080, "a")]) == {}


@pytest.mark.slow
def test_a_service_is_where_its_endpoints_are_and_nowhere_without(cluster, space):
    async def greet(reader, writer):
        writer.write(await reader.read())
        writer.write_eof()
        await writer.drain()
        writer.close()

    async def scene():
        async with (
            asyncio.timeout(30),
            Talk(cluster.admin) as talk,
            Proxy(talk).running(),
            await asyncio.start_server(greet, str(GATEWAY), 0) as server,
        ):
            body = {"metadata": {"name": "svc"}, "spec": {"ports": [{"port": 80}]}}
            made = await talk.create(at(space, "services"), body)
            address = made["spec"]["clusterIP"]
            body = slice_(server.sockets[0].getsockname()[1], "")
            await talk.create(at(space, "endpointslices"), body)

            async def asked():
                try:
                    reader, writer = await asyncio.open_connection(address, 80)
                except OSError:
                    return None
                writer.write(b"hello")
                writer.write_eof()
                said = await reader.read()
                writer.close()
                return said

            async def refused():
                return await asked() is None

            assert await until("an answer", asked) == b"hello"
            await talk.delete(at(space, "endpointslices", "a"))
            await until("refused", refused)

    asyncio.run(scene())
