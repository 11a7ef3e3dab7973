"""Queues whose answers are known: the world must come to the same."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import pairwise
from math import exp, factorial, sqrt
from statistics import mean, stdev

import pytest

from autoscaler.core.domain import GateSpec, RevisionKey, RevisionSpec, ScalingSpec
from autoscaler.core.messages import Sample
from simulations.chance import uniforms
from simulations.cluster import Behaviour, Part
from simulations.coldstart import AT_ONCE, measured
from simulations.policies.named import by_name
from simulations.run import Run
from simulations.workload import Phase, Workload, paced, poisson
from simulations.world import Model, Scenario, World

KEY = RevisionKey("default", "llm")
SEEDS = range(1, 13)


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that a request waits in M/M/c.

    >>> round(erlang_c(1, 0.5), 6), round(erlang_c(2, 1.0), 6)
    (0.5, 0.333333)
    """
    last = offered**servers / factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**k / factorial(k) for k in range(servers)) + last)


def scenario(
    load: Workload,
    until: float,
    *,
    replicas: tuple[int, int] = (0, 1),
    concurrency: int = 1,
    start_s: float = 0.0,
    **more,
) -> Scenario:
    least, most = replicas
    spec = RevisionSpec(
        scaling=ScalingSpec(
            total_value=float(concurrency or 100),
            min_replicas=least,
            max_replicas=most,
            initial_scale=least,
            stable_window_s=60,
            grace_s=0.0,
        ),
        gate=GateSpec(container_concurrency=concurrency, max_held=1_000_000),
    )
    start = measured(start_s) if start_s else AT_ONCE
    model = Model(key=KEY, spec=spec, behaviour=Behaviour(cold_start=start))
    return Scenario(models=(model,), workloads=(load,), until=until, **more)


def steady(rate: float, service_s: float, until: float, seed: int) -> Workload:
    phases = (Phase(length_s=until, rate=rate),)
    return poisson(KEY, phases, service_s=service_s, until=until, seed=seed)


def agrees(seen: list[float], known: float, slack: float = 0.0) -> None:
    """Hold the mean of independent runs to within 3 sigma of what is known."""
    sigma = stdev(seen) / sqrt(len(seen))
    said = f"known {known:.4f}, seen {mean(seen):.4f}, sigma {sigma:.4f}"
    print(said)
    assert abs(mean(seen) - known) <= 3 * sigma + slack, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("servers", "use"), [(1, 0.5), (1, 0.8), (3, 0.7), (8, 0.85)]
)  # fmt: skip
def test_waits_for_c_replicas_are_erlangs(servers, use):
    """M/M/c, with runs of their own as blocks; the begin of each run is not counted."""
    service_s, until, begin = 1.0, 9_000.0 / servers, 1_000.0 / servers
    rate = servers * use / service_s
    waited, waits = [], []
    for seed in SEEDS:
        load = steady(rate, service_s, until, seed)
        run = World(scenario(load, until, replicas=(servers, servers), seed=seed)).run()
        counted = [n for n, at in enumerate(load.arrivals) if begin <= at < until - 100]
        each = [run.waits.get(number, 0.0) for number in counted]
        waited.append(sum(wait > 0 for wait in each) / len(each))
        waits.append(mean(each))

    known = erlang_c(servers, servers * use)
    agrees(waited, known)
    agrees(waits, known * service_s / (servers * (1 - use)))


def same(chance: float) -> float:
    return 2.0


def even(chance: float) -> float:
    return 4.0 * chance


def rare(chance: float) -> float:
    return 0.5 if chance < 0.9 else 15.5


@pytest.mark.slow
@pytest.mark.source
@pytest.mark.parametrize("service", [same, even, rare])
def test_one_replica_without_a_limit_is_busy_as_any_service_of_that_mean_has_it(
    service: Callable[[float], float], monkeypatch
):
    """M/G/inf: in flight is Poisson with the load offered, whatever services are."""
    rate, until = 0.6, 6_000.0
    offered = rate * 2.0
    busy, level, spread = [], [], []
    for seed in SEEDS:
        drawn = steady(rate, 1.0, until, seed)
        chances = uniforms(seed, "oracle/service", len(drawn.arrivals))
        services = array("d", [service(chance) for chance in chances])
        load = Workload(key=KEY, arrivals=drawn.arrivals, services=services)
        world = World(scenario(load, until, replicas=(1, 1), concurrency=0, seed=seed))
        reported = listening(world, monkeypatch)
        run = world.run()
        assert not {wait for wait in run.waits.values() if wait}
        (machine,) = run.machines
        busy.append(machine.seconds[Part.BUSY] / until)
        level.append(sum(each.concurrency * each.span_s for each in reported) / until)
        # A report is of each second of its span; of those in which there was nothing to
        # report there is none.
        squares = [(e.in_flight - offered) ** 2 * e.span_s for e in reported]
        unsaid = until - sum(each.span_s for each in reported)
        spread.append((sum(squares) + offered**2 * unsaid) / until)

    agrees(busy, 1 - exp(-offered))
    agrees(level, offered)
    agrees(spread, offered)


def listening(world: World, monkeypatch) -> list[Sample]:
    """Return what the Fleet will hear of load."""
    heard: list[Sample] = []
    hear = world.fleet.hear

    def note(message, now):
        if isinstance(message, Sample):
            heard.append(message)
        hear(message, now)

    monkeypatch.setattr(world.fleet, "hear", note)
    return heard


@pytest.mark.source
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_load_as_reported_is_the_time_that_requests_spend(seed, monkeypatch):
    """Little's law, without means: both are the same integral, at zero too."""
    busy, quiet = Phase(length_s=60, rate=3.0), Phase(length_s=200, rate=0.0)
    load = poisson(KEY, (busy, quiet), service_s=0.7, until=800, seed=seed)
    world = World(
        scenario(load, 1_000, replicas=(0, 4), concurrency=2, start_s=9.0, seed=seed)
    )
    reported = listening(world, monkeypatch)

    run = world.run()

    assert run.machines[0].gone < run.machines[-1].launched
    spent = sum(load.services) + sum(run.waits.values())
    told = sum(each.concurrency * each.span_s for each in reported)
    assert told == pytest.approx(spent, rel=1e-6)


def cold_share(run: Run) -> float:
    return sum(run.cold) / len(run.cold)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "keep_s"), [(1 / 60, 30), (1 / 60, 60), (1 / 20, 60)])
def test_an_idle_timer_leaves_those_cold_whose_gap_is_longer(rate, keep_s):
    """exp(-rate * keep), if neither starts nor services take time."""
    until = 700 / rate
    shares = []
    for seed in SEEDS:
        load = steady(rate, 1e-6, until, seed)
        policy = by_name(f"keepalive:{keep_s}s")
        run = World(scenario(load, until, policy=policy, seed=seed)).run()
        gaps = [after - before for before, after in pairwise(load.arrivals)]
        # One that came and went since the last report is not known of at the end.
        assert 0 <= sum(run.cold) - 1 - sum(gap > keep_s for gap in gaps) <= 1
        shares.append(cold_share(run))

    agrees(shares, exp(-rate * keep_s))


@pytest.mark.slow
def test_the_production_judge_keeps_for_its_window_and_what_it_takes_to_see_that():
    """It reports each second and decides each 2 s: up to 4 s more than the window."""
    rate, until = 1 / 60, 700 * 60.0
    shares = []
    for seed in SEEDS:
        load = steady(rate, 1e-6, until, seed)
        shares.append(cold_share(World(scenario(load, until, seed=seed)).run()))

    longest, shortest = exp(-rate * 64), exp(-rate * 60)
    agrees(shares, (longest + shortest) / 2, slack=(shortest - longest) / 2)


def test_a_square_wave_is_as_counted_by_hand():
    """Ten requests, one each 2 s, in each 300 s; a start of 10 s, services of 1 s.

    The first waits for the start, 10 s, and four behind it 8, 6, 4 and 2 s: one replica
    that takes four has room for those five only as they end, so the fifth waits for a
    slot, 1 s from when it is ready. The sixth comes as it is ready. The last request
    ends at 19 s and is in the report of 19 s, so the window of 60 s is over at 79 s, and
    the tick after it is that of 80 s: 80 replica-seconds in each wave, 10 of them
    loading.
    """
    wave = (Phase(length_s=20, rate=0.5), Phase(length_s=280, rate=0))
    load = paced(KEY, wave, service_s=1.0, until=900)
    run = World(scenario(load, 900, concurrency=4, start_s=10.0)).run()

    assert [machine.launched for machine in run.machines] == [0.0, 300.0, 600.0]
    assert [machine.gone for machine in run.machines] == [80.0, 380.0, 680.0]
    for wave_number in range(3):
        first = wave_number * 10
        waits = [run.waits.get(first + number, 0.0) for number in range(10)]
        assert waits == [10.0, 8.0, 6.0, 4.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    for machine in run.machines:
        assert machine.seconds[Part.LOADING] == 10.0
