"""A world with one model or a few, decided for by a policy."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Needs,
    Observation,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from simulations.cluster import Behaviour
from simulations.coldstart import parse
from simulations.policies.named import by_name
from simulations.policies.policy import Seen
from simulations.run import Run
from simulations.workload import Workload
from simulations.world import Model, Scenario, World

LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")
TEXT = RevisionKey("default", "text")


def run(
    policy: str,
    *arrivals: Sequence[float],
    service_s: float = 1.0,
    load_s: float = 5.0,
    until: float = 1_000.0,
    most: int = 1,
    concurrency: int = 0,
    gpus: int | None = None,
    tolerance_s: float = 300.0,
) -> Run:
    """Let requests come to as many models, and a policy decide."""
    keys = (LLM, IRIS, TEXT)[: len(arrivals)]
    spec = RevisionSpec(
        scaling=ScalingSpec(
            total_value=float(concurrency or 100),
            min_replicas=0,
            max_replicas=most,
            initial_scale=0,
        ),
        gate=GateSpec(
            container_concurrency=concurrency, max_held=10_000, hold_limit_s=tolerance_s
        ),
        needs=Needs(gpus=0 if gpus is None else 1),
    )
    behaviour = Behaviour(cold_start=parse(f"{load_s:g}s"), stop_s=0.0)
    loads = tuple(
        Workload(
            key=key,
            arrivals=array("d", mine),
            services=array("d", [service_s] * len(mine)),
        )
        for key, mine in zip(keys, arrivals, strict=True)
    )
    return World(
        Scenario(
            models=tuple(Model(key=k, spec=spec, behaviour=behaviour) for k in keys),
            workloads=loads,
            until=until,
            budget=Budget(gpus=gpus),
            policy=by_name(policy, loads),
        )
    ).run()


def lives(found: Run, key: RevisionKey = LLM) -> list[tuple[float, float]]:
    """Return from when to when there were replicas, in the order of their starts."""
    return [(m.launched, m.gone) for m in found.machines if m.key == key]


def seen(
    key: RevisionKey = LLM,
    *,
    in_flight: int = 0,
    held: int = 0,
    used_at: float = float("-inf"),
    load_s: float = 0.0,
    ready: int = 1,
    load: float = 0.0,
    evicted: bool = False,
    gpus: int = 1,
) -> Seen:
    """Return what a policy sees, mostly nothing; a replica takes ten at once."""
    return Seen(
        key=key,
        scaling=ScalingSpec(
            total_value=10.0, target_utilization=0.5, min_replicas=0, max_replicas=0
        ),
        load=Observation(stable=load, panic=load, ready=ready),
        in_flight=in_flight,
        held=held,
        used_at=used_at,
        load_s=load_s,
        evicted=evicted,
        gpus=gpus,
    )
