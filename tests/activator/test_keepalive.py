"""A replica may end a kept connection whenever it is idle: no client ever notices."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from activator.pool import READ_AT_ONCE, Pool
from autoscaler.core.domain import GateSpec
from tests.activator.rig import HOST, KEY, play, rig

CLIENTS = 8
REQUESTS = 250
"""Of each client."""
SLOTS = 3
SIZES = (
    0, 1, 200, 16_000, READ_AT_ONCE - 1, READ_AT_ONCE, READ_AT_ONCE + 1,
    2 * READ_AT_ONCE + 3, 300_000,
)  # fmt: skip


class Server(threading.Thread):
    """A replica on a loop of its own, so that its ends race with requests for real."""

    def __init__(self, way: str, seed: int) -> None:
        super().__init__()
        self.way = way
        self.random = Random(seed)
        self.served: Counter[bytes] = Counter()
        self.open: set[asyncio.Transport] = set()
        self.busy = self.most = self.ends = 0
        self.port = 0
        self.up = threading.Event()
        self.over = asyncio.Event()
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        try:
            self.loop.run_until_complete(self.serve())
        finally:
            self.loop.close()

    async def serve(self) -> None:
        async with asyncio.timeout(60.0):
            server = await self.loop.create_server(lambda: Line(self), "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self.up.set()
            await self.over.wait()
            server.close()
            for transport in tuple(self.open):
                transport.abort()
            await asyncio.sleep(0)


class Line(asyncio.Protocol):
    """One connection: it ends after some answers, and never in a request."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.left = server.random.randrange(1, 8)
        """Answers that it still gives."""
        self.data = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.server.open.add(transport)

    def connection_lost(self, error) -> None:
        self.server.open.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.timer is not None and not self.data:
            # It was going to end, but here is a request.
            self.timer.cancel()
            self.timer = None
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        fields = {name.lower(): value for name, value in fields.items()}
        length = int(fields.get(b"content-length", b"0"))
        if len(body) < length:
            return
        assert len(body) == length, "more than one request at a time"
        self.data = b""
        server = self.server
        server.served[fields[b"x-number"]] += 1
        server.busy += 1
        server.most = max(server.most, server.busy)
        pause_s = server.random.choice((0.0, 0.0, 0.001))
        server.loop.call_later(pause_s, self.answer, length)

    def answer(self, length: int) -> None:
        self.server.busy -= 1
        self.left -= 1
        says = self.left <= 0 and self.server.way.startswith("says")
        said = b"%d" % length
        head = b"HTTP/1.1 200 OK\r\n"
        if says:
            head += b"Connection: close\r\n"
        if not (self.left <= 0 and self.server.way == "says by its end"):
            head += b"Content-Length: %d\r\n" % len(said)
        self.transport.write(head + b"\r\n" + said)
        if self.left > 0:
            return
        self.server.ends += 1
        match self.server.way:
            case "at once" | "says" | "says by its end":
                self.transport.close()
            case "later" | "says, and later":
                self.end_later(self.transport.close)
            case "by a reset":
                self.end_later(self.transport.abort)

    def end_later(self, end) -> None:
        delay_s = self.server.random.choice((0.0, 0.0005, 0.002, 0.005))
        self.timer = self.server.loop.call_later(delay_s, end)


@contextmanager
def serving(way: str, seed: int) -> Iterator[Server]:
    server = Server(way, seed)
    server.start()
    assert server.up.wait(10.0)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.over.set)
        server.join(10.0)
        assert not server.is_alive()


WAYS = ["at once", "later", "by a reset", "says", "says, and later", "says by its end"]


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_ends_between_requests_costs_none(way):
    race(way)


@pytest.mark.source
@pytest.mark.parametrize("way", WAYS)
def test_nor_where_nobody_learns_that_connections_end_soon(way, monkeypatch):
    """Each request may meet an end then, not only the first ones."""
    monkeypatch.setattr(Pool, "broke", lambda *_: None)

    race(way)


def race(way: str) -> None:
    """Send requests of both kinds to two replicas that end connections all the time."""
    random = Random(way)

    async def ask(made, name: int) -> None:
        client = await made.client()
        for number in range(REQUESTS):
            mark = b"%d-%d" % (name, number)
            length = random.choice(SIZES) if number % 2 else 0
            first = b"POST /v1/models/iris:predict" if number % 2 else b"GET /"
            await client.send(
                b"%b HTTP/1.1\r\nHost: %b\r\nX-Number: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (first, HOST.encode(), mark, length, b"x" * length)
            )
            head, body = await client.message()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n"), (mark, length, head, body)
            assert body == b"%d" % length
            if number % 25 == 24:
                await asyncio.sleep(random.random() * 0.01)

    with serving(way, 1) as one, serving(way, 2) as two:

        async def scene() -> None:
            async with rig() as made:
                gate = GateSpec(container_concurrency=SLOTS)
                made.see(one.port, two.port, gate=gate, slots=SLOTS)
                async with asyncio.TaskGroup() as tasks:
                    for name in range(CLIENTS):
                        tasks.create_task(ask(made, name))
                found = made.activator._plane.board.gate(KEY)
                assert [e.in_flight for e in found.endpoints.values()] == [0, 0]
                assert made.board_level() == 0

        play(scene(), 50.0)
        served = one.served + two.served
        assert len(served) == CLIENTS * REQUESTS
        twice = [mark for mark, times in served.items() if times > 1]
        assert not [mark for mark in twice if int(mark.split(b"-")[1]) % 2]
        assert max(one.most, two.most) <= SLOTS
        assert one.ends + two.ends > 100
