"""An activator of a cluster with links that a test holds in its hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import pytest

from autoscaler.core.domain import Entrance, GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, Uplink, View, Wake
from fromzero.config import Settings
from fromzero.doors import Doors
from fromzero.front import Front

KEY = RevisionKey("ns", "iris-predictor")
QUICK = Settings(
    host="127.0.0.1", name="activator-a", leave_limit_s=10.0, linger_s=0.1, drain_s=1.0
)


class Links:
    """Notes what it is told to say."""

    def __init__(self, activator, registry) -> None:
        self.down = activator.down
        self.out = asyncio.Event()
        self.synced = False
        self.said: list[object] = []

    def tell(self, message: Uplink) -> None:
        self.said.append(message)

    def opened(self, *what: object) -> None:
        self.said.append(what)

    def leaving(self) -> None:
        self.said.append("leaving")

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()


class Stage:
    def __init__(self, links: Links, doors: Doors, stop: asyncio.Event, work) -> None:
        self.links, self.doors, self.stop, self.work = links, doors, stop, work

    async def ready(self) -> tuple[int, str]:
        port = self.doors.admin.getsockname()[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            return answer.status, await answer.text()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0)

    def see(self, *addresses: Address, entrances=()) -> None:
        version = len(self.links.said) + 1
        self.links.down(
            View(
                key=KEY, version=version, epoch=0, gate=GateSpec(), probe=Probe(),
                addresses=addresses, entrances=entrances,
            )
        )  # fmt: skip


def play(scene: Callable[[Stage], object], settings: Settings = QUICK) -> None:
    async def whole() -> None:
        made: list[Links] = []

        def link(*parts) -> Links:
            made.append(Links(*parts))
            return made[0]

        with (
            socket.create_server(("127.0.0.1", 0)) as data,
            socket.create_server(("127.0.0.1", 0)) as admin,
        ):
            doors, stop = Doors(data=data, admin=admin), asyncio.Event()
            front = Front(settings, link)
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                work = group.create_task(front.run(doors, stop))
                await scene(Stage(made[0], doors, stop, work))
                stop.set()
                made[0].out.set()

    asyncio.run(whole())


def test_it_is_ready_once_it_was_told_everything_and_until_it_is_told_to_stop():
    async def scene(on: Stage) -> None:
        assert await on.ready() == (503, "no autoscaler has told it everything\n")
        on.links.synced = True
        assert await on.ready() == (200, "ok\n")
        on.stop.set()
        await on.until(lambda: "leaving" in on.links.said)
        assert await on.ready() == (503, "it is being stopped\n")
        assert not on.work.done()
        on.links.out.set()
        await on.work

    play(scene)


def test_what_it_says_goes_over_its_links():
    async def scene(on: Stage) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        on.see(entrances=(Entrance(port=port),))
        await on.until(lambda: (KEY, 1, "") in on.links.said)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")

        await on.until(lambda: isinstance(on.links.said[-1], Wake))

        assert on.links.said[-1].reporter == "activator-a"
        writer.close()

    play(scene)


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "nobody answers"])
def test_it_leaves_when_it_is_out_or_nobody_answers(heard, caplog):
    async def scene(on: Stage) -> None:
        on.stop.set()
        await on.until(lambda: on.links.said == ["leaving"])
        if heard:
            on.links.out.set()
        await on.work

    play(scene, QUICK if heard else replace(QUICK, leave_limit_s=0.1))
    assert ("nobody said" in caplog.text) is not heard
