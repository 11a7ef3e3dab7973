"""The replica's side of a tunnel, against a replica made of bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import pytest

from activator.core.ticket import Outcome
from activator.far import Far
from activator.transport import reset
from autoscaler.clock import Clock, monotonic
from tests.activator.rig import Peer, Serve, play, replica


class Near:
    """The client's side: notes what it is told."""

    clock: Clock = staticmethod(monotonic)

    def __init__(self) -> None:
        self.told: list[object] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    def end(self) -> None:
        self.told.append("end")

    def over(self, outcome: Outcome) -> None:
        self.told.append(outcome)

    async def hears(self, what: object) -> None:
        while what not in self.told:  # noqa: ASYNC110 - each turn is looked at
            await asyncio.sleep(0)


def run(serve: Serve, scene: Callable[[Far, Near], Awaitable[None]]) -> None:
    async def whole() -> None:
        near = Near()
        async with replica(serve) as port:
            loop = asyncio.get_running_loop()
            _, far = await loop.create_connection(lambda: Far(near), "127.0.0.1", port)
            try:
                await scene(far, near)
            finally:
                far.abort()

    play(whole())


@pytest.mark.parametrize("client_first", [True, False])
def test_it_is_over_when_both_have_ended_and_not_before(client_first):
    async def serve(peer: Peer) -> None:
        if client_first:
            assert await peer.rest() == b"ask"
        await peer.send(b"answer")
        peer.writer.write_eof()
        await peer.rest()

    async def scene(far: Far, near: Near) -> None:
        far.write(b"ask")
        if client_first:
            assert far.end()
            await near.hears(Outcome.OK)
            assert near.told == [b"answer", Outcome.OK]
        else:
            await near.hears("end")
            assert near.told == [b"answer", "end"]
            assert not far.end()
            assert near.told[2:] == [Outcome.OK]

    run(serve, scene)


def test_a_reset_is_a_failure_told_once():
    async def serve(peer: Peer) -> None:
        await peer.exactly(1)
        reset(peer.writer.transport)

    async def scene(far: Far, near: Near) -> None:
        far.write(b"x")
        await near.hears(Outcome.FAILED)
        far.pause()
        far.resume()

        assert near.told == [Outcome.FAILED]

    run(serve, scene)


def test_a_client_that_has_gone_is_told_nothing():
    async def scene(far: Far, near: Near) -> None:
        far.abort()
        await asyncio.sleep(0)

        assert near.told == []

    run(Peer.rest, scene)


def test_what_the_replica_does_not_take_stops_the_client_until_it_does():
    go = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await go.wait()
        await peer.rest()

    async def scene(far: Far, near: Near) -> None:
        while "pause" not in near.told:
            far.write(b"x" * (1 << 20))
        assert far.stalled < inf
        go.set()
        await near.hears("resume")

        assert far.stalled == inf

    run(serve, scene)


def test_while_it_is_paused_nothing_is_read():
    async def serve(peer: Peer) -> None:
        await peer.exactly(1)
        await peer.send(b"a")
        await peer.rest()

    async def scene(far: Far, near: Near) -> None:
        far.pause()
        far.write(b"x")
        for _ in range(50):
            await asyncio.sleep(0)
        assert near.told == []
        far.resume()

        await near.hears(b"a")

    run(serve, scene)
