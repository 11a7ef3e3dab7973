"""The whole activator: waking, samples, draining, many at once with faults."""

from __future__ import annotations

import asyncio
import random

import pytest

from activator.core.ticket import Outcome
from activator.server import ActivatorSettings
from autoscaler.core.domain import Entrance, GateSpec, Probe
from autoscaler.core.messages import Drained, Gone, Ready, Sample, Wake
from tests.activator.rig import (
    HOST,
    KEY,
    Peer,
    Rig,
    echo,
    free_port,
    get,
    play,
    post,
    replica,
    rig,
)

OK = b"HTTP/1.1 200 OK\r\n"


def test_a_request_for_a_sleeping_model_is_held_and_answered_when_it_is_ready():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            await client.send(post(b"hello"))
            await made.until(lambda: bool(made.said))
            made.see(port)

            head, body = await client.message()

            assert body == b"hello"
            assert head.startswith(OK)
            assert b"Server-Timing: hold;dur=" in head
            assert b"X-Fromzero-Cold-Start: " in head
            assert [type(message) for message in made.said] == [Wake, Ready]

            head, body = await client.ask(get(b"/v1/models/iris:explain"))
            assert body == b"/v1/models/iris:explain"
            assert b"Server-Timing" not in head

    play(scene())


def test_samples_say_each_second_what_is_held_and_in_flight():
    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port, gate=GateSpec(container_concurrency=1))
            made.see(port, gate=GateSpec(container_concurrency=1), slots=1)
            one, other = await made.client(), await made.client()
            await one.send(post(b"x"))
            await other.send(post(b"x"))
            await made.until(lambda: made.board_level() == 2)

            def samples() -> list[Sample]:
                return [m for m in made.said if isinstance(m, Sample) and m.held]

            await made.until(lambda: len(samples()) == 2)

            last = samples()[-1]
            assert (last.held, last.in_flight) == (1, 1)
            assert last.span_s > 0.0
            assert last.concurrency == pytest.approx(2.0)
            assert last.version == made.version
            assert [load.replica for load in last.replicas] == [f"r{port}"]

    play(scene())


def test_stopping_lets_running_answers_end_and_sends_waiting_ones_away():
    go = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Content-Length: 4\r\n\r\nha")
        await go.wait()
        await peer.send(b"lf")

    async def scene() -> None:
        settings = ActivatorSettings(drain_s=10.0)
        async with rig(settings) as made, replica(serve) as port:
            await made.awake(port)
            made.see(port, gate=GateSpec(container_concurrency=1), slots=1)
            runs, waits, idles = [await made.client() for _ in range(3)]
            await runs.send(post(b"x"))
            await runs.head()
            await waits.send(post(b"y"))
            await made.until(lambda: made.board_level() == 2)

            made.stop.set()

            head, _ = await waits.message()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: " in head
            assert await idles.rest() == b""
            assert made.activator.active == 1
            with pytest.raises(ConnectionRefusedError):
                await made.client()
            go.set()
            assert await runs.rest() == b"half"
            await made.running

            assert made.activator.active == 0

    play(scene())


def test_stopping_takes_no_longer_than_it_may():
    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.rest()

    async def scene() -> None:
        settings = ActivatorSettings(drain_s=0.2)
        async with rig(settings) as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            made.stop.set()

            await made.running

            assert await client.rest() == b""
            assert made.watch.ended[0].outcome is Outcome.LEFT

    play(scene())


def test_an_answer_that_begins_while_stopping_is_the_last_of_its_connection():
    go = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.message()
        await go.wait()
        await peer.send(OK + b"Content-Length: 2\r\n\r\nhi")
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            made.stop.set()
            await made.until(lambda: made.activator._plane.draining)
            go.set()

            head, body = await client.message()

            assert b"Connection: close\r\n" in head
            assert body == b"hi"
            assert await client.rest() == b""

    play(scene())


def test_a_draining_replica_ends_what_it_has_and_gets_nothing_new():
    go = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.message()
        await go.wait()
        await peer.send(OK + b"Content-Length: 3\r\n\r\nold")
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(slow) as old, replica(echo) as new:
            await made.awake(old)
            client, other = await made.client(), await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            made.see(old, new, draining=(old,))
            assert (await other.ask(post(b"y")))[1] == b"y"
            assert not any(isinstance(m, Drained) for m in made.said)
            go.set()

            assert (await client.message())[1] == b"old"
            await made.until(lambda: any(isinstance(m, Drained) for m in made.said))

    play(scene())


def test_connections_to_a_replica_that_has_gone_are_closed():
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Content-Length: 0\r\n\r\n")
        await peer.rest()
        closed.set()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.ask(post(b"x"))
            made.see()

            await closed.wait()

    play(scene())


def test_a_revision_that_is_removed_sends_its_held_requests_away():
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)

            made.activator.down(Gone(key=KEY))

            assert (await client.message())[0].startswith(b"HTTP/1.1 503 ")

    play(scene())


def test_who_hears_badly_stops_nothing():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:

            def deaf(message: object) -> None:
                raise RuntimeError(f"no ear for {message}")

            made.activator._plane._uplink = deaf
            await made.awake(port)
            client = await made.client()
            assert (await client.ask(post(b"x")))[1] == b"x"

    play(scene())


def test_readiness_is_asked_of_the_model_where_it_can_be():
    ready = False
    asked: list[bytes] = []

    async def serve(peer: Peer) -> None:
        head, body = await peer.message()
        asked.append(head.split(b"\r\n")[0])
        status = b"200 OK" if ready or body else b"503 No"
        await peer.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)

    async def scene() -> None:
        nonlocal ready
        async with rig() as made, replica(serve) as port:
            made.see(port, probe=Probe(path="/v2/models/iris/ready"))
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: len(asked) > 5)
            assert set(asked) == {b"GET /v2/models/iris/ready HTTP/1.1"}
            assert made.watch.begun == [KEY]

            ready = True

            assert (await client.message())[0].startswith(OK)

    play(scene())


async def moody(peer: Peer) -> None:
    """Answer as the request's own body asks, or break off in one of many ways."""
    while True:
        head, body = await peer.message()
        mood = body[:1]
        said = b"<%b>" % body
        if mood == b"a":
            return peer.abort()
        if mood == b"b":
            await peer.send(
                OK + b"Content-Length: %d\r\n\r\n%b" % (len(said), said[:-1])
            )
            return None
        if mood == b"c":
            await peer.send(OK + b"\r\n" + said)
            return None
        if mood == b"d":
            await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(said), 1000):
                piece = said[at : at + 1000]
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await peer.send(b"0\r\n\r\n")
        else:
            assert head
            await peer.send(OK + b"Content-Length: %d\r\n\r\n%b" % (len(said), said))
        if mood == b"e":
            return None


async def visit(made: Rig, rng: random.Random, name: int) -> int:
    """Send requests in all shapes; each whole answer must be ours, to the byte."""
    client, answered = await made.client(), 0
    for number in range(12):
        mood = rng.choice([b"a", b"b", b"c", b"d", b"d", b"e", b"f", b"f", b"f"])
        size = rng.choice([0, 10, 5000, 200_000])
        body = mood + b"%d/%d;" % (name, number) * (1 + size // 8)
        if rng.random() < 0.5:
            asked = post(body)
        else:
            middle = rng.randrange(1, len(body))
            asked = (
                b"POST /x HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (
                    HOST.encode(),
                    middle,
                    body[:middle],
                    len(body) - middle,
                    body[middle:],
                )
            )
        try:
            if rng.random() < 0.1:
                client.writer.write(asked[: rng.randrange(len(asked))])
                client.abort()
                raise ConnectionError("left on purpose")
            client.writer.write(asked)
            head, got = await client.message()
            if head.startswith(OK):
                assert got == b"<%b>" % body
                assert mood not in b"ab"
                answered += 1
            else:
                # Or the one before it on its connection was an "e".
                assert head.startswith(b"HTTP/1.1 502 ")
                assert b"broke the request off" in got
        except (ConnectionError, asyncio.IncompleteReadError):
            client = await made.client()
    return answered


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_interleaved_connections_with_faults_never_mix_a_byte(seed):
    async def scene() -> None:
        async with (
            rig() as made, replica(moody) as one, replica(moody) as other
        ):  # fmt: skip
            await made.awake(one, other, gate=GateSpec(container_concurrency=4))
            made.see(one, other, gate=GateSpec(container_concurrency=4), slots=4)
            rng = random.Random(seed)
            async with asyncio.TaskGroup() as tasks:
                visits = [
                    tasks.create_task(visit(made, random.Random(rng.random()), name))
                    for name in range(25)
                ]
            assert sum(visit.result() for visit in visits) > 100
            await made.until(lambda: made.board_level() == 0)
            gate = made.activator._plane.board.gate(KEY)
            assert all(each.in_flight == 0 for each in gate.endpoints.values())
            assert len(made.watch.ended) == sum(
                made.activator._plane.telemetry.counts(KEY).codes
            )

    play(scene(), 60.0)


def lingers(**settings: float) -> ActivatorSettings:
    return ActivatorSettings(drain_s=0.2, **settings)


def test_told_to_stop_it_takes_new_connections_until_it_is_out_and_a_while_longer():
    async def scene() -> None:
        door = Entrance(port=free_port())
        settings = lingers(unheard_s=15.0, linger_s=0.6)
        async with rig(settings, lingers=True) as made, replica(echo) as port:
            await made.awake(port, entrances=(door,))
            await made.open()
            made.stop.set()
            while not made.out.is_set():
                for number in (made.port, door.port):
                    client = await made.client(number)
                    head, body = await client.ask(post(b"still"))
                    assert body == b"still"
                    assert b"Connection: close" not in head
                made.out.set()

            client = await made.client(door.port)
            assert (await client.ask(post(b"late")))[1] == b"late"
            assert not made.running.done()
            assert await client.rest() == b""
            await made.running
            with pytest.raises(ConnectionRefusedError):
                await made.client(door.port)

    play(scene())


def test_if_nobody_says_that_it_is_out_it_ends_all_the_same(caplog):
    async def scene() -> None:
        async with rig(lingers(unheard_s=0.1, linger_s=0.1), lingers=True) as made:
            made.stop.set()

            await made.running

    play(scene())
    assert "nobody said within 0.1 s" in caplog.text


def test_while_it_lingers_it_wakes_and_samples_as_ever():
    async def scene() -> None:
        settings = lingers(unheard_s=15.0, linger_s=0.1)
        async with rig(settings, lingers=True) as made, replica(echo) as port:
            made.stop.set()
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: any(isinstance(m, Sample) for m in made.said))
            assert isinstance(made.said[0], Wake)
            made.see(port)

            assert (await client.message())[1] == b"x"
            made.out.set()

    play(scene())
