from __future__ import annotations

import asyncio
import socket

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from fromzero.health import Health


def test_it_is_well_says_whether_it_is_ready_and_shows_its_metrics():
    async def scene() -> None:
        registry, why = CollectorRegistry(), ["no autoscaler has said anything"]
        Gauge("fromzero_thing", "A thing.", registry=registry).set(3)
        health = Health(registry=registry, ready=lambda: why[0])
        sock = socket.create_server(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with (
            asyncio.timeout(10),
            health.serving(sock),
            aiohttp.ClientSession() as session,
        ):

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(place + path) as answer:
                    return answer.status, await answer.text()

            assert await ask("/healthz") == (200, "ok\n")
            assert await ask("/readyz") == (503, f"{why[0]}\n")
            why[0] = ""
            assert await ask("/readyz") == (200, "ok\n")
            assert "fromzero_thing 3.0" in (await ask("/metrics"))[1]
            assert (await ask("/status"))[0] == 404

    asyncio.run(scene())
