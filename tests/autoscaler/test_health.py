from __future__ import annotations

import asyncio
import socket

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from autoscaler.health import routes, serving


def test_it_is_well_says_whether_it_is_ready_and_shows_its_metrics():
    async def scene() -> None:
        registry, why = CollectorRegistry(), ["no autoscaler has said anything"]
        Gauge("fromzero_thing", "A thing.", registry=registry).set(3)
        app = web.Application()
        app.add_routes(routes(registry, lambda: why[0]))
        sock = socket.create_server(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with (
            asyncio.timeout(10),
            serving(app, sock),
            aiohttp.ClientSession() as session,
        ):

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(place + path) as answer:
                    return answer.status, await answer.text()

            assert await ask("/healthz") == (200, "ok\n")
            assert await ask("/readyz") == (503, f"{why[0]}\n")
            why[0] = ""
            assert await ask("/readyz") == (200, "ok\n")
            async with session.get(f"{place}/metrics") as answer:
                assert answer.content_type == "text/plain"
                assert "fromzero_thing 3.0" in await answer.text()
            assert (await ask("/status"))[0] == 404

    asyncio.run(scene())


def test_nobody_is_answered_once_the_context_has_ended():
    async def scene() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        address = sock.getsockname()
        async with asyncio.timeout(10):
            async with serving(web.Application(), sock):
                _, writer = await asyncio.open_connection(*address)
                writer.close()
                await writer.wait_closed()
            try:
                await asyncio.open_connection(*address)
            except ConnectionRefusedError:
                return
            raise AssertionError("somebody listens still")

    asyncio.run(scene())
