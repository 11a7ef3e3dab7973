"""What a sparse week takes to simulate: leaping over the quiet, and walking through it.

    python -m benchmarks.sparse --traces FOLDER [--times N] [--policy NAME …] [--walks]

The week is Azure's LLM trace of 2024 (code; docs/traces.md says where it is published),
thinned 1,000 times, with 3 s for each request and 37 s for each start. Seconds are of
CPU, the least of *N* runs; the digest is that of all requests, scale commands and
replica-seconds, which must not depend on the way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

from autoscaler.core.domain import GateSpec, RevisionKey, RevisionSpec, ScalingSpec
from simulations import edit, plan
from simulations.coldstart import parse
from simulations.formats.known import read
from simulations.policies.named import by_name
from simulations.report import figures
from simulations.run import Run
from simulations.trace import Trace
from simulations.world import Scenario, World

KEY = RevisionKey("default", "model")
CODE = "azure_llm_2024_code_10s.csv.gz"
FACTOR = 1_000.0
SERVICE_S = 3.0
COLD = "37s"
GOAL_S = 2.0
POLICIES = (
    "kpa", "hpa", "always-on", "keepalive:5m", "breakeven", "histogram:4h", "seasonal",
    "greedy-dual",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The fastest of some runs of one way."""

    cpu_s: float
    decisions: int
    scales: int
    digest: str


def scenario(trace: Trace) -> Scenario:
    """Return the week under Knative's windows, with one replica that takes all."""
    spec = RevisionSpec(
        scaling=ScalingSpec(min_replicas=0),
        gate=GateSpec(max_held=100_000, hold_limit_s=3_600.0),
    )
    question = plan.Question(
        trace=trace,
        keys=dict.fromkeys(trace.models, KEY),
        service=plan.Service(base_s=SERVICE_S),
        cold_start=parse(COLD),
    )
    return plan.scenario(question, {KEY: spec})


@cache
def week(folder: Path, factor: float) -> Trace:
    return edit.thin(read(folder / CODE), factor, seed=1)


def timed(asked: Scenario, times: int) -> Ran:
    """Run it so many times, from a world that nothing has happened in."""
    least, run = float("inf"), None
    for _ in range(times):
        world = World(asked)
        begun = time.process_time()
        run = world.run()
        least = min(least, time.process_time() - begun)
    assert run is not None
    return Ran(
        cpu_s=least,
        decisions=len(run.decisions),
        scales=len(run.scales),
        digest=digest(run),
    )


def digest(run: Run) -> str:
    said = repr((run.scales, sorted(run.waits.items()), figures(run)))
    return sha256(said.encode() + run.ends + run.cold).hexdigest()[:16]


def compare(asked: Scenario, names: Sequence[str], times: int, *, walks: bool) -> float:
    """Print a line for each policy; return the seconds of the first one."""
    found: list[float] = []
    print(f"{'':16}{'s':>8}{'decisions':>12}{'scales':>9}  digest")
    for name in names:
        whose = replace(asked, policy=by_name(name))
        ways = [("", whose)]
        if walks:
            ways.append((" walked", replace(whose, walks=True)))
        rans = [(name + way, timed(each, times)) for way, each in ways]
        for label, ran in rans:
            print(
                f"{label:16}{ran.cpu_s:8.2f}{ran.decisions:12,}{ran.scales:9,}"
                f"  {ran.digest}",
                flush=True,
            )
        if len({ran.digest for _, ran in rans}) > 1:
            raise SystemExit(f"{name}: leaping is otherwise than walking")
        found.append(rans[0][1].cpu_s)
    print(f"{'all':16}{sum(found):8.2f}")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--factor", type=float, default=FACTOR)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--policy", nargs="+", default=["kpa"], help="or: all")
    parser.add_argument("--walks", action="store_true", help="walk too, and compare")
    given = parser.parse_args()

    trace = week(given.traces, given.factor)
    names = POLICIES if given.policy == ["all"] else given.policy
    print(f"{len(trace):,} requests in {trace.span_s:,.0f} s")
    took = compare(scenario(trace), names, given.times, walks=given.walks)
    if names[0] == "kpa" and given.factor == FACTOR:
        verdict = "met" if took <= GOAL_S else "MISSED"
        print(f"goal: {GOAL_S:g} s for the first: {took:.2f} s, {verdict}")


if __name__ == "__main__":
    main()
