"""Leaping against walking, in worlds at random: no report may tell which it was.

    python -m tests.simulations.leaps --cases 5000 [--seed N] [--policy NAME …]

draws as many and stops at the first that differs, shrunk.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from autoscaler.core.commands import Decided, Order, Scale
from autoscaler.core.domain import (
    Aggregation,
    Budget,
    GateSpec,
    Metric,
    Needs,
    RevisionKey,
    RevisionSpec,
)
from simulations import plan, workload
from simulations.cluster import Behaviour, Failing
from simulations.coldstart import measured, parse
from simulations.nodes import Nodes
from simulations.policies.named import by_name
from simulations.report import render
from simulations.run import Run
from simulations.workload import Workload, paced, poisson
from simulations.world import Model, Scenario, World
from tests.golden.scenarios import IRIS, LLM, SLEEPY, TEXT

NAMES = (
    "kpa", "knative", "always-on", "always-on:2", "hpa", "keepalive:30s",
    "keepalive:5m", "breakeven", "breakeven:2", "histogram:10m", "seasonal",
    "seasonal:2m", "greedy-dual", "offline",
)  # fmt: skip
SPAN_S = 1_200

SCALINGS = st.builds(
    replace,
    st.just(SLEEPY),
    min_replicas=st.sampled_from([0, 0, 0, 1, 2]),
    max_replicas=st.sampled_from([1, 4, 0]),
    initial_scale=st.sampled_from([0, 1, 3]),
    total_value=st.sampled_from([4.0, 1.0, 100.0]),
    target_utilization=st.sampled_from([0.7, 1.0]),
    activation_scale=st.sampled_from([1, 1, 2]),
    stable_window_s=st.sampled_from([60, 20, 7]),
    grace_s=st.sampled_from([30.0, 0.0, 4.5]),
    retention_s=st.sampled_from([0.0, 20.0, 400.0]),
    scale_down_delay_s=st.sampled_from([0, 0, 30, 3]),
    panic=st.booleans(),
    panic_threshold=st.sampled_from([2.0, 1.1]),
    count_starting=st.booleans(),
    metric=st.sampled_from([Metric.CONCURRENCY, Metric.CONCURRENCY, Metric.RPS]),
    aggregation=st.sampled_from(
        [Aggregation.LINEAR, Aggregation.LINEAR, Aggregation.WEIGHTED]
    ),
    scale_to_zero=st.sampled_from([True, True, False]),
    progress_deadline_s=st.sampled_from([600.0, 600.0, 8.0]),
)
BEHAVIOURS = st.builds(
    Behaviour,
    cold_start=st.sampled_from(
        [measured(5.0), measured(3.0, 9.0), measured(37.0), measured(0.25)]
    ),
    lifetime_s=st.sampled_from([float("inf"), float("inf"), 300.0]),
    stop_s=st.sampled_from([0.0, 1.0, 2.5]),
    slowing=st.sampled_from([0.0, 0.2]),
    failing=st.sampled_from(
        [
            (),
            (),
            (Failing(begin=50.0, end=200.0, after_s=2.0, reason="no weights"),),
            (Failing(begin=400.0, end=430.0, reason="CUDA: no", final=True),),
        ]
    ),
)
HEAVY = parse("image(2GB) + weights(8GB) + engine(4s)")
NODES = (
    Nodes(count=1, most=1, gpus=2),
    Nodes(count=0, most=3, gpus=1, bandwidth=1e9, idle_s=60.0),
)
PHASES = st.lists(
    st.builds(
        workload.Phase,
        length_s=st.integers(1, 300),
        rate=st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3, 1.5]),
    ),
    min_size=1,
    max_size=5,
).filter(lambda phases: any(phase.rate for phase in phases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What requests come to one model, in few words."""

    phases: list[workload.Phase]
    service_s: float
    seed: int | None
    """None: evenly, at whole seconds and so at one instant with reports and ticks."""
    patience_s: float
    retries: int
    replayable: bool

    def of(self, key: RevisionKey) -> Workload:
        until, took = SPAN_S - 300, self.service_s
        if self.seed is None:
            load = paced(key, self.phases, service_s=took, until=until)
        else:
            load = poisson(
                key, self.phases, service_s=took, until=until, seed=self.seed
            )
        return replace(
            load,
            patience_s=self.patience_s,
            retries=self.retries,
            replayable=self.replayable,
        )


LOADS = st.builds(
    Load,
    phases=PHASES,
    service_s=st.sampled_from([3.0, 0.3, 2.0, 40.0]),
    seed=st.none() | st.integers(0, 999),
    patience_s=st.sampled_from([float("inf"), float("inf"), 20.0]),
    retries=st.sampled_from([0, 2]),
    replayable=st.booleans(),
)


@st.composite
def models(draw: st.DrawFn, key: RevisionKey) -> Model:
    gate = GateSpec(
        container_concurrency=draw(st.sampled_from([0, 4, 1])),
        max_held=200,
        hold_limit_s=draw(st.sampled_from([300.0, 10.0])),
    )
    spec = RevisionSpec(scaling=draw(SCALINGS), gate=gate, needs=Needs(gpus=1))
    return Model(key=key, spec=spec, behaviour=draw(BEHAVIOURS))


@dataclass(frozen=True, slots=True)
class Told:
    """A change that says what it is, if a case is shown."""

    what: Order | Model

    def __call__(self, world: World, now: float) -> None:
        if isinstance(self.what, Model):
            world.add(self.what, now)
        else:
            world.fleet.order(LLM, self.what, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world that leaps, but for the requests, of which there may be thousands."""

    bare: Scenario
    loads: tuple[Load, ...]

    @property
    def scenario(self) -> Scenario:
        pairs = zip(self.bare.models, self.loads, strict=True)
        loads = tuple(load.of(model.key) for model, load in pairs)
        assert self.bare.policy is not None
        policy = by_name(self.bare.policy.name, loads)
        return replace(self.bare, workloads=loads, policy=policy)


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = NAMES) -> Case:
    keys = (LLM, IRIS, TEXT)[: draw(st.sampled_from([1, 1, 1, 2, 3]))]
    change = st.builds(Told, st.one_of(st.sampled_from(Order), models(LLM)))
    at = st.one_of(st.floats(1, SPAN_S), st.integers(1, SPAN_S).map(float))
    changes = st.lists(st.tuples(at, change), max_size=3).map(tuple)
    nodes = draw(st.sampled_from([None, None, *NODES]))
    chosen = [draw(models(key)) for key in keys]
    if nodes is not None and draw(st.booleans()):
        chosen = [
            replace(each, behaviour=replace(each.behaviour, cold_start=HEAVY))
            for each in chosen
        ]
    scenario = Scenario(
        models=tuple(chosen),
        workloads=(),
        until=SPAN_S,
        nodes=nodes,
        budget=Budget(gpus=draw(st.sampled_from([None, None, 1, 2])), patience_s=60.0),
        activators=draw(st.sampled_from([1, 1, 1, 1, 1, 2])),
        tick_s=draw(st.sampled_from([2.0, 2.0, 2.0, 0.5, 2.5])),
        late_s=draw(st.sampled_from([*[0.0] * 9, 0.001])),
        sample_at_s=draw(st.sampled_from([*[0.0] * 9, 0.25])),
        changes=draw(st.just(()) | changes),
        seed=draw(st.integers(0, 99)),
        policy=by_name(draw(st.sampled_from(names))),
    )
    return Case(bare=scenario, loads=tuple(draw(LOADS) for _ in keys))


def page(run: Run, asked: Scenario) -> str:
    """Return all that reports tell of a run, but for how often it was decided.

    What several revisions do in one instant, for room that they share, is put in order.
    """
    run = replace(run, decisions=_ordered(run.decisions), scales=_ordered(run.scales))
    lines = [line for line in render(run).splitlines() if " decisions, all" not in line]
    specs = {model.key: model.spec for model in asked.models}
    lines.append(repr(plan.outcome("", specs, run)))
    lines.append(repr((sorted(run.waits.items()), bytes(run.ends), bytes(run.cold))))
    lines += [repr((m.id, m.launched, m.gone, m.seconds)) for m in run.machines]
    return "\n".join(lines)


C = TypeVar("C", Decided, Scale)


def _ordered(told: list[tuple[float, C]]) -> list[tuple[float, C]]:
    return sorted(told, key=lambda each: (each[0], each[1].key))


def same(asked: Scenario) -> tuple[int, int]:
    """Hold that nothing is otherwise; return the decisions of a leap, and of a walk."""
    leapt = World(asked).run()
    walked = World(replace(asked, walks=True)).run()

    pages = [page(each, asked).splitlines() for each in (leapt, walked)]
    for number, (mine, other) in enumerate(zip(*pages, strict=True)):
        same_line = mine == other  # A long line is no message.
        assert same_line, f"line {number}: {mine[:300]!r}, walked {other[:300]!r}"
    # Each decision that was left out would have been the one before it.
    mine, all_ = decisions(leapt), decisions(walked)
    for key, every in all_.items():
        made, newest = mine.get(key, {}), None
        assert made.keys() <= every.keys()
        for at, wanted in every.items():
            assert made.get(at, [newest]) == wanted, (key, at)
            newest = wanted[-1]
    return len(leapt.decisions), len(walked.decisions)


Said = tuple[int, int, str, int, int]


def decisions(run: Run) -> dict[RevisionKey, dict[float, list[Said]]]:
    found: dict[RevisionKey, dict[float, list[Said]]] = {}
    for (key, at), made in groupby(run.decisions, lambda each: (each[1].key, each[0])):
        found.setdefault(key, {}).setdefault(at, []).extend(
            (
                each.decision.desired,
                each.replicas,
                each.decision.mode.value,
                each.seen.ready,
                each.seen.starting,
            )
            for _, each in made
        )
    return found


def tried(
    count: int, names: tuple[str, ...], number: int, told: Callable[[str], None]
) -> None:
    """Try so many, and say how often each policy leapt."""
    made, every, tries = Counter[str](), Counter[str](), Counter[str]()

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(names))
    def holds(case: Case) -> None:
        asked = case.scenario
        assert asked.policy is not None
        leapt, walked = same(asked)
        name = asked.policy.name
        tries[name] += 1
        made[name] += leapt
        every[name] += walked
        if not tries.total() % 500:
            told(f"{tries.total():,} alike so far")

    holds()
    for name in sorted(tries):
        told(
            f"{name:14} {tries[name]:6,} worlds: {made[name]:10,} decisions made of "
            f"{every[name]:10,}"
        )
    told(f"{tries.total():,} worlds, leapt and walked: all alike")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policy", nargs="+", default=list(NAMES))
    given_ = parser.parse_args()

    begun = time.monotonic()
    tried(given_.cases, tuple(given_.policy), given_.seed, lambda line: print(line))
    print(f"{time.monotonic() - begun:,.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
