"""A road to the API server on which every connection breaks off before long."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 4096
LONGEST_S = 5.0


class Road:
    """Passes bytes on, so TLS stays between its ends; *cuts* counts what it broke off."""

    def __init__(self, host: str, port: int, seed: int, usual: int) -> None:
        self._ahead = host, port
        self._usual = usual
        self._random = random.Random(seed)
        self.port = 0
        self.cuts = 0

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection until it has had its bytes or time, or ends itself."""
        left = int(self._random.expovariate(1 / self._usual))
        lasts_s = self._random.uniform(0.2, LONGEST_S)
        others: list[asyncio.StreamWriter] = [writer]
        with suppress(OSError):
            try:
                async with asyncio.timeout(lasts_s):
                    back, ahead = await asyncio.open_connection(*self._ahead)
                    others.append(ahead)
                    up = _pass(reader, ahead, None)
                    await _first(up, _pass(back, writer, left))
            except TimeoutError:
                self.cuts += 1
            except _Spent:
                self.cuts += 1
            finally:
                for each in others:
                    each.transport.abort()


class _Spent(Exception):  # noqa: N818 - what it is
    """A connection has had its bytes."""


async def _first(*ways: object) -> None:
    """Go all *ways* until the first ends; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in ways]  # type: ignore[arg-type]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
) -> None:
    while data := await reader.read(CHUNK):
        if left is not None and (left := left - len(data)) <= 0:
            raise _Spent
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def severed(
    url: str, *, seed: int = 0, usual: int = 1 << 18
) -> AsyncIterator[Road]:
    """Lay a road at the host of *url*; a connection gets *usual* bytes or so, at most."""
    where = urlsplit(url)
    host = str(where.hostname)
    road = Road(host, where.port or 443, seed, usual)
    carried: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = group.create_task(road.carry(reader, writer))
            carried.add(task)
            task.add_done_callback(carried.discard)

        server = await asyncio.start_server(take, host, 0)
        road.port = server.sockets[0].getsockname()[1]
        try:
            yield road
        finally:
            server.close()
            for each in carried:
                each.cancel()
