"""Mixed traffic for minutes; then: is anything left, is every request accounted for?

    python -m benchmarks.soak [--minutes 20] [--seed N]

Clients and replicas are in this process, the activator in one of its own; replicas come
and go. At the end the activator's resident memory must be within 2 % of what it was
after the first quarter, nothing of a request may be left, and what clients saw must be
what the activator counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.replicas import Replicas, flicker, sites
from benchmarks.soaked import KEPT_S
from benchmarks.stage import used
from benchmarks.traffic import SLEEPER, Traffic

FLAT = 0.02
_SETTLE_S = KEPT_S + 13.0
"""For what is idle to be closed, by the activator's own limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of it."""

    requests: int
    did: dict[str, int]
    wrong: list[str]
    """What clients were told that cannot be."""
    differs: dict[str, tuple[int, int]]
    """By the class of the answer, where clients and activator counted differently."""
    left: dict[str, tuple[int, int]]
    """What there was before the first request, and is after the last, if more."""
    rss_kb: tuple[float, float]
    """After the first quarter, and at the end."""

    @property
    def growth(self) -> float:
        """Of resident memory, as a share of what it was."""
        return self.rss_kb[1] / self.rss_kb[0] - 1


class Watched:
    """The activator's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def rss_kb(self) -> float:
        return used(self.process.pid).rss_kb

    async def look(self) -> dict[str, dict[str, int]]:
        """Ask what it holds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"look\n")
        async with asyncio.timeout(10):
            found: dict[str, dict[str, int]] = json.loads(
                await self.process.stdout.readline()
            )
        return found


@asynccontextmanager
async def activator(steady: list[int], sleeper: list[int]) -> AsyncIterator[Watched]:
    """Run the activator in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.soaked",
        "--steady", *map(str, steady), "--sleeper", *map(str, sleeper),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        yield Watched(process, port)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the activator ended with status {process.returncode}")


async def soak(seconds: float, seed: int) -> Soaked:
    """Ask for *seconds*, then wait for all to end, and compare."""
    replicas = Replicas()
    async with (
        sites(replicas, 5) as made,
        activator(
            [site.port for site in made[:3]], [site.port for site in made[3:]]
        ) as watched,
    ):
        traffic = Traffic(watched.port, replicas, seed)
        await _ready(traffic)
        traffic.seen.clear()
        before = await _settled(watched, None)
        stop = asyncio.Event()
        memory: list[float] = []
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(traffic.run(stop))
            tasks.create_task(flicker(made[0], stop, traffic.chance))
            for _ in range(max(8, round(seconds))):
                await asyncio.sleep(seconds / max(8, round(seconds)))
                memory.append(watched.rss_kb)
            stop.set()
        after = await _settled(watched, before["left"])
    window = max(1, len(memory) // 20)
    quarter = len(memory) // 4
    codes = _less(after["codes"], before["codes"])
    own = _less(after["own"], before["own"])
    pairs = {code: (traffic.seen[code], codes.get(code, 0)) for code in (
        *codes.keys() | traffic.seen.keys(),
    )}  # fmt: skip
    pairs |= {f"own {code}": (traffic.own[code], own[code]) for code in traffic.own}
    left = {
        name: (before["left"].get(name, 0), now)
        for name, now in after["left"].items()
        if now > before["left"].get(name, 0)
    }
    return Soaked(
        requests=sum(codes.values()),
        did=dict(traffic.did),
        wrong=traffic.wrong,
        differs={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        left=left,
        rss_kb=(
            median(memory[quarter : quarter + window]),
            median(memory[-window:]),
        ),
    )


async def _ready(traffic: Traffic) -> None:
    """Have what is made with the first requests, and a wake, behind it."""
    async with asyncio.timeout(10), traffic.connected() as peer:
        await traffic.ask(peer, b"GET", b"/echo?n=0")
        await traffic.ask(peer, b"GET", b"/echo?n=0", host=SLEEPER)


async def _settled(
    watched: Watched, before: dict[str, int] | None
) -> dict[str, dict[str, int]]:
    """Wait until no more is left than *before*, for as long as that may take."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _SETTLE_S
    while True:
        found = await watched.look()
        left = found["left"]
        if before is None:
            rests = not (left["clients"] or left["upstreams"])
        else:
            rests = all(count <= before.get(name, 0) for name, count in left.items())
        if rests or loop.time() > until:
            return found
        await asyncio.sleep(0.25)


def _less(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    found = asyncio.run(soak(asked.minutes * 60, asked.seed))
    flat = abs(found.growth) <= FLAT
    print(f"{found.requests:,} requests in {asked.minutes:g} minutes: {found.did}")
    for wrong in found.wrong[:20]:
        print(f"  wrong: {wrong}")
    print(f"wrong answers: {len(found.wrong)}")
    print(f"counted differently, by clients and activator: {found.differs or 'none'}")
    print(f"left over, before and after: {found.left or 'nothing'}")
    print(
        f"resident: {found.rss_kb[0] / 1024:.1f} MB after a quarter,"
        f" {found.rss_kb[1] / 1024:.1f} MB at the end: {found.growth:+.1%}"
        f" (goal ± {FLAT:.0%}{'' if flat else ', missed'})"
    )
    return int(bool(found.wrong or found.differs or found.left or not flat))


if __name__ == "__main__":
    raise SystemExit(main())
