"""A bad road to an API server: what is asked goes on to it, until trouble is next."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from autoscaler.backends.kubernetes.api import Api

LIMIT_S = 60.0
ANSWERS = {"Content-Type": "application/json"}


@dataclass
class Trouble:
    """What becomes of one request instead of its answer."""

    status: int = 0
    """An answer of this status, with a Status as its body; 0: none."""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """The connection ends after so many bytes of the answer."""
    silent: bool = False
    """Nothing is ever answered."""
    only: Callable[[web.Request], bool] = lambda request: True


def watching(request: web.Request) -> bool:
    return "watch" in request.query


def listing(request: web.Request) -> bool:
    return request.method == "GET" and not watching(request)


def going_on(request: web.Request) -> bool:
    return "continue" in request.query


@dataclass
class Road:
    """The road; *url* is its near end."""

    ahead: str
    token: str = ""
    ca: str | None = None
    url: str = ""
    troubles: deque[Trouble] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.Transport] = field(default_factory=set)

    def api(self, **options) -> Api:
        return Api.at(self.url, self.token, None, **options)

    def cut_all(self) -> None:
        """End each request that is on its way."""
        for transport in list(self.open):
            transport.abort()

    def trouble(self, request: web.Request) -> Trouble | None:
        for each in self.troubles:
            if each.only(request):
                self.troubles.remove(each)
                return each
        return None

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self.asked.append(f"{request.method} {request.path_qs}")
        trouble = self.trouble(request)
        if self.closed:
            transport.abort()
            return web.Response()
        if trouble is not None and trouble.silent:
            await self.over.wait()
            return web.Response()
        if trouble is not None and trouble.status:
            body = {"kind": "Status", "reason": "Trouble", "message": "as wanted"}
            return web.json_response(
                body, status=trouble.status, headers=trouble.headers
            )
        left = None if trouble is None else trouble.cut
        self.open.add(transport)
        try:
            return await self.answer(request, left)
        finally:
            self.open.discard(transport)

    async def answer(
        self, request: web.Request, left: int | None
    ) -> web.StreamResponse:
        body = await request.read()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("Authorization", "Content-Type", "Accept")
        }
        async with self.session.request(
            request.method,
            self.ahead + request.path_qs,
            data=body or None,
            headers=headers,
        ) as answer:
            back = web.StreamResponse(status=answer.status, headers=ANSWERS)
            if "Retry-After" in answer.headers:
                back.headers["Retry-After"] = answer.headers["Retry-After"]
            writer = await back.prepare(request)
            assert writer is not None
            writer.send_headers()  # Else they wait for the first event of a watch.
            async for chunk in answer.content.iter_any():
                if left is not None and left <= len(chunk):
                    await back.write(chunk[:left])
                    transport = request.transport
                    if transport is not None:
                        transport.abort()
                    return back
                left = None if left is None else left - len(chunk)
                await back.write(chunk)
            await back.write_eof()
            return back


@asynccontextmanager
async def road(ahead: str, token: str = "", ca: str | None = None):
    """Have a road to the API server at *ahead*."""
    its = Road(ahead=ahead, token=token, ca=ca)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", its.pass_on)
    async with listening(app) as its.url, session(ca) as its.session:
        try:
            yield its
        finally:
            its.over.set()
            its.cut_all()


@asynccontextmanager
async def session(ca: str | None) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(
        connector=connector, read_bufsize=1 << 21
    ) as found:
        yield found


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(*answers: tuple[int, object, dict[str, str]]):
    """Have a server that gives *answers* in turn, the last one for ever."""
    asked: list[web.Request] = []
    left = deque(answers)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request)
        status, body, headers = left.popleft() if len(left) > 1 else left[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with listening(app) as url:
        yield url, asked
