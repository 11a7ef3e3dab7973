"""`fromzero activator` in a process of its own, on a real link to an autoscaler."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from autoscaler.core.domain import Entrance, Replica, Route
from autoscaler.core.messages import Wake
from autoscaler.errors import BadInput
from fromzero.activator import settings_of
from fromzero.flags import Flags
from simulations.formats.known import read
from tests.activator.rig import HOST as NAMED
from tests.activator.rig import Peer, echo, free_port, post, replica
from tests.fakes.linked import KEY, SECRET, House, house, play, spec, until

ROUTE = Route(namespace="ns", service="iris", hosts=(NAMED,), backends=((KEY, 100.0),))


class Running:
    """The process; its ports, its log lines, its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = self.admin_port = 0

    async def says(self, text: str) -> str:
        """Return the next log line with *text*."""
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.lines.append(json.loads(line)["message"])
            if text in self.lines[-1]:
                return self.lines[-1]
        raise AssertionError(f"it ended without {text!r}: {self.lines}")

    async def ready(self) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.admin_port}/readyz") as answer,
        ):
            return answer.status, await answer.text()

    async def ask(self, port: int, body: bytes) -> bytes:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
        try:
            return (await peer.ask(post(body)))[1]
        finally:
            peer.close()


@asynccontextmanager
async def activator(
    tmp_path: Path, address: str, **environ: str
) -> AsyncIterator[Running]:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    command = [sys.executable, "-m", "fromzero", "activator", "--port", "0"]
    command += ["--admin-port", "0", "--autoscaler", address, "--log-format", "json"]
    command += ["--secret", str(secret)]
    command += ["--record-trace", str(tmp_path / "trace.csv")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FROMZERO_")}
    quick = {"FROMZERO_LINGER": "500ms", "FROMZERO_DRAIN": "1s", "POD_NAME": "act-a"}
    made = Running(
        await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**kept, **quick, **environ},
        )
    )
    try:
        serving = await made.says("serving ")
        parts = dict(each.split("=") for each in serving.split()[1:])
        assert parts["name"] == "act-a"
        made.port = int(parts["address"].rpartition(":")[2])
        made.admin_port = int(parts["admin"].rpartition(":")[2])
        yield made
    finally:
        if made.process.returncode is None:
            made.process.kill()
        await made.process.communicate()


def scene(
    tmp_path: Path, acts: Callable[[House, Running], Awaitable[None]], **environ: str
) -> None:
    async def whole() -> None:
        async with house() as made, activator(tmp_path, made.address, **environ) as run:
            await acts(made, run)

    play(whole(), 30.0)


@pytest.mark.slow
def test_it_holds_wakes_and_serves_by_both_ways_in_and_leaves_when_it_is_out(tmp_path):
    async def acts(made: House, running: Running) -> None:
        door = Entrance(port=free_port(), name="http")
        made.loop.configure(KEY, spec(entrances=(door,)))
        made.link.reroute((ROUTE,))
        await running.says("synced")
        assert await running.ready() == (200, "ok\n")
        await until(lambda: made.link.opened("act-a", KEY))
        said = made.link.opened("act-a", KEY)
        assert said is not None
        assert (said.refused, said.ports) == ("", (door.port,))

        async with replica(echo) as port, asyncio.TaskGroup() as tasks:
            held = tasks.create_task(running.ask(door.port, b"by its entrance"))
            await until(lambda: any(isinstance(each, Wake) for each in made.heard))
            made.loop.observed(KEY, (Replica(id="r1", host="127.0.0.1", port=port),))
            assert await held == b"by its entrance"
            assert await running.ask(running.port, b"by its host") == b"by its host"

            running.process.send_signal(signal.SIGTERM)
            await until(lambda: ("leaving", "act-a") in made.told)
            assert await running.ready() == (503, "it is being stopped\n")
            assert await running.ask(door.port, b"still") == b"still"
            made.link.out("act-a")
            assert await running.ask(door.port, b"and still") == b"and still"

        assert await running.process.wait() == 0

    scene(tmp_path, acts)
    trace = read(tmp_path / "trace.csv")
    assert (len(trace), trace.models) == (4, ("ns/iris",))
    assert (trace.services >= 0).all()


@pytest.mark.slow
def test_while_no_autoscaler_is_there_it_goes_on_and_ends_all_the_same(tmp_path):
    async def acts() -> None:
        number = free_port()
        async with (
            replica(echo) as port,
            activator(
                tmp_path, f"127.0.0.1:{number}", FROMZERO_LEAVE_LIMIT="500ms"
            ) as running,
        ):
            async with house(port=number) as made:
                made.loop.configure(KEY, spec(replicas=1))
                replicas = (Replica(id="r1", host="127.0.0.1", port=port, ready=True),)
                made.loop.observed(KEY, replicas)
                made.link.reroute((ROUTE,))
                await running.says("synced")
                assert await running.ask(running.port, b"a") == b"a"
            await running.says("no link")

            assert await running.ask(running.port, b"b") == b"b"
            assert await running.ready() == (200, "ok\n")
            running.process.send_signal(signal.SIGTERM)
            await running.says("nobody said within 0.5 s")
            assert await running.process.wait() == 0

    play(acts(), 30.0)


@pytest.mark.slow
def test_before_an_autoscaler_was_heard_it_is_well_but_not_ready(tmp_path):
    async def acts() -> None:
        address = f"127.0.0.1:{free_port()}"
        async with activator(tmp_path, address) as running:
            assert await running.ready() == (
                503,
                "no autoscaler has told it everything\n",
            )
            running.process.send_signal(signal.SIGTERM)
            await running.says("stopping")
            running.process.send_signal(signal.SIGTERM)
            assert await running.process.wait() == 0

    play(acts(), 30.0)


def test_it_loads_nothing_of_the_cluster_nor_of_the_command_line():
    heavy = ("kubernetes_asyncio", "typer", "rich", "pydantic", "autoscaler.loop")
    code = (
        "import sys, fromzero.activator;"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def settled(tmp_path: Path, environ: dict[str, str] | None = None, **flags: str):
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    said = {"autoscaler": "scaler:9091", "secret": str(path), **flags}
    return settings_of(Flags(command="activator", settings=said), environ or {})


def test_its_name_is_its_pods_and_it_is_reached_from_everywhere(tmp_path):
    found = settled(tmp_path, {"POD_NAME": "act-7"})

    assert (found.name, found.host, found.admin_host) == ("act-7", "*", "*")
    assert settled(tmp_path, {"POD_NAME": "act-7"}, name="other").name == "other"
    assert settled(tmp_path).name


def test_what_is_missing_is_said_at_once():
    with pytest.raises(BadInput) as raised:
        settings_of(Flags(command="activator", settings={}), {})

    assert str(raised.value).splitlines() == [
        "--autoscaler must be given: HOST:PORT at which the autoscalers are found",
        "--secret must be given: the file that the autoscalers have too",
    ]
