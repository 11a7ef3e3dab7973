"""SimFaaS and the world, with the same rates and the same idle timer."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from math import sqrt
from statistics import mean, stdev

import pytest

from autoscaler.core.domain import GateSpec, RevisionKey, RevisionSpec, ScalingSpec
from simulations.cluster import Behaviour
from simulations.coldstart import AT_ONCE
from simulations.policies.named import by_name
from simulations.workload import Phase, poisson
from simulations.world import Model, Scenario, World

pytestmark = [pytest.mark.interop, pytest.mark.slow]

KEY = RevisionKey("default", "llm")
SEEDS = range(1, 21)
REQUESTS = 500
SERVICE_S = 0.02
"""So short that requests hardly meet: SimFaaS starts one more for each that finds all
busy, where the world lets it wait for the next decision."""


def theirs(rate: float, keep_s: float, seed: int) -> tuple[float, float]:
    """Return the share of cold requests and the mean of instances, by SimFaaS."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # its own, about escapes in its strings
        try:
            import numpy
            from simfaas.ServerlessSimulator import ServerlessSimulator
        except ImportError:
            if os.environ.get("CI"):
                raise
            pytest.skip("run `make interop`")
        numpy.random.seed(seed)
        simulator = ServerlessSimulator(
            arrival_rate=rate,
            warm_service_rate=1 / SERVICE_S,
            cold_service_rate=1 / SERVICE_S,
            expiration_threshold=keep_s,
            max_time=REQUESTS / rate,
        )
        simulator.generate_trace(debug_print=False, progress=False)
        return (
            float(simulator.get_cold_start_prob()),
            float(simulator.get_average_server_count()),
        )


def ours(rate: float, keep_s: float, seed: int) -> tuple[float, float]:
    """Return the same, by the production machines and an idle timer."""
    until = REQUESTS / rate
    phases = (Phase(length_s=until, rate=rate),)
    load = poisson(KEY, phases, service_s=SERVICE_S, until=until, seed=seed)
    spec = RevisionSpec(
        scaling=ScalingSpec(
            total_value=1.0, min_replicas=0, max_replicas=0, initial_scale=0
        ),
        gate=GateSpec(container_concurrency=1, max_held=1_000),
    )
    model = Model(key=KEY, spec=spec, behaviour=Behaviour(cold_start=AT_ONCE))
    run = World(
        Scenario(
            models=(model,),
            workloads=(load,),
            until=until,
            policy=by_name(f"keepalive:{keep_s:g}s"),
            seed=seed,
        )
    ).run()
    replica_s = sum(sum(machine.seconds.values()) for machine in run.machines)
    return sum(run.cold) / len(run.cold), replica_s / until


@pytest.mark.parametrize(("rate", "keep_s"), [(1 / 60, 60.0), (1 / 20, 30.0)])
def test_as_many_are_cold_and_as_many_replicas_kept(rate, keep_s):
    them = [theirs(rate, keep_s, seed) for seed in SEEDS]
    us = [ours(rate, keep_s, seed) for seed in SEEDS]

    for name, a, b in zip(
        ("cold", "replicas"),
        zip(*them, strict=True),
        zip(*us, strict=True),
        strict=True,
    ):
        sigma = sqrt((stdev(a) ** 2 + stdev(b) ** 2) / len(SEEDS))
        said = f"{name}: SimFaaS {mean(a):.4f}, here {mean(b):.4f}, sigma {sigma:.4f}"
        print(said)
        assert abs(mean(a) - mean(b)) <= 3 * sigma, said
