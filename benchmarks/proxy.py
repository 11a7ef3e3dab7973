"""The activator beside other proxies, in one run, in turns: one table.

    python -m benchmarks.proxy [--only ROW …] [--seconds S] [--rounds N]

Each proxy has core 0 for itself while it is asked; the backend (nginx, a process of its
own) and the load (load.c) share core 1. Requests/s and CPU are the medians of rounds as
fast as it answers. Then requests are due at 10 % and 70 % of that, whatever becomes of
those before; "added" is what that took less what the backend alone took at the same
rate. Rates depend on what else the machine does; CPU a request less, instructions not.

gets, gets-1, gets-1000    small GETs on 32, 1 and 1,000 connections
posts                      1 KB, 12 fields, a number of its own each, 1,000 hosts, 4
                           replicas with containerConcurrency 8; 32 connections
large                      100 KB each way; 32 connections
sse-1000, sse-5000         streams with 20 and 4 events a second each
idle                       connections that have asked once
path                       the activator's own code: µs and instructions of a request
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from activator.files import clients, raise_limit
from benchmarks import load, other
from benchmarks.entrants import NAME, NAME_COMPILED, Entrant, Front, entrants
from benchmarks.load import Load, Run
from benchmarks.stage import backend, free_ports

REPLICAS = 4
HOSTS = 1000
CONCURRENCY = 8
SHARES = (0.1, 0.7)
IDLE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of requests."""

    name: str
    said: str
    messages: list[bytes]
    connections: int = 32
    hosts: int = 1
    replicas: int = 1
    concurrency: int = 0
    goals: tuple[str, ...] = ()


def rows() -> list[Row]:
    gets = load.get()
    return [
        Row(
            name="gets",
            said="small GETs, 32 connections",
            messages=gets,
            goals=("≥ 0.7 of nginx", "≥ 4 times Go", "user ≤ 10 µs"),
        ),
        Row(
            name="gets-1",
            said="small GETs, 1 connection",
            messages=gets,
            connections=1,
        ),
        Row(
            name="gets-1000",
            said="small GETs, 1,000 connections",
            messages=gets,
            connections=1000,
        ),
        Row(
            name="posts",
            said=f"1 KB POSTs, 12 fields, {HOSTS:,} hosts, {REPLICAS} replicas",
            messages=load.posts(HOSTS),
            hosts=HOSTS,
            replicas=REPLICAS,
            concurrency=CONCURRENCY,
            goals=("≥ 0.65 of nginx", "≥ 4 times Go"),
        ),
        Row(name="large", said="100 KB each way", messages=load.large()),
    ]


OTHERS = ("sse-1000", "sse-5000", "idle", "path")


def main() -> int:
    names = [row.name for row in rows()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=(*names, *OTHERS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for program in ("nginx", "taskset", "cc"):
        if shutil.which(program) is None:
            print(f"skipped: {program} is not here; apt-get install nginx gcc")
            return 0
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: proxy and load need a core each, and there is one")
        return 0
    files = raise_limit()
    wanted = asked.only or (*names, *OTHERS)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        here, missing = entrants(place)
        for why in missing:
            print(f"not measured: {why}")
        ports = free_ports(REPLICAS)
        print(HEADER)
        with backend(place, ports):
            for row in rows():
                if row.name in wanted:
                    compare(place, row, here, ports, asked.seconds, asked.rounds)
        for streams, pace_s in ((1000, 0.05), (5000, 0.25)):
            if f"sse-{streams}" in wanted:
                other.streams(here, streams, pace_s, 2 * asked.seconds)
        if "idle" in wanted:
            other.idle(here, min(IDLE, clients(files, listening=0) - 1))
        if "path" in wanted:
            other.path(here)
    return 0


HEADER = (
    f"{'':14}{'requests/s':>12}{'/nginx':>8}{'10 %: p50':>11}{'p99':>8}"
    f"{'70 %: p50':>11}{'p99':>8}{'user':>7}{'system':>8}{'CPU/nginx':>11}"
    f"{'busy':>7}{'bad':>6}\n"
    f"{'':34}{'added µs':>19}{'added µs':>19}{'µs':>7}{'µs':>8}"
)


def compare(
    place: Path,
    row: Row,
    here: list[Entrant],
    ports: list[int],
    seconds: float,
    rounds: int,
) -> None:
    """Ask all, in turns, and print a line for each."""
    asks = Load(place, row.messages)
    front = Front(
        replicas=ports[: row.replicas], hosts=row.hosts, concurrency=row.concurrency
    )
    runs: dict[str, list[Run]] = {each.name: [] for each in here}
    added: dict[str, list[Run]] = {each.name: [] for each in here}
    direct = asks.run(ports[0], row.connections, seconds, rate=0)
    for turn in range(rounds):
        for each in here:
            with each.run(front) as (port, pid):
                # What is made with the first requests is not counted.
                asks.run(port, row.connections, 0.3, rate=0)
                run = asks.run(port, row.connections, seconds, rate=0, pid=pid)
                runs[each.name].append(run)
                if turn == rounds - 1:
                    fastest = median(run.per_s for run in runs[each.name])
                    for share in SHARES:
                        rate = share * fastest
                        run = asks.run(port, row.connections, seconds, rate=rate)
                        added[each.name].append(run)
    bare = {}
    for name, runs_of in runs.items():
        fastest = median(run.per_s for run in runs_of)
        bare[name] = [
            asks.run(ports[0], row.connections, seconds / 2, rate=share * fastest)
            for share in SHARES
        ]
    print("; goals: ".join(filter(None, (row.said, ", ".join(row.goals)))))
    print(f"  {'backend alone':12}{direct.per_s:12,.0f}")
    base = _middle(runs["nginx"])
    for name, runs_of in runs.items():
        middle = _middle(runs_of)
        line = f"  {name:12}{middle.per_s:12,.0f}{middle.per_s / base.per_s:8.2f}"
        for through, alone in zip(added[name], bare[name], strict=True):
            line += f"{through.p50_us - alone.p50_us:11,.0f}"
            line += f"{through.p99_us - alone.p99_us:8,.0f}"
        bad = sum(run.bad for run in (*runs_of, *added[name]))
        line += (
            f"{middle.user_us:7.1f}{middle.system_us:8.1f}"
            f"{middle.cpu_us / base.cpu_us:11.2f}{middle.busy:7.0%}{bad:6}"
        )
        print(line, flush=True)
    if "Go" in runs:
        for name in (NAME, NAME_COMPILED):
            if name in runs:
                go, ours = _middle(runs["Go"]), _middle(runs[name])
                print(
                    f"  {name} to Go: {ours.per_s / go.per_s:.1f} times the requests/s,"
                    f" {go.cpu_us / ours.cpu_us:.1f} times by CPU"
                )


def _middle(runs: list[Run]) -> Run:
    return Run(
        per_s=median(run.per_s for run in runs),
        p50_us=median(run.p50_us for run in runs),
        p99_us=median(run.p99_us for run in runs),
        user_us=median(run.user_us for run in runs),
        system_us=median(run.system_us for run in runs),
        busy=median(run.busy for run in runs),
        bad=sum(run.bad for run in runs),
    )


if __name__ == "__main__":
    raise SystemExit(main())
