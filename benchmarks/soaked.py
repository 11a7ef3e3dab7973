"""The activator that benchmarks.soak asks, in a process of its own, and its autoscaler.

    python -m benchmarks.soaked --steady PORT … --sleeper PORT …

Services `steady` and `sleeper` are at hosts NAME-soak.localhost. Replicas of `steady`
stay; those of `sleeper` are given when it wakes, and taken when nobody asks for it. It
prints its port; then, for each line that it reads, what it holds, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
from collections import Counter
from dataclasses import replace

import uvloop
from prometheus_client import CollectorRegistry

from activator.files import raise_limit
from activator.server import Activator, ActivatorSettings
from activator.settings import Patience
from autoscaler.core.domain import GateSpec, Probe, RevisionKey, Route
from autoscaler.core.messages import Address, Sample, Uplink, View, Wake

STEADY = RevisionKey("soak", "steady-predictor-00001")
SLEEPER = RevisionKey("soak", "sleeper-predictor-00001")
KEPT_S = 2.0
"""Unused connections to replicas are closed so soon, since the end is waited for."""
_START_S = 0.2
_QUIET = 2
"""Samples without a request after which the sleeper sleeps."""
_WATCHED = ("Passage", "Http1", "Upstream", "Exchange", "Ticket", "Hold", "Search")


class Keeper:
    """Gives the sleeper its replicas when it wakes, and takes them again."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self.activator: Activator | None = None
        self._addresses = addresses
        self._quiet = 0
        self._starting = False
        self._view = View(
            key=SLEEPER, version=1, epoch=0, gate=GateSpec(), probe=Probe()
        )

    def hear(self, message: Uplink) -> None:
        if message.key != SLEEPER:
            return
        match message:
            case Wake():
                self._wake()
            case Sample():
                busy = message.held or message.in_flight or message.requests
                self._quiet = 0 if busy else self._quiet + 1
                if message.held:
                    self._wake()
                elif self._view.addresses and self._quiet >= _QUIET:
                    view = self._view
                    self._give(replace(view, addresses=(), epoch=view.epoch + 1))
            case _:
                pass

    def _wake(self) -> None:
        if not self._view.addresses and not self._starting:
            self._starting = True
            loop = asyncio.get_running_loop()
            loop.call_later(_START_S, self._started)

    def _started(self) -> None:
        self._starting = False
        self._quiet = 0
        self._give(replace(self._view, addresses=self._addresses))

    def _give(self, view: View) -> None:
        assert self.activator is not None
        self._view = replace(view, version=view.version + 1)
        self.activator.down(self._view)


async def serve(steady: list[int], sleeper: list[int]) -> None:
    """Serve until nobody reads any more."""
    registry, stop = CollectorRegistry(), asyncio.Event()
    keeper = Keeper(_addresses(sleeper))
    settings = ActivatorSettings(patience=Patience(kept_s=KEPT_S))
    activator = Activator(settings, keeper.hear, registry)
    keeper.activator = activator
    activator.reroute((_route("steady", STEADY), _route("sleeper", SLEEPER)))
    activator.down(keeper._view)
    activator.down(
        View(
            key=STEADY,
            version=1,
            epoch=0,
            gate=GateSpec(container_concurrency=32),
            probe=Probe(),
            addresses=_addresses(steady),
        )
    )
    loop = asyncio.get_running_loop()

    def read() -> None:
        if os.read(0, 1 << 16):
            print(json.dumps(held(activator, registry)), flush=True)
        else:
            loop.remove_reader(0)
            stop.set()

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        loop.add_reader(0, read)
        await activator.run([listener], stop)


def held(activator: Activator, registry: CollectorRegistry) -> dict[str, object]:
    """Say what there is of what must not stay."""
    gc.collect()
    plane = activator._plane
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    futures = [each for each in gc.get_objects() if isinstance(each, asyncio.Future)]
    codes: Counter[str] = Counter()
    own: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == "fromzero_activator_requests_total":
                codes[sample.labels["code"]] += int(sample.value)
            elif sample.name == "fromzero_activator_own_answers_total":
                own[sample.labels["status"]] += int(sample.value)
            elif sample.name.endswith(("_held_requests", "_in_flight_requests")):
                levels[sample.name] += int(sample.value)
    return {
        "codes": codes,
        "own": own,
        "left": {
            **levels,
            "clients": len(plane.clients),
            "surplus": len(plane.surplus),
            "upstreams": len(plane.upstreams),
            "tasks": len(asyncio.all_tasks()),
            "pending futures": sum(not each.done() for each in futures),
            "files": len(os.listdir("/proc/self/fd")),
            **{name: kinds[name] for name in _WATCHED},
        },
    }


def _addresses(ports: list[int]) -> tuple[Address, ...]:
    return tuple(
        Address(replica=f"r{port}", host="127.0.0.1", port=port, slots=-1)
        for port in ports
    )


def _route(service: str, key: RevisionKey) -> Route:
    return Route(
        namespace="soak",
        service=service,
        hosts=(f"{service}-soak.localhost",),
        backends=((key, 100.0),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steady", type=int, nargs="+", required=True)
    parser.add_argument("--sleeper", type=int, nargs="+", required=True)
    asked = parser.parse_args()
    raise_limit()
    uvloop.run(serve(asked.steady, asked.sleeper))


if __name__ == "__main__":
    main()
