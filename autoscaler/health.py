"""What each program says of itself over HTTP, and how anything is served on aiohttp."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

_GRACE_S = 1.0
_KIND = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serving(app: web.Application, sock: socket.socket) -> AsyncIterator[None]:
    """Answer on *sock*, which listens already, until the context ends."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        yield
    finally:
        await runner.cleanup()


def routes(
    registry: CollectorRegistry, ready: Callable[[], str]
) -> tuple[web.RouteDef, ...]:
    """Return health, readiness and metrics; *ready* says why it is not, or nothing."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if why := ready():
            return web.Response(status=503, text=f"{why}\n")
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": _KIND})

    return (
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
    )
