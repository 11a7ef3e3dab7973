"""What the link costs: a snapshot, and activators that sample what is awake.

    python -m benchmarks.link [--revisions N] [--activators N] [--awake N] [--seconds S]

The autoscaler is a process of its own with all of it: Fleet, loop, Shares, link. The
activators are links in this one, which sample each second as an activator does.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import uvloop
from prometheus_client import CollectorRegistry

from activator import line
from activator.link import Link
from autoscaler.clock import monotonic
from autoscaler.core import envelope
from autoscaler.core.domain import (
    Budget,
    Entrance,
    GateSpec,
    Probe,
    Replica,
    RevisionKey,
    RevisionSpec,
    Route,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Downlink, Gone, ReplicaLoad, Sample, View
from autoscaler.link import LinkServer
from autoscaler.loop import Loop
from autoscaler.telemetry import Telemetry

HOST = "127.0.0.1"
SECRET = (b"a secret of the benchmark",)


def keys(number: int) -> list[RevisionKey]:
    return [
        RevisionKey("production", f"model-{each:04d}-predictor")
        for each in range(number)
    ]


async def serve(revisions: int, awake: int) -> None:
    """Be an autoscaler; say where, then how much CPU was used at each line read."""
    loop = Loop(Fleet(budget=Budget(), now=monotonic()), Telemetry(CollectorRegistry()))
    link = LinkServer(lambda: SECRET, loop, CollectorRegistry())
    for number, key in enumerate(keys(revisions)):
        up = number < awake
        scaling = ScalingSpec(
            total_value=4.0, min_replicas=int(up), max_replicas=4, initial_scale=int(up)
        )
        entrance = Entrance(port=20_000 + number, name="http1")
        loop.configure(
            key,
            RevisionSpec(
                scaling=scaling,
                gate=GateSpec(container_concurrency=4),
                probe=Probe(path="/v1/models/model"),
                entrances=(entrance,),
            ),
        )
        if up:
            loop.observed(
                key,
                (
                    Replica(
                        id=f"{key.name}-7f9c-x2x4q", host=HOST, port=8080, ready=True
                    ),
                ),
            )
    link.reroute(
        tuple(
            Route(
                namespace=key.namespace,
                service=key.name,
                hosts=(f"{key.name}-production.example.com",),
                backends=((key, 100.0),),
            )
            for key in keys(revisions)
        )
    )
    link.lead(leading=True, term=1)
    sock = socket.create_server((HOST, 0))
    sock.setblocking(False)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(link.run(sock, stop))
        print(sock.getsockname()[1], flush=True)
        while await reader.readline():
            print(time.process_time(), flush=True)
        stop.set()
    loop.close()


class Told:
    """An activator that only remembers versions."""

    def __init__(self) -> None:
        self.views: dict[RevisionKey, View] = {}

    def down(self, message: Downlink) -> None:
        if isinstance(message, Gone):
            self.views.pop(message.key, None)
        else:
            self.views[message.key] = message

    def reroute(self, routes: tuple[Route, ...]) -> None:
        pass

    def samples(self, name: str) -> list[Sample]:
        return [
            Sample(
                key=view.key,
                reporter=name,
                span_s=1.0,
                concurrency=1.25,
                requests=17,
                held=0,
                in_flight=1,
                epoch=view.epoch,
                version=view.version,
                replicas=tuple(
                    ReplicaLoad(
                        replica=each.replica,
                        in_flight=1,
                        idle_s=0.0,
                        ready=True,
                        slots=each.slots,
                    )
                    for each in view.addresses
                ),
            )
            for view in self.views.values()
            if view.addresses
        ]


Ask = Callable[[], Awaitable[float]]


@asynccontextmanager
async def autoscaler(revisions: int, awake: int):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.link", "--serve",
        "--revisions", str(revisions), "--awake", str(awake),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    port = int(await child.stdout.readline())

    async def cpu() -> float:
        child.stdin.write(b"\n")
        return float(await child.stdout.readline())

    try:
        yield port, cpu
    finally:
        child.stdin.close()
        await child.wait()


class Bytes:
    """Count what frames have, as they are opened and as they are written."""

    def __init__(self) -> None:
        self.down = self.up = 0

    def watch(self) -> None:
        opened, framed = envelope.opened, envelope.framed

        def opening(frame: str, of: object) -> envelope.Opened:
            self.down += len(frame)
            return opened(frame, of)

        def framing(texts: list[str], version: int) -> str:
            frame = framed(texts, version)
            self.up += len(frame)
            return frame

        line.opened, line.framed = opening, framing


async def measure(flags: argparse.Namespace) -> None:
    count = Bytes()
    count.watch()
    async with AsyncExitStack() as stack:
        port, cpu = await stack.enter_async_context(
            autoscaler(flags.revisions, flags.awake)
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        before, mine = await cpu(), time.process_time()
        began = monotonic()
        told, links = [], []
        for number in range(flags.activators):
            told.append(Told())
            links.append(
                Link(
                    f"activator-{number}", [f"{HOST}:{port}"], lambda: SECRET, told[-1],
                    CollectorRegistry(),
                )
            )  # fmt: skip
        running = [tasks.create_task(each.run()) for each in links]
        while not all(each.synced for each in links):
            await asyncio.sleep(0.001)
        took_s = monotonic() - began
        spent, own = await cpu() - before, time.process_time() - mine
        each = flags.activators
        print(f"snapshot of {flags.revisions} revisions, {each} activators")
        show("bytes each", f"{count.down / each:,.0f}")
        show("until all are synced", f"{took_s * 1e3:.0f} ms")
        show("CPU of the autoscaler", f"{spent / each * 1e3:.1f} ms each")
        show("CPU of an activator", f"{own / each * 1e3:.1f} ms")

        count.down = count.up = 0
        before, mine = await cpu(), time.process_time()
        began = monotonic()
        for second in range(1, flags.seconds + 1):
            for link, at in zip(links, told, strict=True):
                for sample in at.samples(link.name):
                    link.tell(sample)
            await asyncio.sleep(began + second - monotonic())
        spent, own = await cpu() - before, time.process_time() - mine
        took_s = monotonic() - began
        samples = took_s * flags.awake * each
        print(f"{each} activators that sample {flags.awake} revisions a second")
        show("bytes up", f"{count.up / took_s / each:,.0f} /s each")
        show("bytes down", f"{count.down / took_s / each:,.0f} /s each")
        show("CPU of the autoscaler", f"{100 * spent / took_s:.1f} %")
        show("", f"{spent / max(1, samples) * 1e6:.0f} µs a sample")
        show("CPU of an activator", f"{100 * own / took_s / each:.1f} %")
        before = await cpu()
        await asyncio.sleep(flags.seconds)
        print("nobody says anything")
        spent = await cpu() - before
        show("CPU of the autoscaler", f"{100 * spent / flags.seconds:.1f} %")
        for task in running:
            task.cancel()


def show(what: str, figure: str) -> None:
    print(f"  {what:24}{figure:>16}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, default=1000)
    parser.add_argument("--activators", type=int, default=10)
    parser.add_argument("--awake", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if flags.serve:
            runner.run(serve(flags.revisions, flags.awake))
        else:
            runner.run(measure(flags))


if __name__ == "__main__":
    main()
