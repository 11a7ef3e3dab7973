from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

from prometheus_client import CollectorRegistry

from fromzero.admin import Admin
from fromzero.client import Client
from tests.fakes.known import IRIS, One


def admin() -> Admin:
    return Admin(
        loop=One(),
        registry=CollectorRegistry(),
        ready=lambda: "",
        logs=lambda key: ("a line",),
    )


def test_the_api_answers_who_comes_first_and_whoever_comes_after():
    async def scene():
        sock = socket.create_server(("127.0.0.1", 0))
        client = Client(*sock.getsockname())
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(admin().run(sock))
            first = await asyncio.to_thread(client.revisions)
            second = await asyncio.to_thread(client.explain, first[0])
            task.cancel()

        assert (first[0]["namespace"], first[0]["name"]) == IRIS
        assert second["logs"] == ["a line"]

    asyncio.run(scene())


def test_who_connected_before_it_ran_is_answered():
    async def scene():
        sock = socket.create_server(("127.0.0.1", 0))
        client = Client(*sock.getsockname())
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            asked = group.create_task(asyncio.to_thread(client.revisions))
            await asyncio.sleep(0)
            task = group.create_task(admin().run(sock))
            assert len(await asked) == 1
            task.cancel()

    asyncio.run(scene())


def test_it_ends_at_once_where_nobody_ever_came():
    async def scene():
        sock = socket.create_server(("127.0.0.1", 0))
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(admin().run(sock))
            await asyncio.sleep(0)
            task.cancel()
        sock.close()

    asyncio.run(scene())


def test_what_fromzero_runs_on_does_not_bring_the_librarys_weight():
    code = "import sys, fromzero.admin; print('aiohttp' in sys.modules)"

    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert said.stdout == "False\n"
