"""Whatever a client or a replica does, each request ends once, and nothing stays behind.

What each side is told is in test_http1, test_upstream and test_isolation; here it is
counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from activator.core.ticket import Outcome
from activator.server import ActivatorSettings
from activator.settings import Patience
from autoscaler.core.domain import GateSpec
from tests.activator.rig import KEY, Peer, Rig, Serve, get, post, replica, rig
from tests.activator.rig import play as play_all
from tests.activator.test_isolation import OK, chunks, everything, reset

LENGTH = OK + b"Content-Length: 9\r\n\r\n[no more]"
CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"[no ", b"more]")
DRIP_S = 0.02
"""Between two bytes of who dribbles: the passing of time is what is tested."""


def play(scene) -> None:
    play_all(scene, limit_s=40.0)


@asynccontextmanager
async def served(
    serve: Serve, *, timeout_s: float = 0.0, **patience: float
) -> AsyncIterator[Rig]:
    """Run an activator before *serve*; see that all is as it was when all are gone."""
    settings = ActivatorSettings(patience=Patience(**patience), seed=1, drain_s=1.0)
    async with rig(settings) as made, replica(serve) as port:
        await made.awake(port, gate=GateSpec(timeout_s=timeout_s))
        yield made
        for client in made.clients:
            client.abort()
        await made.until(lambda: made.metric("fromzero_activator_connections") == 0)
        assert made.activator.active == 0
        assert made.board_level() == 0
        gate = made.activator._plane.board.gate(KEY)
        assert gate is not None
        assert [each.in_flight for each in gate.endpoints.values()] == [0]
        pool = sum(up._client is not None for up in made.activator._plane.upstreams)
        assert pool == 0, "a connection to the replica is still somebody's"


def ended(made: Rig) -> list[Outcome]:
    return [each.outcome for each in made.watch.ended]


async def silent(peer: Peer) -> None:
    """Take all that is said, and answer nothing."""
    await peer.rest()


async def dribble(peer: Peer, data: bytes) -> None:
    """Say *data* a byte at a time, for as long as anybody listens."""
    for at in range(len(data)):
        if peer.writer.is_closing() or peer.reader.at_eof():
            return
        peer.writer.write(data[at : at + 1])
        await asyncio.sleep(DRIP_S)


async def dribbled(made: Rig, begun: bytes, data: bytes) -> bytes:
    """Return all that comes while *data* is dribbled after *begun*."""
    client = await made.client()
    await client.send(begun)
    async with asyncio.TaskGroup() as tasks:
        got = tasks.create_task(everything(client))
        saying = tasks.create_task(dribble(client, data))
        await got
        saying.cancel()
    return got.result()


def test_a_head_that_is_dribbled_is_not_waited_for():
    async def scene() -> None:
        async with served(silent, head_s=0.4) as made:
            got = await dribbled(made, b"GET / HTTP/1.1\r\nA: ", b"a" * 2_000)

            assert got.startswith(b"HTTP/1.1 408 ")
            assert b"Connection: close\r\n" in got
            assert ended(made) == []

    play(scene())


def test_a_second_head_that_is_dribbled_is_not_waited_for():
    async def answer(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(LENGTH)

    async def scene() -> None:
        async with served(answer, head_s=0.4) as made:
            got = await dribbled(made, get() + b"GET / HTTP/1.1\r\nA: ", b"a" * 2_000)

            assert got.startswith(LENGTH)
            assert got[len(LENGTH) :].startswith(b"HTTP/1.1 408 ")
            assert ended(made) == [Outcome.OK]

    play(scene())


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9000", b"Transfer-Encoding: chunked"]
)
def test_a_body_that_is_dribbled_takes_no_longer_than_its_request_may(framing):
    async def scene() -> None:
        async with served(silent, timeout_s=0.4) as made:
            head = get(more=framing + b"\r\n").replace(b"GET", b"POST")
            size = b"" if b"Length" in framing else b"fff\r\n"

            got = await dribbled(made, head + size, b"x" * 2_000)

            assert got.startswith(b"HTTP/1.1 504 ")
            assert ended(made) == [Outcome.FAILED]

    play(scene())


def test_a_body_that_stops_is_not_waited_for_and_counted_once():
    async def scene() -> None:
        async with served(silent, stall_s=0.3) as made:
            client = await made.client()
            await client.send(post(b"x" * 100)[:-50])

            assert (await everything(client)).startswith(b"HTTP/1.1 408 ")
            assert ended(made) == [Outcome.LEFT]

    play(scene())


@pytest.mark.parametrize(
    ("said", "count"),
    [
        pytest.param(b"", 0, id="before anything"),
        pytest.param(post(b"body")[:20], 0, id="in a head"),
        pytest.param(post(b"body")[:-2], 1, id="in a body"),
        pytest.param(post(b"body"), 1, id="after a request"),
        pytest.param(post(b"body") + post(b"two"), 1, id="after two"),
    ],
)
def test_a_client_that_ends_its_side_has_left_once(said, count):
    async def scene() -> None:
        async with served(silent) as made:
            client = await made.client()
            await client.send(said)
            await made.until(lambda: made.board_level() == count)

            client.writer.write_eof()

            assert await everything(client) == b""
            await made.until(lambda: len(ended(made)) == count)
            assert ended(made) == [Outcome.LEFT] * count

    play(scene())


def test_a_client_that_is_reset_in_an_answer_has_left_once():
    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(LENGTH[:-3])
        await peer.rest()

    async def scene() -> None:
        async with served(serve) as made:
            client = await made.client()
            await client.send(post(b"body"))
            await client.head()

            reset(client)

            await made.until(lambda: len(ended(made)) == 1)
            assert ended(made) == [Outcome.LEFT]

    play(scene())


@pytest.mark.parametrize("by", ["a reset", "an end"])
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(post(b"body"), id="a length"),
        pytest.param(
            get(more=b"Transfer-Encoding: chunked\r\n") + chunks(b"bo", b"dy"),
            id="chunks",
        ),
    ],
)
def test_a_client_may_go_at_any_byte_of_a_request(asked, by):
    whole: list[bytes] = []
    head = asked.index(b"\r\n\r\n") + 4

    async def keep(peer: Peer) -> None:
        whole.append((await peer.message())[1])
        await peer.rest()

    async def scene() -> None:
        async with served(keep) as made:
            for at in range(len(asked) + 1):
                client = await made.client()
                await client.send(asked[:at])
                if at >= head:
                    await made.until(lambda: made.board_level() == 1)
                if at == len(asked):
                    await made.until(lambda: len(whole) == 1)

                if by == "a reset":
                    reset(client)
                else:
                    client.close()

                await made.until(
                    lambda at=at: len(ended(made)) == max(0, at - head + 1)
                )
                await made.until(lambda: made.board_level() == 0)

            assert whole == [b"body"], "what was not whole was taken for it"
            assert set(ended(made)) == {Outcome.LEFT}

    play(scene())


@pytest.mark.parametrize("by", ["a reset", "an end"])
@pytest.mark.parametrize("answer", [LENGTH, CHUNKS], ids=["a length", "chunks"])
def test_a_replica_may_go_at_any_byte_of_an_answer(answer, by):
    async def serve(peer: Peer) -> None:
        _, body = await peer.message()
        await peer.send(answer[: int(body)])
        if by == "a reset":
            reset(peer)
        else:
            peer.close()

    async def scene() -> None:
        async with served(serve) as made:
            for at in range(len(answer) + 1):
                client = await made.client()
                await client.send(post(b"%d" % at, more=b"Connection: close\r\n"))

                got = await everything(client)

                assert len(made.watch.ended) == at + 1, (at, got)
                last = made.watch.ended[-1]
                # A reset may overtake what was sent before it.
                if at == len(answer) and got.endswith(answer[-9:]):
                    assert last.outcome is Outcome.OK, (at, got)
                else:
                    assert last.outcome is Outcome.FAILED, (at, got)
                    assert last.status in (200, 502)

    play(scene())


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        pytest.param(LENGTH[:-3], True, id="a length"),
        pytest.param(CHUNKS[:-5], False, id="chunks"),
    ],
)
def test_an_old_client_never_takes_what_broke_off_for_whole(answer, seen):
    """It knows no chunks, so the end of its connection must not look like an end."""

    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(answer)

    async def scene() -> None:
        async with served(serve) as made:
            client = await made.client()
            await client.send(get().replace(b"HTTP/1.1", b"HTTP/1.0"))

            await client.head()

            if seen:
                assert await client.rest() == b"[no mo"
            else:
                with pytest.raises(ConnectionResetError):
                    await client.rest()
            assert ended(made) == [Outcome.FAILED]

    play(scene())


LIES = {
    "fewer bytes, then its end": (LENGTH[:-3], True, Outcome.FAILED, 200),
    "fewer bytes, then nothing": (LENGTH[:-3], False, Outcome.FAILED, 200),
    "no last chunk, then its end": (CHUNKS[:-5], True, Outcome.FAILED, 200),
    "no last chunk, then nothing": (CHUNKS[:-5], False, Outcome.FAILED, 200),
    "half a head, then its end": (LENGTH[:20], True, Outcome.FAILED, 502),
    "half a head, then nothing": (LENGTH[:20], False, Outcome.FAILED, 504),
    "more bytes": (LENGTH + b"more", False, Outcome.OK, 200),
    "more bytes, then its end": (LENGTH + b"more", True, Outcome.OK, 200),
    "another answer": (LENGTH + CHUNKS, False, Outcome.OK, 200),
    "more after the last chunk": (CHUNKS + b"more", False, Outcome.OK, 200),
    "a body after 204": (b"HTTP/1.1 204 No\r\n\r\nmore", False, Outcome.OK, 204),
    "a body after 304": (b"HTTP/1.1 304 No\r\n\r\nmore", False, Outcome.OK, 304),
    "two lengths": (
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", False,
        Outcome.FAILED, 502,
    ),
    "a length and chunks": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False,
        Outcome.FAILED, 502,
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_replica_that_lies_about_its_length_harms_its_own_answer_only(lie):
    answer, ends, outcome, status = LIES[lie]

    async def serve(peer: Peer) -> None:
        while True:
            _, body = await peer.message()
            if body != b"lie":
                await peer.send(LENGTH)
                continue
            await peer.send(answer)
            if ends:
                return

    async def scene() -> None:
        async with served(serve, timeout_s=0.6) as made:
            liar = await made.client()
            await liar.send(post(b"lie", more=b"Connection: close\r\n"))
            got = await everything(liar)

            assert got.startswith(b"HTTP/1.1 %d " % status), got
            assert ended(made) == [outcome]
            if outcome is Outcome.OK:
                assert b"more" not in got.replace(b"[no more]", b"")
                assert got.count(b"HTTP/1.1 ") == 1
            for _ in range(3):
                client = await made.client()
                head, body = await client.ask(post(b"fine"))
                assert head.startswith(OK.strip())
                assert body == b"[no more]"
            assert ended(made) == [outcome, *[Outcome.OK] * 3]

    play(scene())


@pytest.mark.parametrize("then", ["reads on", "ends", "is reset"])
@pytest.mark.parametrize("size", [100, 2_000_000])
def test_an_answer_before_the_body_has_come_is_counted_once(size, then):
    async def serve(peer: Peer) -> None:
        await peer.head()
        await peer.send(LENGTH)
        if then == "reads on":
            await peer.rest()
        elif then == "ends":
            peer.close()
        else:
            reset(peer)

    async def scene() -> None:
        async with served(serve) as made:
            client = await made.client()
            client.writer.write(post(b"x" * size)[:-50])

            got = await everything(client)

            # A reset may overtake the answer, and then that is what the client is told.
            whole = got.startswith(OK) and got.endswith(b"[no more]")
            assert whole or (then != "reads on" and got.startswith(b"HTTP/1.1 502 ")), (
                got
            )
            assert b"Connection: close\r\n" in got
            [outcome] = ended(made)
            assert outcome is (Outcome.OK if whole else Outcome.FAILED)

    play(scene())
