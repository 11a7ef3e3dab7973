"""What a request costs in the activator's own code: no kernel, no event loop.

    python -m benchmarks.path [gets|posts] [--instructions] [--access-log json|combined]

Client and replica are objects that take what is written; time is counted, not read, so
that runs do the same. Microseconds are of this process, the least of seven rounds.
Instructions are counted by valgrind, exactly: a run of many requests less a run of few.
An access log's lines are made and joined, and go nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from prometheus_client import CollectorRegistry

from activator.access_log import AccessLog
from activator.http1 import Http1
from activator.server import Activator, ActivatorSettings
from activator.upstream import Upstream
from benchmarks import load, plain

ROUND = 20_000
ROUNDS = 7
FEW, MANY = 500, 2500
HOSTS = 1000
REPLICAS = 4
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
    b"Date: Wed, 25 Nov 2026 05:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 21\r\nConnection: keep-alive\r\n\r\n"
    b'{"predictions":[1,1]}'
)


class Ends:
    """What is open, and who was written to last."""

    last: asyncio.Protocol


class Transport:
    """Takes what is written to *protocol*'s other end."""

    def __init__(self, protocol: asyncio.Protocol, ends: Ends) -> None:
        self.protocol = protocol
        self.ends = ends
        self.socket = socket.socket()
        protocol.connection_made(self)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        self.ends.last = self.protocol

    def get_extra_info(self, name: str) -> object:
        return self.socket if name == "socket" else ("127.0.0.1", 1)

    def is_closing(self) -> bool:
        return False


class Nowhere:
    """Takes all lines of an access log."""

    def put(self, data: bytes) -> int:
        return len(data)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


async def prepare(what: str, form: str) -> tuple[Http1, Ends, list[bytes]]:
    """Return a client's connection to an activator whose replicas are connected.

    *form* is that of the access log, or off.
    """
    posts = what == "posts"
    messages = load.posts(HOSTS) if posts else load.get()
    number = f"{1:016x}".encode()
    messages = [each.replace(load.NUMBER.encode(), number) for each in messages]
    clock = itertools.count(1.0, 1e-6).__next__
    log = None
    if form != "off":
        log = AccessLog(Nowhere(), clock, time.time, json=form == "json")
    activator = Activator(
        ActivatorSettings(seed=1),
        plain.ignore,
        CollectorRegistry(),
        clock=clock,
        log=log,
    )
    hosts, replicas = (HOSTS, REPLICAS) if posts else (1, 1)
    activator.reroute(tuple(plain.route(f"svc-{each}") for each in range(hosts)))
    activator.down(plain.view(list(range(1, replicas + 1)), 8 if posts else 0))
    plane, ends = activator._plane, Ends()
    gate = plane.board.gate(plain.KEY)
    assert gate is not None
    for endpoint in gate.endpoints.values():
        plane.board.ready(plain.KEY, endpoint.replica, clock())
        pool = plane.pool(endpoint, None)
        upstream = Upstream(plane, pool)
        Transport(upstream, ends)
        pool.give(upstream, clock())
    plane.settle()
    client = Http1(plane)
    Transport(client, ends)
    return client, ends, messages


def drive(client: Http1, ends: Ends, messages: list[bytes], count: int) -> None:
    """Ask and answer *count* times."""
    for each in range(count):
        client.data_received(messages[each % len(messages)])
        ends.last.data_received(ANSWER)
        if ends.last is not client:
            raise RuntimeError("a request was not answered")


async def timed(what: str, form: str) -> float:
    """Return microseconds of a request."""
    client, ends, messages = await prepare(what, form)
    took = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        drive(client, ends, messages, ROUND)
        took.append(time.process_time() - begun)
    return min(took) / ROUND * 1e6


async def only(what: str, form: str, count: int) -> None:
    """Do what is counted from outside."""
    client, ends, messages = await prepare(what, form)
    drive(client, ends, messages, count)


def instructions(what: str, form: str) -> float:
    """Return how many a request takes, on the code that this process imports."""
    counts = []
    for count in (FEW, MANY):
        command = (
            "valgrind", "--tool=cachegrind", "--cache-sim=no",
            f"--cachegrind-out-file={os.devnull}", sys.executable, "-P",
            "-m", "benchmarks.path", what, f"--count={count}", f"--access-log={form}",
        )  # fmt: skip
        environ = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=True
        )
        found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
        if found is None:
            raise RuntimeError(f"valgrind did not count:\n{done.stderr}")
        counts.append(int(found[1].replace(",", "")))
    return (counts[1] - counts[0]) / (MANY - FEW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("gets", "posts"))
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument(
        "--access-log", choices=("off", "json", "combined"), default="off", dest="form"
    )
    parser.add_argument("--count", type=int, help="only ask so often, and say nothing")
    asked = parser.parse_args()
    if asked.count is not None:
        asyncio.run(only(asked.what or "gets", asked.form, asked.count))
        return
    counts = asked.instructions and shutil.which("valgrind") is not None
    if asked.instructions and not counts:
        print("instructions are not counted: apt-get install valgrind")
    for what in (asked.what,) if asked.what else ("gets", "posts"):
        said = f"{what:6}{asyncio.run(timed(what, asked.form)):8.2f} µs a request"
        if counts:
            said += f"{instructions(what, asked.form):12,.0f} instructions a request"
        print(said)


if __name__ == "__main__":
    main()
