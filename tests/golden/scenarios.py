"""What the golden reports are of: small worlds that go through much of what can happen."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Metric,
    Needs,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from simulations.cluster import Behaviour, Failing
from simulations.coldstart import measured, parse
from simulations.nodes import Nodes
from simulations.workload import Phase, paced, poisson
from simulations.world import Model, Scenario

LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")
TEXT = RevisionKey("default", "text")

STEADY = Behaviour()
SLEEPY = ScalingSpec(total_value=4.0, min_replicas=0, max_replicas=4, initial_scale=0)


def model(
    key: RevisionKey,
    scaling: ScalingSpec = SLEEPY,
    *,
    concurrency: int = 4,
    gpus: int = 0,
    behaviour: Behaviour = STEADY,
) -> Model:
    """Return a revision that may sleep, with few words."""
    spec = RevisionSpec(
        scaling=scaling,
        gate=GateSpec(container_concurrency=concurrency, max_held=200),
        needs=Needs(gpus=gpus),
    )
    return Model(key=key, spec=spec, behaviour=behaviour)


def waves() -> Scenario:
    """A minute of even load in each five, and nothing in between: no chance at all."""
    load = (Phase(length_s=60, rate=2), Phase(length_s=240, rate=0))
    return Scenario(
        models=(
            model(LLM, behaviour=Behaviour(cold_start=measured(12.0), stop_s=1.0)),
        ),
        workloads=(paced(LLM, load, service_s=1.5, until=1_500),),
        until=1_800,
    )


def bursts() -> Scenario:
    """Bursts that panic, by two activators, with replicas that start unevenly."""
    load = (
        Phase(length_s=120, rate=1.0),
        Phase(length_s=20, rate=25.0),
        Phase(length_s=160, rate=0.5),
        Phase(length_s=300, rate=0.0),
    )
    return Scenario(
        models=(model(LLM, behaviour=Behaviour(cold_start=measured(3.0, 5.0, 20.0))),),
        workloads=(poisson(LLM, load, service_s=0.6, until=1_800, seed=5),),
        until=2_000,
        activators=2,
    )


def trouble() -> Scenario:
    """Starts that fail, replicas that crash, clients that leave, a queue too short."""
    load = (Phase(length_s=200, rate=4.0), Phase(length_s=200, rate=0.0))
    workload = poisson(LLM, load, service_s=0.8, until=1_600, seed=6)
    failing = (
        Failing(begin=0.0, end=15.0, after_s=2.0, reason="exit status 1: no weights"),
        Failing(begin=780.0, end=830.0, after_s=1.0, reason="CUDA: no", final=True),
    )
    behaviour = Behaviour(cold_start=measured(8.0), lifetime_s=90.0, failing=failing)
    small = model(LLM, concurrency=2, behaviour=behaviour)
    gate = replace(small.spec.gate, max_held=12, hold_limit_s=10.0)
    return Scenario(
        models=(replace(small, spec=replace(small.spec, gate=gate)),),
        workloads=(replace(workload, patience_s=12.0, replayable=True),),
        until=2_000,
    )


def room() -> Scenario:
    """Three models, two GPUs: who is idle makes room, who is busy does in the end."""
    behaviour = Behaviour(cold_start=measured(6.0), stop_s=2.0)
    one = replace(SLEEPY, max_replicas=1)
    loads = (
        (Phase(length_s=400, rate=0.5), Phase(length_s=200, rate=0.0)),
        (Phase(length_s=100, rate=0.2), Phase(length_s=300, rate=0.0)),
        (Phase(length_s=30, rate=1.0), Phase(length_s=470, rate=0.0)),
    )
    return Scenario(
        models=tuple(
            model(key, one, gpus=1, behaviour=behaviour) for key in (LLM, IRIS, TEXT)
        ),
        workloads=tuple(
            poisson(key, load, service_s=0.9, until=1_500, seed=7)
            for key, load in zip((LLM, IRIS, TEXT), loads, strict=True)
        ),
        budget=Budget(gpus=2, patience_s=60.0),
        until=1_800,
    )


def rates() -> Scenario:
    """Requests per second without a limit: spread, counted, delayed, and with bodies."""
    load = (
        Phase(length_s=100, rate=3.0),
        Phase(length_s=100, rate=25.0),
        Phase(length_s=150, rate=4.0),
        Phase(length_s=250, rate=0.0),
    )
    scaling = replace(
        SLEEPY,
        metric=Metric.RPS,
        total_value=5.0,
        max_replicas=6,
        activation_scale=2,
        max_scale_up_rate=2.0,
        scale_down_delay_s=40,
    )
    behaviour = Behaviour(cold_start=measured(4.0, 6.0), lifetime_s=150.0)
    many = model(LLM, scaling, concurrency=0, behaviour=behaviour)
    gate = replace(many.spec.gate, max_held_bytes=50_000)
    workload = poisson(LLM, load, service_s=0.4, until=1_200, seed=12)
    return Scenario(
        models=(replace(many, spec=replace(many.spec, gate=gate)),),
        workloads=(replace(workload, size=10_000, replayable=True),),
        until=1_500,
    )


def nodes() -> Scenario:
    """Three models on nodes of two GPUs: one is there, and one more may come."""
    start = parse("node(90s) + image(4GB) + process(2s,5s) + weights(9GB) + engine(4s)")
    behaviour = Behaviour(cold_start=start, stop_s=3.0)
    two = replace(SLEEPY, max_replicas=2)
    loads = (
        (Phase(length_s=200, rate=0.8), Phase(length_s=300, rate=0.0)),
        (Phase(length_s=100, rate=0.3), Phase(length_s=700, rate=0.0)),
        (Phase(length_s=60, rate=1.0), Phase(length_s=440, rate=0.0)),
    )
    keys = LLM, IRIS, TEXT
    return Scenario(
        models=tuple(
            model(key, two, gpus=gpus, behaviour=replace(behaviour, image=image))
            for key, gpus, image in zip(keys, (1, 2, 1), ("a", "b", "a"), strict=True)
        ),
        workloads=tuple(
            poisson(key, load, service_s=2.0, until=1_200, seed=3)
            for key, load in zip(keys, loads, strict=True)
        ),
        nodes=Nodes(count=1, most=2, gpus=2, bandwidth=1e9, idle_s=60.0),
        until=1_500,
    )


ALL = {each.__name__: each for each in (waves, bursts, trouble, room, rates, nodes)}
