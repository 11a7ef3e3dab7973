"""Sockets to an API server: none is left once its client is closed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from autoscaler.backends.kubernetes.api import Api


@asynccontextmanager
async def slow(
    url: str, late_s: float = 0.05, heard: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """Have a way to the server at *url* that passes on each word of it late, and none
    any more as soon as it is not *heard*."""
    ahead = urlsplit(url)

    async def passed(reader, writer):
        back, there = await asyncio.open_connection(ahead.hostname, ahead.port)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(pumped(reader, there, 0.0))
                ways.create_task(pumped(back, writer, late_s))
        finally:
            there.close()
            writer.close()

    async def pumped(reader, writer, late_s):
        while data := await reader.read(1 << 16):
            await asyncio.sleep(late_s)
            if heard is None or heard.is_set():
                writer.write(data)
        await asyncio.sleep(late_s)
        if heard is None or heard.is_set():
            writer.write_eof()

    async with await asyncio.start_server(passed, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
        await asyncio.sleep(0.3)


def ours(port: int) -> int:
    """Return how many connections to *port* this process has."""
    count = 0
    for each in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(each))) as its:
                count += its.family == socket.AF_INET and its.getpeername()[1] == port
        except OSError:
            continue
    return count


@pytest.mark.slow
def test_what_is_cut_in_the_middle_is_closed_with_its_client(cluster, space):
    path = f"/api/v1/namespaces/{space}/services"

    async def scene():
        async with slow(cluster.url) as url:
            port = urlsplit(url).port
            async with Api.at(url, cluster.admin.token, cluster.ca) as api:
                version = (await api.get(path))["metadata"]["resourceVersion"]

                async def watch():
                    async with api.watch(path, version, 30) as events:
                        agreed.set()
                        async for _ in events:
                            pass

                agreed = asyncio.Event()
                watching = asyncio.create_task(watch())
                asked = [asyncio.create_task(api.get(path)) for _ in range(8)]
                await agreed.wait()
                assert ours(port) > 1
                for each in (watching, *asked):
                    each.cancel()
                await asyncio.wait((watching, *asked))
                assert ours(port) > 1
            assert ours(port) == 0

    async def within():
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(within())


@pytest.mark.slow
def test_a_server_that_says_nothing_any_more_is_not_waited_for(cluster, space):
    path = f"/api/v1/namespaces/{space}/services"

    async def scene():
        heard = asyncio.Event()
        heard.set()
        async with slow(cluster.url, 0.0, heard) as url:
            port = urlsplit(url).port
            async with Api.at(url, cluster.admin.token, cluster.ca) as api:
                version = (await api.get(path))["metadata"]["resourceVersion"]
                async with api.watch(path, version, 30):
                    heard.clear()
                assert ours(port) > 0
            assert ours(port) == 0

    async def within():
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(within())
