"""Streams of events through a proxy, and connections that do nothing.

    python -m benchmarks.sse serve --port N --pace_s S --events N
    python -m benchmarks.sse ask --port N --streams N --pid PID
    python -m benchmarks.sse keep --port N --connections N --pid PID

`serve` sends each stream an event every S seconds, as an engine sends tokens. `ask`
opens streams and reads them to their end; `keep` asks once on each connection and then
keeps it. Both print what that cost the process PID, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import uvloop

from activator.files import raise_limit
from benchmarks.stage import used

EVENT = b'data: {"id":"chat-1","choices":[{"index":0,"delta":{"content":" tok"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
LAST = b"0\r\n\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ASK = (
    b"POST /events HTTP/1.1\r\nHost: svc-0-bench.localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
ONCE = b"GET /once HTTP/1.1\r\nHost: svc-0-bench.localhost\r\n\r\n"
ABREAST = 64
"""Connections that are opened at one time."""


class Server(asyncio.Protocol):
    """One connection of the server's."""

    live: dict[Server, int]

    def __init__(self, live: dict[Server, int], events: int) -> None:
        self.live = live
        self.events = events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self.transport.write(SMALL)  # type: ignore[attr-defined]
        elif data.startswith(b"POST"):
            self.transport.write(HEAD)  # type: ignore[attr-defined]
            self.live[self] = self.events

    def connection_lost(self, error: Exception | None) -> None:
        self.live.pop(self, None)


async def serve(port: int, pace_s: float, events: int) -> None:
    """Send to a twentieth of the streams at a time: engines do not send in step."""
    loop = asyncio.get_running_loop()
    live: dict[Server, int] = {}
    server = await loop.create_server(
        lambda: Server(live, events), "127.0.0.1", port, backlog=4096
    )
    slots, turn, due = 20, 0, loop.time()
    async with server:
        while True:
            due += pace_s / slots
            await asyncio.sleep(max(0.0, due - loop.time()))
            turn = (turn + 1) % slots
            for each in list(live)[turn::slots]:
                left = live[each]
                if left:
                    each.transport.write(CHUNK)  # type: ignore[attr-defined]
                    live[each] = left - 1
                else:
                    each.transport.write(LAST)  # type: ignore[attr-defined]
                    del live[each]


class Client(asyncio.Protocol):
    """One connection of a client's."""

    def __init__(self, request: bytes, end: bytes) -> None:
        self.request = request
        self.end = end
        self.chunks = 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.chunks += data.count(b"data: ")
        if data.endswith(self.end) and not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(error or ConnectionError("closed early"))


async def connect(port: int, count: int, request: bytes, end: bytes) -> list[Client]:
    """Open connections, some at a time."""
    loop = asyncio.get_running_loop()
    made: list[Client] = []
    while len(made) < count:
        more = min(ABREAST, count - len(made))
        opened = await asyncio.gather(
            *(
                loop.create_connection(lambda: Client(request, end), "127.0.0.1", port)
                for _ in range(more)
            )
        )
        made += [client for _, client in opened]
    return made


async def ask(port: int, streams: int, pid: int) -> dict[str, float]:
    """Read streams to their end; say what a chunk and a stream cost."""
    await once(port)
    before = used(pid)
    clients = await connect(port, streams, ASK, LAST)
    opened = used(pid)
    overs = [client.over for client in clients]
    begun = sum(client.chunks for client in clients)
    largest = opened.rss_kb
    while len((await asyncio.wait(overs, timeout=0.25))[1]):
        largest = max(largest, used(pid).rss_kb)
    after = used(pid)
    for over in overs:
        over.result()
    chunks = sum(client.chunks for client in clients)
    return {
        "chunks": chunks,
        "us_per_chunk": (after.cpu_s - opened.cpu_s) / max(1, chunks - begun) * 1e6,
        "kb_per_stream": (largest - before.rss_kb) / streams,
    }


async def keep(port: int, connections: int, pid: int) -> dict[str, float]:
    """Ask once on each connection, then do nothing; say what one costs."""
    await once(port)
    before = used(pid)
    clients = await connect(port, connections, ONCE, b"{}")
    await asyncio.gather(*(client.over for client in clients))
    await asyncio.sleep(1)
    resting = used(pid)
    await asyncio.sleep(2)
    after = used(pid)
    assert not any(client.transport.is_closing() for client in clients)
    return {
        "bytes": (after.rss_kb - before.rss_kb) * 1024 / connections,
        "busy": (after.cpu_s - resting.cpu_s) / 2,
    }


async def once(port: int) -> None:
    """Have what is made with the first request made before anything is counted."""
    (client,) = await connect(port, 1, ONCE, b"{}")
    await client.over
    client.transport.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "ask", "keep"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace-s", type=float, default=0.05)
    parser.add_argument("--events", type=int, default=160)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--pid", type=int, default=0)
    asked = parser.parse_args()
    raise_limit()
    match asked.what:
        case "serve":
            uvloop.run(serve(asked.port, asked.pace_s, asked.events))
        case "ask":
            print(json.dumps(uvloop.run(ask(asked.port, asked.streams, asked.pid))))
        case _:
            found = uvloop.run(keep(asked.port, asked.connections, asked.pid))
            print(json.dumps(found))


if __name__ == "__main__":
    main()
