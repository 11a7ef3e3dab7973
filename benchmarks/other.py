"""The rows of benchmarks.proxy that are no requests a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.entrants import COMPILED, NAME, NAME_COMPILED, ROOT, Entrant, Front
from benchmarks.stage import LOAD_CORE, await_port, free_ports, process


def streams(here: list[Entrant], count: int, pace_s: float, seconds: float) -> None:
    """Print what a chunk and a stream cost each proxy."""
    events = max(1, round(seconds / pace_s))
    print(
        f"{count:,} SSE streams, {1 / pace_s:g} events a second each; "
        "goals: ≤ 24 µs a chunk, ≤ 8 KB a stream"
    )
    for each in here:
        found = _beside(each, "ask", f"--streams={count}", pace_s=pace_s, events=events)
        print(
            f"  {each.name:12}{found['us_per_chunk']:8.1f} µs a chunk"
            f"{found['kb_per_stream']:8.1f} KB a stream"
            f"{found['chunks']:12,.0f} chunks of {count * events:,}",
            flush=True,
        )


def idle(here: list[Entrant], count: int) -> None:
    """Print what a connection that does nothing costs each proxy."""
    print(f"{count:,} idle keep-alive connections; goal: ≤ 2 KB each")
    for each in here:
        found = _beside(each, "keep", f"--connections={count}")
        print(
            f"  {each.name:12}{found['bytes']:8,.0f} bytes each"
            f"{found['busy']:8.1%} of a core at rest",
            flush=True,
        )


def path(here: list[Entrant]) -> None:
    """Print what the activator's own code costs, as it is and compiled."""
    print("the activator's own code, without kernel and event loop")
    trees = {NAME: ROOT, NAME_COMPILED: COMPILED}
    for name, tree in trees.items():
        if all(each.name != name for each in here):
            continue
        done = subprocess.run(
            (sys.executable, "-P", "-m", "benchmarks.path", "--instructions"),
            env={**os.environ, "PYTHONPATH": str(tree)},
            check=True,
            capture_output=True,
            text=True,
        )
        for line in done.stdout.splitlines():
            print(f"  {name:12} {line}", flush=True)


def _beside(
    each: Entrant, what: str, *more: str, pace_s: float = 1.0, events: int = 1
) -> dict[str, float]:
    """Run a client of benchmarks.sse through a fresh process of a proxy."""
    (port,) = free_ports(1)
    program = (sys.executable, "-m", "benchmarks.sse")
    serves = (f"--port={port}", f"--pace-s={pace_s}", f"--events={events}")
    with process(LOAD_CORE, (*program, "serve", *serves)) as server:
        await_port(port, server)
        with each.run(Front(replicas=[port])) as (front, pid):
            done = subprocess.run(
                (
                    "taskset", "-c", str(LOAD_CORE), *program, what,
                    f"--port={front}", f"--pid={pid}", *more,
                ),
                check=True,
                capture_output=True,
                text=True,
            )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found
