"""How fast the loop simulates, beside SimFaaS under the same load, in one run.

    pip install simfaas
    python -m benchmarks.simulate [--requests N] [--load PER_S,SERVICE_S …]

Both simulate one model: Poisson arrivals, exponential service, one request at a time in
a replica, a cold start, and an idle time after which replicas go. SimFaaS decides that
by one timer for each replica; here every request goes through the production
Switchboard, and the production Fleet decides each 2 s.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import time
import warnings
from dataclasses import dataclass

from autoscaler.core.domain import GateSpec, RevisionKey, RevisionSpec, ScalingSpec
from simulations import engine
from simulations.cluster import Behaviour
from simulations.coldstart import measured
from simulations.report import figures
from simulations.run import End
from simulations.workload import Phase, poisson
from simulations.world import Model, Scenario, World

KEY = RevisionKey("default", "llm")
COLD_S = 5.0
KEEP_S = 60
LOADS = ((20.0, 1.0), (20.0, 10.0), (200.0, 1.0))
"""Requests per second, and the mean seconds that one is served for."""
CONCURRENCY = (1, 8, 100)
"""Requests that a replica is given at once: SimFaaS's, a language model's, and what
Knative aims for where nobody says anything."""
FASTEST = 500_000
TIMES = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One simulation of so many requests."""

    requests: int
    drawn_s: float
    """To draw the load."""
    ran_s: float
    """To simulate it."""
    replicas: float
    """Mean over the simulated time."""

    @property
    def rate(self) -> float:
        return self.requests / self.ran_s


def ours(
    requests: int, rate: float, service_s: float, concurrency: int, *, seed: int
) -> Timed:
    """Simulate about *requests*, *concurrency* at a time in a replica."""
    until = requests / rate
    begun = time.process_time()
    load = poisson(
        KEY, (Phase(length_s=until, rate=rate),), service_s=service_s, until=until,
        seed=seed,
    )  # fmt: skip
    spec = RevisionSpec(
        scaling=ScalingSpec(
            total_value=float(concurrency),
            min_replicas=0,
            max_replicas=0,
            initial_scale=0,
            stable_window_s=KEEP_S,
        ),
        gate=GateSpec(container_concurrency=concurrency, max_held=100_000),
    )
    model = Model(key=KEY, spec=spec, behaviour=Behaviour(cold_start=measured(COLD_S)))
    world = World(Scenario(models=(model,), workloads=(load,), until=until))
    gc.collect()  # The world before is no part of this one's time.
    drawn = time.process_time()
    run = world.run()
    ran = time.process_time()
    (figure,) = figures(run)
    lost = {end: count for end, count in figure.ends if count}
    assert set(lost) <= {End.ANSWERED, End.PENDING}, lost
    return Timed(
        requests=figure.requests,
        drawn_s=drawn - begun,
        ran_s=ran - drawn,
        replicas=figure.replica_s / until,
    )


def simfaas(requests: int, rate: float, service_s: float, *, seed: int) -> Timed:
    """Simulate the same with SimFaaS, which draws its load as it goes."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # its own, about escapes in its strings
        try:
            import numpy
            from simfaas.ServerlessSimulator import ServerlessSimulator
        except ImportError as error:
            raise SystemExit(f"{error}: pip install simfaas") from None

        numpy.random.seed(seed)
        theirs = ServerlessSimulator(
            arrival_rate=rate,
            warm_service_rate=1 / service_s,
            cold_service_rate=1 / (service_s + COLD_S),
            expiration_threshold=KEEP_S,
            max_time=requests / rate,
        )
        begun = time.process_time()
        theirs.generate_trace(debug_print=False, progress=False)
        ran = time.process_time()
    return Timed(
        requests=theirs.total_req_count,
        drawn_s=0.0,
        ran_s=ran - begun,
        replicas=float(theirs.get_average_server_count()),
    )


def compare(requests: int, rate: float, service_s: float) -> list[str]:
    """Print one table; return which goals it meets."""
    # Theirs before and after ours, so that a machine that slows down shows.
    before = simfaas(requests // 20, rate, service_s, seed=1)
    made = {each: ours(requests, rate, service_s, each, seed=1) for each in CONCURRENCY}
    after = simfaas(requests // 20, rate, service_s, seed=2)
    theirs = (before.requests + after.requests) / (before.ran_s + after.ran_s)

    print(f"{rate:g} requests/s, service {service_s:g} s, cold start {COLD_S:g} s")
    print(f"{'':34}requests  requests/s  replicas  times SimFaaS")
    for name, timed in (
        ("SimFaaS", before),
        *[(f"fromzero, concurrency {each}", timed) for each, timed in made.items()],
        ("SimFaaS again", after),
    ):
        print(
            f"{name:32}{timed.requests:10,}{timed.rate:12,.0f}{timed.replicas:10.1f}"
            f"{timed.rate / theirs:15.1f}"
        )
    print()
    return [
        f"{rate:g} requests/s of {service_s:g} s, concurrency {each}: "
        f"{timed.rate:,.0f} a second, {_verdict(timed.rate >= FASTEST)}; "
        f"{timed.rate / theirs:.1f} times SimFaaS, "
        f"{_verdict(timed.rate >= TIMES * theirs)}"
        for each, timed in made.items()
    ]


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def _load(text: str) -> tuple[float, float]:
    rate, service_s = text.split(",")
    return float(rate), float(service_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--load", type=_load, nargs="+", default=LOADS)
    given = parser.parse_args()

    compiled = engine.__file__.endswith(".so")
    print(f"fromzero is {'compiled' if compiled else 'interpreted'}\n")
    goals = [goal for load in given.load for goal in compare(given.requests, *load)]
    print(f"goals: {FASTEST:,} requests a second, {TIMES:g} times SimFaaS")
    for goal in goals:
        print(goal)


if __name__ == "__main__":
    main()
