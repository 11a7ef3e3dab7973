"""Probes of replicas that are real, slow, silent, wrong, or not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.ticket import Endpoint
from activator.probe import Prober, is_ready, pace
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import Probe, RevisionKey
from tests.activator.rig import Peer, play, replica

KEY = RevisionKey("ns", "iris-predictor-00001")
READY = Probe(path="/v2/models/iris/ready", host="iris")


def endpoint(port: int) -> Endpoint:
    made = Endpoint(f"r{port}", 0.0)
    made.host, made.port = "127.0.0.1", port
    return made


def answers(*pieces: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def serve(peer: Peer) -> None:
        await peer.head()
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0)

    return serve


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Board:
    """What is to be probed, and what came of it."""

    def __init__(self, *wanted: Endpoint, probe: Probe | None = READY) -> None:
        self.wanted = list(wanted)
        self.how = probe
        self.accepted: list[str] = []
        self.well: list[str] = []
        self.told = asyncio.Event()

    def probing(self) -> Iterable[tuple[RevisionKey, Endpoint]]:
        return [(KEY, each) for each in self.wanted]

    def probe(self, key: RevisionKey) -> Probe | None:
        return self.how

    def connected(self, key: RevisionKey, endpoint: Endpoint) -> None:
        self.accepted.append(endpoint.replica)

    def ready(self, key: RevisionKey, endpoint: Endpoint) -> None:
        self.well.append(endpoint.replica)
        self.wanted.remove(endpoint)
        self.told.set()


@asynccontextmanager
async def probing(board: Board, clock: Clock = monotonic):
    async with asyncio.TaskGroup() as tasks:
        prober = Prober(board, tasks, clock)
        try:
            prober.look()
            yield prober
        finally:
            prober.close()


@given(st.floats(0.0, 1e6), st.floats(0.005, 0.1))
def test_the_pace_is_eager_at_first_and_never_slower_than_its_last(since_s, last_s):
    assert 0.005 <= pace(since_s, last_s) <= 0.1
    if since_s < 1.0:
        assert pace(since_s, last_s) == 0.005
    else:
        assert pace(since_s, last_s) >= last_s


@pytest.mark.parametrize(
    ("pieces", "ready"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n"], True, id="200"),
        pytest.param([b"HTTP/1.0 204 No Content\r\n\r\n"], True, id="204 of 1.0"),
        pytest.param([b"HTTP/1.1 299\r\n\r\n"], True, id="no words"),
        pytest.param([b"HTT", b"P/1.1 2", b"00 OK\r", b"\n"], True, id="in pieces"),
        pytest.param([b"HTTP/1.1 503 No\r\n\r\n"], False, id="503"),
        pytest.param([b"HTTP/1.1 302 Found\r\n\r\n"], False, id="302"),
        pytest.param([b"HTTP/1.1 404 No\r\n\r\n"], False, id="404"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], False, id="100"),
        pytest.param([b"HTTP/2 200 OK\r\n\r\n"], False, id="no version of 1"),
        pytest.param([b"HTTP/1.1 OK\r\n\r\n"], False, id="no status"),
        pytest.param([b"200\r\n"], False, id="no HTTP"),
        pytest.param([b"x" * 100_000], False, id="no end"),
        pytest.param([b"\xff\xfe \x00\r\n"], False, id="anything"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_a_get_that_is_answered_with_2xx_is_ready(pieces, ready):
    async def scene() -> None:
        async with replica(answers(*pieces)) as port:
            accepted: list[bool] = []

            said = await is_ready(
                "127.0.0.1", port, READY, lambda: accepted.append(True)
            )

            assert said == ready
            assert accepted == [True]

    play(scene())


def test_it_asks_as_it_was_told_and_closes():
    heads: list[bytes] = []
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        heads.append(await peer.head())
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await peer.rest()
        closed.set()

    async def scene() -> None:
        async with replica(serve) as port:
            assert await is_ready("127.0.0.1", port, READY, int)
            await closed.wait()
            assert await is_ready("127.0.0.1", port, Probe(path="/"), int)

            first, second = (head.split(b"\r\n") for head in heads)
            assert first[:2] == [b"GET /v2/models/iris/ready HTTP/1.1", b"Host: iris"]
            assert b"User-Agent: fromzero-probe" in first
            assert b"Connection: close" in first
            assert second[:2] == [b"GET / HTTP/1.1", b"Host: 127.0.0.1:%d" % port]

    play(scene())


def test_without_a_path_a_connection_is_enough():
    async def scene() -> None:
        async with replica(answers()) as port:
            assert await is_ready("127.0.0.1", port, Probe(), int)
        assert not await is_ready("127.0.0.1", port, Probe(), int)

    play(scene())


def test_nobody_there_is_not_ready_and_did_not_accept():
    async def scene() -> None:
        accepted: list[bool] = []

        said = await is_ready(
            "127.0.0.1", free_port(), READY, lambda: accepted.append(True)
        )

        assert (said, accepted) == (False, [])

    play(scene())


def test_a_replica_is_ready_once_and_probed_no_more():
    """It is not there at first, then loads, and is ready after that."""
    seen: list[bytes] = []

    async def scene() -> None:
        port = free_port()
        board = Board(endpoint(port))

        async def serve(peer: Peer) -> None:
            seen.append(await peer.head())
            status = b"200 OK" if len(seen) > 5 else b"503 Loading"
            await peer.send(b"HTTP/1.1 %b\r\n\r\n" % status)

        looks, refused = 0, asyncio.Event()

        def clock() -> float:
            nonlocal looks
            looks += 1
            if looks == 3:  # It began, and was refused twice.
                refused.set()
            return monotonic()

        async with probing(board, clock) as prober:
            await refused.wait()
            async with replica(serve, port):
                await board.told.wait()
                prober.look()

                assert board.well == [f"r{port}"]
                assert board.accepted == [f"r{port}"]
                assert len(seen) == 6

    play(scene())


def test_each_endpoint_is_probed_for_itself():
    """One that never answers makes no other wait."""

    async def never(peer: Peer) -> None:
        await peer.rest()

    async def scene() -> None:
        good = answers(b"HTTP/1.1 200 OK\r\n\r\n")
        async with replica(never) as silent, replica(good) as one, replica(good) as two:
            board = Board(*map(endpoint, (silent, one, two)))
            async with probing(board):
                while len(board.well) < 2:
                    await board.told.wait()
                    board.told.clear()

                assert set(board.well) == {f"r{one}", f"r{two}"}

    play(scene())


def test_looking_again_begins_nothing_twice():
    connections = 0
    asked = asyncio.Event()

    async def never(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.head()
        asked.set()
        await peer.rest()

    async def scene() -> None:
        async with replica(never) as port, probing(Board(endpoint(port))) as prober:
            for _ in range(10):
                prober.look()
            await asked.wait()

            assert connections == 1

    play(scene())


def test_what_wants_no_probe_any_more_is_left_alone_at_once():
    asked, ended = asyncio.Event(), asyncio.Event()

    async def never(peer: Peer) -> None:
        await peer.head()
        asked.set()
        await peer.rest()
        ended.set()

    async def scene() -> None:
        async with replica(never) as port:
            board = Board(endpoint(port))
            async with probing(board) as prober:
                await asked.wait()
                board.wanted.clear()
                prober.look()

                await ended.wait()
                assert board.well == []

    play(scene())


def test_a_replica_that_comes_back_is_probed_again():
    async def scene() -> None:
        good = answers(b"HTTP/1.1 200 OK\r\n\r\n")
        async with replica(good) as port:
            board, again = Board(endpoint(port)), endpoint(port)
            async with probing(board) as prober:
                await board.told.wait()
                board.told.clear()
                board.wanted.append(again)
                prober.look()

                await board.told.wait()
                assert board.well == [f"r{port}"] * 2

    play(scene())


def test_a_revision_that_is_no_more_ends_its_probes():
    async def scene() -> None:
        board = Board(endpoint(free_port()), probe=None)
        async with asyncio.TaskGroup() as tasks:
            Prober(board, tasks, monotonic).look()

        # The group has nothing left to wait for.
        assert board.well == []

    play(scene())
