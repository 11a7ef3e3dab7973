"""Tunnels: held, then passed on byte by byte, whole and in order, until both end."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from activator.goodbye import Goodbye
from activator.greeting import Greeting
from activator.h2 import ACK, HEADERS, PREFACE, SETTINGS, frame
from activator.server import ActivatorSettings
from activator.settings import Patience
from activator.transport import reset
from autoscaler.core.domain import Entrance, GateSpec
from autoscaler.core.messages import Drained, Gone, Lost, Refusal, Wake
from tests.activator.rig import KEY, Peer, Rig, Serve, free_port, play, replica, rig

SHORT = ActivatorSettings(drain_s=1.0, patience=Patience(linger_s=0.1))
HELLO = PREFACE + frame(SETTINGS)


def entrance() -> Entrance:
    return Entrance(port=free_port(), name="grpc", tunnel=True)


def run(
    scene: Callable[[Rig, Entrance], object],
    settings: ActivatorSettings = SHORT,
) -> None:
    """Run *scene* with a tunnel's entrance that is open, to a revision asleep."""

    async def whole() -> None:
        door = entrance()
        async with rig(settings) as made:
            made.see(entrances=(door,))
            await made.open()
            await scene(made, door)

    play(whole())


async def mirror(peer: Peer) -> None:
    """Say back whatever is said, and end when the other does."""
    while data := await peer.reader.read(65536):
        await peer.send(data)
    peer.writer.write_eof()


async def nothing_in_flight(made: Rig) -> None:
    await made.until(lambda: made.board_level() == 0)


def test_a_held_stream_arrives_unchanged_and_so_does_its_answer():
    heard = asyncio.Queue[bytes]()

    async def serve(peer: Peer) -> None:
        heard.put_nowait(await peer.exactly(len(HELLO) + 4))
        await peer.send(b"welcome")
        heard.put_nowait(await peer.exactly(4))
        await peer.rest()

    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(serve) as port:
            client = await made.client(door.port)
            await client.send(HELLO)
            await made.until(lambda: made.board_level() == 1)
            await client.send(b"more")
            assert [type(m) for m in made.said] == [Wake]
            made.see(port, entrances=(door,))

            assert await heard.get() == HELLO + b"more"
            assert await client.exactly(9) == Greeting.word
            assert await client.exactly(7) == b"welcome"
            await client.send(b"then")
            assert await heard.get() == b"then"
            assert made.board_level() == 1
            client.abort()
            await nothing_in_flight(made)
            assert made.metric(
                "fromzero_activator_hold_seconds_count",
                namespace=KEY.namespace, revision=KEY.name,
            ) == 1  # fmt: skip

    run(scene)


def test_a_held_client_of_http2_may_begin_and_its_server_hears_no_answer_to_others():
    asked = frame(HEADERS, b"\x82", flags=5, stream=1)
    rest = frame(SETTINGS, flags=ACK)

    async def serve(peer: Peer) -> None:
        await peer.send(frame(SETTINGS))
        assert await peer.exactly(len(HELLO + asked + rest)) == HELLO + asked + rest
        await peer.send(b"right")

    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(serve) as port:
            client = await made.client(door.port)
            await client.send(HELLO)
            assert await client.exactly(len(Greeting.word)) == Greeting.word
            await client.send(frame(SETTINGS, flags=ACK) + asked)
            await made.until(
                lambda: made.activator._plane.board.gate(KEY).bytes > len(HELLO)
            )
            made.see(port, entrances=(door,))
            assert await client.exactly(9) == frame(SETTINGS)
            await client.send(rest)

            assert await client.exactly(5) == b"right"

    run(scene)


def test_a_connection_that_says_nothing_wakes_nobody():
    async def scene(made: Rig, door: Entrance) -> None:
        silent = await made.client(door.port)
        talks = await made.client(door.port)
        await talks.send(b"x")
        await made.until(lambda: made.board_level() == 1)
        silent.close()

        assert [m.held for m in made.said if isinstance(m, Wake)] == [1]

    run(scene)


@pytest.mark.parametrize("client_first", [True, False])
def test_an_end_is_passed_on_and_the_other_half_stays_open(client_first):
    async def scene(made: Rig, door: Entrance) -> None:
        ended, go = asyncio.Event(), asyncio.Event()

        async def serve(peer: Peer) -> None:
            await peer.exactly(1)
            if client_first:
                assert await peer.rest() == b"all"
                ended.set()
                await peer.send(b"late answer")
                peer.writer.write_eof()
            else:
                await peer.send(b"late answer")
                peer.writer.write_eof()
                assert await peer.rest() == b"all"
                ended.set()
            await go.wait()

        async with replica(serve) as port:
            await made.awake(port, entrances=(door,))
            client = await made.client(door.port)
            await client.send(b"x")
            if client_first:
                await client.send(b"all")
                client.writer.write_eof()
                await ended.wait()
                assert await client.rest() == b"late answer"
            else:
                assert await client.rest() == b"late answer"
                assert made.board_level() == 1
                await client.send(b"all")
                client.writer.write_eof()
                await ended.wait()
            await nothing_in_flight(made)
            go.set()

    run(scene)


def test_as_much_as_one_likes_goes_through_both_ways_at_once_in_order():
    whole = random.Random(1).randbytes(8 << 20)

    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            made.see(port, entrances=(door,))
            client = await made.client(door.port)

            async def say() -> None:
                await client.send(whole)
                client.writer.write_eof()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(say())
                back = tasks.create_task(client.rest())

            digest = hashlib.sha256(back.result()).digest()
            assert digest == hashlib.sha256(whole).digest()
            await nothing_in_flight(made)

    run(scene)


@pytest.mark.parametrize("who", ["client", "replica"])
def test_who_does_not_listen_makes_the_other_wait_and_no_memory_full(who):
    """Both kernels' buffers and a little of ours: then nothing more is taken."""
    flood = b"x" * (1 << 20)

    async def scene(made: Rig, door: Entrance) -> None:
        go, taken = asyncio.Event(), 0

        async def pour(peer: Peer) -> None:
            nonlocal taken
            for _ in range(64):
                await peer.send(flood)
                taken += 1
            peer.writer.write_eof()

        async def drink(peer: Peer) -> None:
            await go.wait()
            count = 0
            while data := await peer.reader.read(1 << 20):
                count += len(data)
            assert count == 64 << 20
            peer.writer.write_eof()

        async def serve(peer: Peer) -> None:
            await peer.exactly(1)
            await (pour if who == "client" else drink)(peer)
            await peer.rest()

        async with replica(serve) as port:
            made.see(port, entrances=(door,))
            client = await made.client(door.port)
            await client.send(b"x")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task((drink if who == "client" else pour)(client))
                await made.until(lambda: made.board_level() == 1)
                (splice,) = made.activator._plane.clients
                near = splice._transport
                await made.until(lambda: splice._far is not None)
                far = splice._far._transport

                def stuck() -> bool:
                    full = near if who == "client" else far
                    return full.get_write_buffer_size() > 0 and taken > 0

                await made.until(stuck)
                before, turns = taken, 0
                while turns < 300:
                    turns = turns + 1 if taken == before else 0
                    before = taken
                    await asyncio.sleep(0)
                assert taken < 40
                waiting = near.get_write_buffer_size() + far.get_write_buffer_size()
                assert waiting < 2 << 20
                go.set()

    run(scene)


@pytest.mark.parametrize("lots", [False, True], ids=["a little", "more than is read"])
def test_a_client_that_leaves_while_it_is_held_is_noticed(lots):
    async def scene(made: Rig, door: Entrance) -> None:
        client = await made.client(door.port)
        await client.send(HELLO)
        await made.until(lambda: made.board_level() == 1)
        if lots:
            # As much as the kernel takes: an end behind more of it is not seen.
            client.writer.write(b"x" * (80 << 10))
            (splice,) = made.activator._plane.clients
            await made.until(lambda: splice._paused)
        client.close()

        await nothing_in_flight(made)
        await made.until(lambda: not made.activator._plane.clients)

    run(scene, replace(SHORT, ahead=64 << 10))


def test_no_more_is_read_of_who_waits_than_of_a_body():
    async def scene(made: Rig, door: Entrance) -> None:
        client = await made.client(door.port)
        client.writer.write(HELLO + bytes(4 << 20))
        gate = made.activator._plane.board.gate(KEY)
        await made.until(lambda: gate.bytes >= 64 << 10)
        for _ in range(100):
            await asyncio.sleep(0)

        # One read more than the bound.
        assert gate.bytes < 512 << 10

    run(scene, replace(SHORT, ahead=64 << 10))


def test_what_was_read_of_many_is_bounded_as_bodies_are():
    async def scene(made: Rig, door: Entrance) -> None:
        made.see(entrances=(door,), gate=GateSpec(max_held_bytes=1000))
        client = await made.client(door.port)

        await client.send(PREFACE + bytes(2000))

        assert b"the bodies of waiting requests fill" in await client.rest()
        assert made.board_level() == 0

    run(scene)


REFUSED = Refusal(reason="image pull failed: no such image", retry_after_s=9.0)


@pytest.mark.parametrize("early", [True, False], ids=["new", "held"])
def test_a_refusal_is_told_in_the_words_of_http2(early):
    async def scene(made: Rig, door: Entrance) -> None:
        client = await made.client(door.port)
        if early:
            made.see(entrances=(door,), refusal=REFUSED)
            await client.send(HELLO)
        else:
            await client.send(HELLO)
            await made.until(lambda: made.board_level() == 1)
            made.see(entrances=(door,), refusal=REFUSED)

        told = Goodbye(REFUSED.reason)
        assert await client.rest() == Greeting.word + told.feed(HELLO) + told.end()
        await made.until(lambda: not made.activator._plane.clients)

    run(scene)


def test_who_does_not_speak_http2_is_only_cut_off():
    async def scene(made: Rig, door: Entrance) -> None:
        made.see(entrances=(door,), refusal=REFUSED)
        client = await made.client(door.port)
        await client.send(b"GET / HTTP/1.1\r\n\r\n")

        with pytest.raises(ConnectionResetError):
            await client.rest()

    run(scene)


def test_who_is_held_for_too_long_is_told_so():
    async def scene(made: Rig, door: Entrance) -> None:
        made.see(entrances=(door,), gate=GateSpec(hold_limit_s=0.05))
        client = await made.client(door.port)
        await client.send(HELLO)

        assert b"the longest allowed" in await client.rest()

    run(scene)


def test_when_the_revision_goes_who_is_held_is_told_and_who_is_through_may_go_on():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            gate = GateSpec(container_concurrency=1)
            made.see(port, entrances=(door,), gate=gate, slots=1)
            runs = await made.client(door.port)
            await runs.send(b"a")
            assert await runs.exactly(1) == b"a"
            held, idle = await made.client(door.port), await made.client(door.port)
            await held.send(HELLO)
            await made.until(lambda: made.board_level() == 2)

            made.activator.down(Gone(key=KEY))

            assert b"was removed" in await held.rest()
            assert await idle.rest() == b""
            await runs.send(b"b")
            assert await runs.exactly(1) == b"b"

    run(scene)


def test_a_tunnel_takes_a_slot_and_who_waits_gets_it_when_it_ends():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            gate = GateSpec(container_concurrency=1)
            made.see(port, entrances=(door,), gate=gate, slots=1)
            one, other = await made.client(door.port), await made.client(door.port)
            await one.send(b"a")
            assert await one.exactly(1) == b"a"
            await other.send(b"b")
            await made.until(lambda: made.board_level() == 2)
            one.close()

            assert await other.exactly(1) == b"b"
            assert made.board_level() == 1

    run(scene)


def test_a_draining_replica_is_empty_when_its_tunnels_have_ended():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            made.see(port, entrances=(door,))
            client = await made.client(door.port)
            await client.send(b"a")
            await client.exactly(1)
            made.see(port, entrances=(door,), draining=(port,))
            assert not [m for m in made.said if isinstance(m, Drained)]
            client.close()

            await made.until(lambda: any(isinstance(m, Drained) for m in made.said))

    run(scene)


def test_a_replica_that_breaks_off_breaks_the_client_off():
    async def serve(peer: Peer) -> None:
        await peer.exactly(1)
        reset(peer.writer.transport)

    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(serve) as port:
            made.see(port, entrances=(door,))
            client = await made.client(door.port)
            await client.send(b"x")

            with pytest.raises(ConnectionResetError):
                await client.rest()
            await nothing_in_flight(made)

    run(scene)


def test_a_port_that_opens_a_moment_after_the_probed_one_is_waited_for():
    async def scene(made: Rig, door: Entrance) -> None:
        late = free_port()
        async with replica(mirror) as port:
            made.see(port, entrances=(door,), named=(("grpc", late),))
            client = await made.client(door.port)
            await client.send(b"x")
            (splice,) = made.activator._plane.clients
            await made.until(lambda: splice.active)
            async with replica(mirror, late):
                assert await client.exactly(1) == b"x"
            assert not [m for m in made.said if isinstance(m, Lost)]

    run(scene)


def test_a_replica_that_cannot_be_reached_is_lost_and_another_gets_the_stream():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            async with replica(mirror) as dead:
                await made.awake(dead, entrances=(door,))
            client = await made.client(door.port)
            await client.send(b"x")
            await made.until(lambda: any(isinstance(m, Lost) for m in made.said))
            made.see(port, entrances=(door,))

            assert await client.exactly(1) == b"x"

    run(scene)


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "end"])
def test_a_client_that_leaves_while_its_replica_is_connected_to_is_noticed(resets):
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            named = (("grpc", free_port()),)
            await made.awake(port, entrances=(door,), named=named)
            client = await made.client(door.port)
            await client.send(b"x")
            await made.until(lambda: made.board_level() == 1)
            if resets:
                reset(client.writer.transport)
            else:
                client.close()

            await nothing_in_flight(made)
            await made.until(lambda: not made.activator._plane.clients)

    patience = Patience(connect_s=0.3, linger_s=0.1)
    run(scene, replace(SHORT, patience=patience))


def test_what_a_client_said_while_its_replica_was_connected_to_arrives():
    async def scene(made: Rig, door: Entrance) -> None:
        late = free_port()
        async with replica(mirror) as port:
            await made.awake(port, entrances=(door,), named=(("grpc", late),))
            client = await made.client(door.port)
            await client.send(b"a")
            await made.until(lambda: made.board_level() == 1)
            await client.send(b"ll of it")
            client.writer.write_eof()
            async with replica(mirror, late):
                assert await client.rest() == b"all of it"
            await nothing_in_flight(made)

    run(scene)


def test_what_was_said_while_its_replica_is_connected_to_counts_as_held():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            made.see(
                port,
                entrances=(door,),
                named=(("grpc", free_port()),),
                gate=GateSpec(max_held_bytes=1000),
            )
            gate = made.activator._plane.board.gate(KEY)
            await made.until(lambda: len(gate.free) == 1)
            modest, client = await made.client(door.port), await made.client(door.port)
            await modest.send(HELLO)
            await made.until(lambda: gate.bytes == len(HELLO))
            await client.send(HELLO)
            await made.until(lambda: gate.bytes == 2 * len(HELLO))

            await client.send(bytes(1000))

            assert b"the bodies of waiting requests fill" in await client.rest()
            assert gate.bytes == len(HELLO)
            modest.abort()
            await made.until(lambda: gate.bytes == 0)
            await nothing_in_flight(made)

    run(scene)


def test_more_than_may_be_held_is_refused_even_if_its_replica_is_there():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            gate = GateSpec(max_held_bytes=len(HELLO) - 1)
            await made.awake(port, entrances=(door,), gate=gate)
            client = await made.client(door.port)
            await client.send(HELLO)

            assert b"the bodies of waiting requests fill" in await client.rest()
            assert made.activator._plane.board.gate(KEY).bytes == 0
            await nothing_in_flight(made)

    run(scene)


def test_what_a_replica_has_not_taken_yet_counts_as_held_until_it_has():
    lots = PREFACE + bytes(16 << 20)

    async def scene(made: Rig, door: Entrance) -> None:
        go = asyncio.Event()

        async def serve(peer: Peer) -> None:
            await go.wait()
            await peer.exactly(len(lots))
            await peer.send(b"all")
            await peer.rest()

        gate = made.activator._plane.board.gate(KEY)
        async with replica(serve) as port:
            client = await made.client(door.port)
            client.writer.write(lots)
            await made.until(lambda: gate.bytes == len(lots))
            made.see(port, entrances=(door,))
            (splice,) = made.activator._plane.clients
            await made.until(lambda: splice._far is not None)
            assert gate.bytes == len(lots)
            go.set()

            assert (
                await client.exactly(len(Greeting.word) + 3) == Greeting.word + b"all"
            )
            assert gate.bytes == 0
            assert made.board_level() == 1

    run(scene, replace(SHORT, ahead=64 << 20))


def test_a_named_port_that_never_opens_ends_in_a_refusal():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            made.see(port, entrances=(door,), named=(("grpc", free_port()),))
            client = await made.client(door.port)
            await client.send(HELLO)

            assert b"replicas in turn broke the request off" in await client.rest()

    run(scene, ActivatorSettings(patience=Patience(connect_s=0.1, linger_s=0.1)))


@pytest.mark.parametrize(
    "phase", ["silent from the first", "silent in the middle", "takes nothing"]
)
def test_who_is_silent_or_takes_nothing_for_too_long_is_cut_off(phase):
    async def pour(peer: Peer) -> None:
        await peer.exactly(1)
        while True:
            await peer.send(b"x" * 65536)

    async def scene(made: Rig, door: Entrance) -> None:
        serve: Serve = pour if phase == "takes nothing" else mirror
        async with replica(serve) as port:
            made.see(port, entrances=(door,))
            client = await made.client(door.port)
            if phase != "silent from the first":
                await client.send(b"x")
                await made.until(lambda: made.board_level() == 1)
            await made.until(lambda: not made.activator._plane.clients)
            await nothing_in_flight(made)

    patience = Patience(idle_s=0.5, silent_s=0.5, stall_s=0.5, linger_s=0.1)
    run(scene, ActivatorSettings(patience=patience))


def test_a_replica_that_takes_nothing_for_too_long_is_cut_off():
    async def serve(peer: Peer) -> None:
        await peer.exactly(1)
        peer.reader._transport.pause_reading()
        await asyncio.get_running_loop().create_future()

    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(serve) as port:
            await made.awake(port, entrances=(door,))
            client = await made.client(door.port)

            async def pour() -> None:
                while True:
                    await client.send(b"x" * 65536)

            with pytest.raises(ConnectionError):
                await pour()
            await nothing_in_flight(made)

    patience = Patience(silent_s=60.0, stall_s=0.5)
    run(scene, replace(SHORT, patience=patience))


def test_a_request_that_may_take_longer_may_be_silent_for_longer():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            made.see(port, entrances=(door,), gate=GateSpec(timeout_s=60.0))
            client = await made.client(door.port)
            await client.send(b"a")
            await client.exactly(1)
            (splice,) = made.activator._plane.clients

            assert splice.check(splice._since + 59.0) > splice._since + 59.0
            assert splice.active

    run(scene, ActivatorSettings(patience=Patience(silent_s=0.2)))


def test_stopping_sends_away_who_waits_and_lets_tunnels_end():
    async def scene(made: Rig, door: Entrance) -> None:
        async with replica(mirror) as port:
            gate = GateSpec(container_concurrency=1)
            made.see(port, entrances=(door,), gate=gate, slots=1)
            runs, idle = await made.client(door.port), await made.client(door.port)
            await runs.send(b"a")
            await runs.exactly(1)
            held = await made.client(door.port)
            await held.send(HELLO)
            await made.until(lambda: made.board_level() == 2)

            made.stop.set()

            assert b"is stopping" in await held.rest()
            assert await idle.rest() == b""
            await runs.send(b"b")
            assert await runs.exactly(1) == b"b"
            runs.close()
            await made.running

    run(scene, ActivatorSettings(drain_s=10.0))
