"""Clients beyond those that there may be: never served, told so, and soon gone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random

import pytest

from activator.server import ActivatorSettings
from activator.settings import Patience
from autoscaler.core.domain import Entrance
from tests.activator.rig import (
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

FEW = ActivatorSettings(
    max_connections=3, drain_s=1.0, patience=Patience(linger_s=0.2), seed=1
)
REFUSED = "fromzero_activator_refused_connections_total"


class Noted(set):
    """A set that knows the most that it had."""

    most = 0

    def add(self, each) -> None:
        super().add(each)
        self.most = max(self.most, len(self))


async def full(made: Rig) -> list[Peer]:
    """Have as many clients as there may be."""
    found = [await made.client() for _ in range(FEW.max_connections)]
    await made.until(lambda: len(made.activator._plane.clients) == len(found))
    return found


async def nobody(made: Rig) -> None:
    plane = made.activator._plane
    await made.until(lambda: not plane.clients and not plane.surplus)


@pytest.mark.source
def test_the_count_never_exceeds_the_bound_and_returns_to_zero():
    chance = Random(7)

    async def scene() -> None:
        async with rig(FEW) as made, replica(echo) as port:
            await made.awake(port)
            plane = made.activator._plane
            plane.clients = noted = Noted()
            answers = {200: 0, 503: 0}

            async def one() -> None:
                client = await made.client()
                for _ in range(chance.randrange(1, 4)):
                    head, body = await client.ask(get(b"/x"))
                    status = int(head.split()[1])
                    answers[status] += 1
                    if status == 503:
                        assert b"Connection: close\r\n" in head
                        assert b"Retry-After: 1\r\n" in head
                        assert "as many connections" in json.loads(body)["error"]
                        assert await client.rest() == b""
                        break
                    await asyncio.sleep(0)
                client.close()

            async with asyncio.TaskGroup() as tasks:
                for _ in range(60):
                    tasks.create_task(one())

            await nobody(made)
            assert noted.most == FEW.max_connections
            assert answers[200] >= FEW.max_connections
            assert made.metric(REFUSED) == answers[503] > 0
            assert made.metric("fromzero_activator_connections") == 0
            assert (
                made.metric("fromzero_activator_own_answers_total", status="503")
                == answers[503]
            )

    play(scene())


def test_who_is_refused_reads_the_answer_whatever_it_still_sends():
    async def scene() -> None:
        async with rig(FEW) as made:
            await full(made)
            client = await made.client()
            client.writer.write(post(bytes(4 << 20)))

            head, _ = await client.message()

            assert head.startswith(b"HTTP/1.1 503")

    play(scene())


def test_who_is_refused_and_asks_nothing_is_not_kept():
    async def scene() -> None:
        async with rig(FEW) as made:
            await full(made)
            client = await made.client()
            await made.until(lambda: len(made.activator._plane.surplus) == 1)

            try:
                assert await client.rest() == b""
            except ConnectionResetError:
                pass
            await made.until(lambda: not made.activator._plane.surplus)

    play(scene())


def test_when_one_leaves_another_is_served():
    async def scene() -> None:
        async with rig(FEW) as made, replica(echo) as port:
            await made.awake(port)
            first, *_ = await full(made)
            first.close()
            await made.until(lambda: len(made.activator._plane.clients) == 2)

            assert (await (await made.client()).ask(get(b"/x")))[1] == b"/x"

    play(scene())


def test_a_tunnel_too_many_is_closed_and_counted():
    async def scene() -> None:
        async with rig(FEW) as made:
            door = Entrance(port=free_port(), name="grpc", tunnel=True)
            made.see(entrances=(door,))
            await made.open()
            plane = made.activator._plane
            assert plane.listening() == 1
            clients = await full(made)
            late = await made.client(door.port)

            with pytest.raises(ConnectionResetError):
                await late.rest()

            assert made.metric(REFUSED) == 1
            for each in clients:
                each.close()
            await nobody(made)

    play(scene())


def test_not_all_of_very_many_are_told():
    async def scene() -> None:
        patience = replace(FEW.patience, linger_s=10.0)
        async with rig(replace(FEW, patience=patience)) as made:
            plane = made.activator._plane
            plane._files = 0
            await made.client()
            await made.until(lambda: len(plane.clients) == 1)
            for _ in range(plane.most_surplus):
                await made.client()
            await made.until(lambda: len(plane.surplus) == plane.most_surplus)

            with pytest.raises(ConnectionResetError):
                await (await made.client()).rest()

            made.stop.set()
            await made.running
            await nobody(made)

    play(scene())
