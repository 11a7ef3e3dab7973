"""Whole days in virtual time, through the production machines, held to the laws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from math import factorial, inf

import pytest

from autoscaler.core.commands import Order
from autoscaler.core.domain import Budget, RevisionKey, ScalingSpec
from simulations.cluster import Behaviour, Failing, Part
from simulations.coldstart import measured
from simulations.report import Figures, figures, render
from simulations.run import End, Run
from simulations.workload import Phase, paced, poisson
from simulations.world import Scenario, World
from tests.golden.scenarios import ALL, IRIS, LLM, SLEEPY, TEXT, model
from tests.simulations.laws import (
    busy_seconds_are_the_union_of_services,
    lawful,
    requests_are_conserved,
)

DAY = 86_400.0


def only(run: Run) -> Figures:
    (figure,) = figures(run)
    return figure


def ends(figure: Figures) -> dict[End, int]:
    return {end: count for end, count in figure.ends if count}


@pytest.mark.parametrize("name", ALL)
def test_the_golden_scenarios_are_lawful(name):
    lawful(ALL[name]())


@pytest.mark.slow
def test_a_day_of_square_waves_costs_what_a_hand_computes():
    # Each hour: 10 minutes of a request a second, served in 0.5 s, then nothing.
    load = (Phase(length_s=600, rate=1), Phase(length_s=3_000, rate=0))
    one = replace(SLEEPY, max_replicas=1)
    behaviour = Behaviour(cold_start=measured(20.0), stop_s=1.0)
    scenario = Scenario(
        models=(model(LLM, one, behaviour=behaviour),),
        workloads=(paced(LLM, load, service_s=0.5, until=DAY),),
        until=DAY,
    )

    figure = only(lawful(scenario))
    parts = dict(figure.seconds)

    assert ends(figure) == {End.ANSWERED: 24 * 600}
    assert figure.starts == 24
    # Who comes at 0 … 19 s finds nobody; of the 21 held at 20 s four go each 0.5 s.
    assert figure.cold == 24 * 20
    assert figure.wait_max_s == 20.0
    assert parts[Part.LOADING] == 24 * 20.0
    # Idle from 599.5 s; the window is empty a minute later, the grace 30 s after it,
    # give or take a tick of 2 s for each, and the second that a sample takes.
    awake = figure.replica_s / 24
    assert 599.5 + 60 + 30 <= awake <= 599.5 + 60 + 30 + 6


@pytest.mark.slow
def test_a_day_of_bursts_scales_out_and_loses_nothing():
    load = (
        Phase(length_s=1_200, rate=0.5),
        Phase(length_s=60, rate=30.0),
        Phase(length_s=2_340, rate=0.0),
    )
    behaviour = Behaviour(cold_start=measured(4.0, 6.0, 30.0))
    scenario = Scenario(
        models=(model(LLM, behaviour=behaviour),),
        workloads=(poisson(LLM, load, service_s=0.5, until=DAY, seed=8),),
        until=DAY + 600,
        activators=2,
    )

    run = lawful(scenario)
    figure = only(run)

    assert set(ends(figure)) <= {End.ANSWERED, End.REJECTED}
    assert figure.most == 4
    assert figure.starts >= 24 + 24 * 3
    assert all(machine.gone < inf for machine in run.machines)


@pytest.mark.slow
def test_a_day_of_failing_starts_answers_again_when_they_succeed():
    failing = tuple(
        Failing(
            begin=hour * 3_600.0, end=hour * 3_600.0 + 900.0, reason="exit status 1"
        )
        for hour in range(0, 24, 2)
    )
    load = (Phase(length_s=DAY, rate=0.5),)
    behaviour = Behaviour(cold_start=measured(5.0), lifetime_s=600.0, failing=failing)
    workload = poisson(LLM, load, service_s=0.4, until=DAY, seed=9)
    scenario = Scenario(
        models=(model(LLM, behaviour=behaviour),),
        workloads=(replace(workload, replayable=True),),
        until=DAY + 3_600,
    )

    run = lawful(scenario)
    figure = only(run)

    assert End.PENDING not in ends(figure)
    assert figure.failures >= 12
    assert figure.crashes >= 60
    assert ends(figure)[End.ANSWERED] > 0.6 * figure.requests
    # A start that fails is not tried for ever at once: back-off, then half open.
    assert figure.failures <= 12 * 60
    late = [
        n
        for n, at in enumerate(run.requests.arrivals)
        if at % 7_200 > 900 + 330  # the longest back-off, and a start
    ]
    answered = sum(1 for n in late if run.ends[n] == End.ANSWERED)
    assert answered > 0.98 * len(late)


@pytest.mark.slow
def test_a_day_of_replicas_that_die_keeps_a_pinned_model_up():
    load = (Phase(length_s=DAY, rate=1.0),)
    pinned = replace(SLEEPY, min_replicas=2)
    behaviour = Behaviour(cold_start=measured(3.0), lifetime_s=300.0)
    workload = poisson(LLM, load, service_s=0.3, until=DAY, seed=10)
    scenario = Scenario(
        models=(model(LLM, pinned, behaviour=behaviour),),
        workloads=(replace(workload, replayable=True),),
        until=DAY,
    )

    figure = only(lawful(scenario))

    assert figure.crashes > 400
    assert ends(figure)[End.ANSWERED] >= figure.requests - 5
    assert figure.replica_s >= 1.95 * DAY
    assert figure.cold < 0.01 * figure.requests


@pytest.mark.slow
def test_a_day_without_room_for_all_serves_all_in_turn():
    one = replace(SLEEPY, max_replicas=1)
    behaviour = Behaviour(cold_start=measured(5.0), stop_s=2.0)
    load = (Phase(length_s=300, rate=0.3), Phase(length_s=300, rate=0.0))
    keys = (LLM, IRIS, TEXT)
    scenario = Scenario(
        models=tuple(model(key, one, gpus=1, behaviour=behaviour) for key in keys),
        workloads=tuple(
            poisson(key, load, service_s=0.5, until=DAY, seed=11) for key in keys
        ),
        budget=Budget(gpus=1, patience_s=30.0),
        until=DAY + 1_000,
    )

    run = lawful(scenario)

    for figure in figures(run):
        assert ends(figure).get(End.ANSWERED, 0) > 0.95 * figure.requests, figure
        assert End.PENDING not in ends(figure)
        # Nobody waits much longer than two others' patience, drain and start.
        assert figure.wait_max_s < 300


@pytest.mark.slow
def test_clients_that_leave_end_as_left_and_wake_no_more_than_they_must():
    load = (Phase(length_s=5, rate=2.0), Phase(length_s=895, rate=0.0))
    one = replace(SLEEPY, max_replicas=1)
    behaviour = Behaviour(cold_start=measured(30.0))
    workload = paced(LLM, load, service_s=0.5, until=9_000)
    scenario = Scenario(
        models=(model(LLM, one, behaviour=behaviour),),
        workloads=(replace(workload, patience_s=10.0),),
        until=9_000,
    )

    figure = only(lawful(scenario))

    assert ends(figure) == {End.LEFT: 100}
    assert figure.starts == 10  # a wake that has begun completes


def test_one_request_at_a_time_is_busy_for_as_long_as_it_is_served():
    load = (Phase(length_s=600, rate=0.2), Phase(length_s=600, rate=0.0))
    scenario = Scenario(
        models=(model(LLM, concurrency=1),),
        workloads=(poisson(LLM, load, service_s=2.0, until=6_000, seed=3),),
        until=7_000,
    )

    run = lawful(scenario)

    assert ends(only(run)) == {End.ANSWERED: only(run).requests}
    busy_seconds_are_the_union_of_services(run, run.machines)


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "use"), [(1, 0.7), (3, 0.8)])
def test_waits_for_fixed_replicas_are_those_of_erlang(servers, use):
    fixed = ScalingSpec(
        min_replicas=servers, max_replicas=servers, initial_scale=servers
    )
    service_s = 1.0
    rate = use * servers / service_s
    load = (Phase(length_s=60, rate=rate),)
    until = 120_000 / rate
    spec = model(LLM, fixed, concurrency=1)
    gate = replace(spec.spec.gate, max_held=100_000, hold_limit_s=1e6)
    scenario = Scenario(
        models=(replace(spec, spec=replace(spec.spec, gate=gate)),),
        workloads=(poisson(LLM, load, service_s=service_s, until=until, seed=4),),
        until=until,
    )

    run = lawful(scenario)

    # No other order of the same requests would have waited less, or more.
    arrivals, services = run.requests.arrivals, run.requests.services
    assert sum(run.waits.values()) == pytest.approx(
        sum(waits_in_one_queue(arrivals, services, servers)), rel=1e-3
    )
    load_all = service_s * len(arrivals) / until
    use = load_all / servers
    full = load_all**servers / factorial(servers) / (1 - use)
    waits_at_all = full / (
        sum(load_all**n / factorial(n) for n in range(servers)) + full
    )
    mean_wait = waits_at_all * service_s / (servers * (1 - use))
    answered = ends(only(run))[End.ANSWERED]
    assert sum(run.waits.values()) / answered == pytest.approx(mean_wait, rel=0.08)
    assert len(run.waits) / answered == pytest.approx(waits_at_all, rel=0.05)


def waits_in_one_queue(
    arrivals: Iterable[float], services: Iterable[float], servers: int
) -> Iterator[float]:
    """Yield how long each waits for the first of *servers*, which start at 1 s."""
    free = [1.0] * servers
    for arrival, service in zip(arrivals, services, strict=True):
        begin = max(arrival, heappop(free))
        heappush(free, begin + service)
        yield begin - arrival


@pytest.mark.parametrize("name", ALL)
def test_the_same_scenario_gives_the_same_bytes(name):
    assert render(World(ALL[name]()).run()) == render(World(ALL[name]()).run())


def test_another_seed_of_the_world_changes_draws_and_no_arrival():
    one, other = (World(replace(ALL["bursts"](), seed=seed)).run() for seed in (1, 2))

    assert list(one.requests.arrivals) == list(other.requests.arrivals)
    assert render(one) != render(other)


@pytest.mark.source
def test_a_week_asleep_is_jumped_over():
    world = World(
        Scenario(
            models=(model(LLM), model(IRIS)),
            workloads=(
                paced(LLM, (Phase(length_s=1, rate=1), Phase(length_s=6 * DAY, rate=0)),
                      service_s=1, until=7 * DAY),
            ),
            until=7 * DAY,
        )
    )  # fmt: skip
    calls = 0
    advance = world.fleet.advance

    def count(now: float) -> None:
        nonlocal calls
        calls += 1
        advance(now)

    world.fleet.advance = count  # type: ignore[method-assign]  # only looks on

    run = world.run()

    assert ends(only(run)) == {End.ANSWERED: 2}
    assert calls < 400  # two wakes of some 90 s at a tick of 2 s


def test_what_is_done_from_outside_happens_when_it_was_asked_for():
    load = (Phase(length_s=1, rate=1), Phase(length_s=999, rate=0))
    more = replace(model(LLM).spec, scaling=replace(SLEEPY, min_replicas=2))

    def pin(world: World, now: float) -> None:
        world.fleet.order(LLM, Order.PIN, now)

    def unpin(world: World, now: float) -> None:
        world.fleet.order(LLM, Order.UNPIN, now)

    def remove(world: World, now: float) -> None:
        world.fleet.remove(LLM, now)

    def change(world: World, now: float) -> None:
        world.fleet.configure(LLM, more, now)

    scenario = Scenario(
        models=(model(LLM),),
        workloads=(paced(LLM, load, service_s=1, until=5_000),),
        until=5_000,
        changes=((200, pin), (1_200, unpin), (2_200, change), (3_200, remove)),
    )

    run = World(scenario).run()
    requests_are_conserved(run)
    first, second, third, *_ = run.machines

    assert second.launched == 200.0
    assert 1_200 < second.gone < 1_400
    assert (third.launched, run.machines[3].launched) in {
        (2_000, 2_200),
        (2_200, 2_200),
    }
    assert all(machine.gone < 3_300 for machine in run.machines)
    assert first.gone < 200
    assert run.ends[4] == End.REJECTED
    assert run.refusals == {(LLM, "no route"): 1}


def test_a_request_for_nobody_is_turned_away():
    scenario = Scenario(
        models=(),
        workloads=(
            paced(RevisionKey("a", "b"), (Phase(length_s=1, rate=1),), service_s=1,
                  until=2),
        ),
        until=3,
    )  # fmt: skip

    run = World(scenario).run()

    assert list(run.ends) == [End.REJECTED, End.REJECTED]
