"""What two replicas that parse on their own saw of all that was said to an activator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from activator.server import ActivatorSettings
from activator.settings import Patience
from autoscaler.core.domain import Route
from tests.activator.corpus.case import HOSTS
from tests.activator.recorders import H11, Record, nginx, talk
from tests.activator.rig import KEY, Rig, replica, rig

ROUTE = Route(
    namespace="ns",
    service="iris",
    hosts=tuple(host.decode() for host in HOSTS),
    models=("iris",),
    backends=((KEY, 100.0),),
)
SETTINGS = ActivatorSettings(
    # Whoever is not done by then never is: it would be seen as a request that is missing.
    patience=Patience(head_s=30.0, stall_s=30.0, linger_s=1.0),
    seed=1,
    drain_s=1.0,
)
TOGETHER = 60
"""Connections at a time, to each of the two activators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All that one client says, in as many writes; then it waits for the end."""

    pieces: tuple[bytes, ...]
    ends_after: int | None = None
    """After so many answers it ends its side; None: the activator does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What became of it, by way of each of the two: nginx and h11."""

    got: tuple[list[bytes], list[bytes]]
    """What the clients got."""
    records: tuple[Record, Record]
    left: tuple[int, int]
    """Requests that are counted still, when all are over."""

    def __iter__(self):
        return iter(zip(("nginx", "h11"), self.got, self.records, strict=True))


def sender(number: int) -> str:
    """Return the address of a client of its own; all of 127/8 is this machine."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


async def ask(said: Sequence[Said], folder: Path) -> Sides:
    """Say all to two activators, one before nginx and one before h11."""
    other = H11()
    with nginx(folder) as first:
        async with (
            rig(SETTINGS, (ROUTE,)) as one,
            rig(SETTINGS, (ROUTE,)) as two,
            replica(other.serve) as port,
        ):
            await one.awake(first.port)
            await two.awake(port)
            got = await asyncio.gather(_all(one, said), _all(two, said))
            for made in (one, two):
                await made.until(lambda made=made: made.activator.active == 0)
            left = one.board_level(), two.board_level()
        first.end()
    return Sides(got=tuple(got), records=(first.record, other.record), left=left)


async def _all(made: Rig, said: Sequence[Said]) -> list[bytes]:
    gate = asyncio.Semaphore(TOGETHER)

    async def one(number: int, each: Said) -> bytes:
        async with gate:
            return await talk(
                made.port, sender(number), *each.pieces, ends_after=each.ends_after
            )

    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(one(*each)) for each in enumerate(said)]
    return [each.result() for each in work]
