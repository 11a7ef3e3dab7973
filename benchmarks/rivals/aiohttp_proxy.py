"""A proxy as one writes it with aiohttp, server and client.

python aiohttp_proxy.py PORT REPLICA…
"""

from __future__ import annotations

import asyncio
import sys
from itertools import cycle

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

HOPS = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding"}


async def serve(port: int, replicas: list[str]) -> None:
    turns = cycle(f"http://127.0.0.1:{replica}" for replica in replicas)
    async with ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    ) as session:

        async def forward(asked: web.BaseRequest) -> web.StreamResponse:
            headers = [pair for pair in asked.headers.items() if kept(pair[0])]
            body = asked.content if asked.can_read_body else None
            async with session.request(
                asked.method,
                next(turns) + asked.raw_path,
                headers=headers,
                data=body,
                allow_redirects=False,
            ) as answer:
                headers = [pair for pair in answer.headers.items() if kept(pair[0])]
                said = web.StreamResponse(status=answer.status, headers=headers)
                await said.prepare(asked)
                async for piece in answer.content.iter_any():
                    await said.write(piece)
                await said.write_eof()
                return said

        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


def kept(name: str) -> bool:
    return name.lower() not in HOPS


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
