"""The way to a replica's port, against ports that open late or never."""

from __future__ import annotations

import asyncio

import pytest

from activator.core.ticket import Endpoint
from activator.dial import dial
from activator.far import Far
from tests.activator.rig import Peer, free_port, play, replica, rig
from tests.activator.test_far import Near


def endpoint(port: int, **ports: int) -> Endpoint:
    made = Endpoint("r", 0.0)
    made.host, made.port, made.ports, made.open = "127.0.0.1", port, ports, True
    return made


def test_a_port_beside_the_probed_one_is_tried_until_it_opens():
    async def scene() -> None:
        late = free_port()
        async with rig() as made, asyncio.TaskGroup() as tasks:
            plane, where = made.activator._plane, endpoint(1, grpc=late)
            asked = asyncio.Event()

            def wanted() -> bool:
                asked.set()
                return True

            coming = tasks.create_task(dial(plane, Near(), where, "grpc", wanted))
            await asked.wait()
            async with replica(Peer.rest, late):
                far = await coming
                assert isinstance(far, Far)
                far.abort()

    play(scene())


@pytest.mark.parametrize("why", ["the probed one", "not wanted", "not open"])
def test_it_is_tried_no_more_where_that_is_of_no_use(why):
    async def scene() -> None:
        async with rig() as made:
            port = free_port()
            where = endpoint(port if why == "the probed one" else 1, grpc=port)
            where.open = why != "not open"

            said = await dial(
                made.activator._plane,
                Near(),
                where,
                "grpc",
                lambda: why != "not wanted",
            )

            assert isinstance(said, str)
            assert "refused" in said

    play(scene())
