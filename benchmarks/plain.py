"""The activator alone, in front of replicas that stay: no autoscaler, nothing wakes.

    python -m benchmarks.plain --port N --replica PORT … [--hosts N] [--concurrency N]

N services, at hosts `svc-K-bench.localhost` with K from 0, share one revision.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket

import uvloop
from prometheus_client import CollectorRegistry

from activator.files import raise_limit
from activator.server import Activator, ActivatorSettings
from autoscaler.core.domain import GateSpec, Probe, RevisionKey, Route
from autoscaler.core.messages import Address, Uplink, View

KEY = RevisionKey("bench", "model-predictor-00001")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--replica", type=int, nargs="+", required=True)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=0)
    asked = parser.parse_args()
    raise_limit()
    uvloop.run(serve(asked.port, asked.replica, asked.hosts, asked.concurrency))


async def serve(port: int, replicas: list[int], hosts: int, concurrency: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    activator = Activator(ActivatorSettings(), ignore, CollectorRegistry())
    activator.reroute(tuple(route(f"svc-{number}") for number in range(hosts)))
    activator.down(view(replicas, concurrency))
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        await activator.run([listener], stop)


def route(service: str) -> Route:
    return Route(
        namespace="bench",
        service=service,
        hosts=(f"{service}-bench.localhost",),
        backends=((KEY, 100.0),),
    )


def view(replicas: list[int], concurrency: int) -> View:
    addresses = tuple(
        Address(
            replica=f"r{port}", host="127.0.0.1", port=port, slots=concurrency or -1
        )
        for port in replicas
    )
    return View(
        key=KEY,
        version=1,
        epoch=0,
        gate=GateSpec(container_concurrency=concurrency),
        probe=Probe(),
        addresses=addresses,
    )


def ignore(message: Uplink) -> None:
    """Nobody scales here."""


if __name__ == "__main__":
    main()
