from __future__ import annotations

import asyncio
import random
import time
from array import array
from dataclasses import replace

import pytest

import autoscaler.clock
from autoscaler.core.domain import GateSpec
from autoscaler.core.messages import Sample
from simulations.cluster import Behaviour
from simulations.coldstart import measured
from simulations.report import figures, render
from simulations.run import End
from simulations.workload import Phase, Workload, paced
from simulations.world import Scenario, World
from tests.golden.scenarios import ALL, LLM, model


def at(*arrivals: float, service_s: float = 1.0) -> Workload:
    services = array("d", [service_s]) * len(arrivals)
    return Workload(key=LLM, arrivals=array("d", arrivals), services=services)


def scenario(*arrivals: float, until: float = 300.0, **changes) -> Scenario:
    return Scenario(
        models=(model(LLM, behaviour=Behaviour(cold_start=measured(5.0))),),
        workloads=(at(*arrivals),),
        until=until,
        **changes,
    )


def test_a_request_at_zero_waits_for_the_start_it_causes_and_no_longer():
    run = World(scenario(10.0)).run()

    assert list(run.ends) == [End.ANSWERED]
    assert run.waits == {0: 5.0}
    assert list(run.cold) == [1]
    assert [machine.launched for machine in run.machines] == [10.0]


def test_a_request_to_a_ready_replica_does_not_wait():
    run = World(scenario(10.0, 20.0)).run()

    assert run.waits == {0: 5.0}
    assert list(run.cold) == [1, 0]
    assert len(run.machines) == 1


def test_what_does_not_fit_is_held_and_not_cold():
    run = World(scenario(10.0, *[20.0] * 6)).run()

    assert list(run.ends) == [End.ANSWERED] * 7
    # Four have the replica's slots; two wait for the first of them to end.
    assert run.waits == {0: 5.0, 5: 1.0, 6: 1.0}
    assert list(run.cold) == [1, 0, 0, 0, 0, 0, 0]


def test_a_departure_frees_its_slot_for_an_arrival_at_the_same_instant():
    run = World(scenario(10.0, *[20.0] * 4, *[21.0] * 4)).run()

    assert run.waits == {0: 5.0}


def test_a_queue_that_is_full_turns_away_and_says_why():
    small = model(LLM, behaviour=Behaviour(cold_start=measured(5.0)))
    gate = GateSpec(container_concurrency=1, max_held=2)
    world = World(
        Scenario(
            models=(replace(small, spec=replace(small.spec, gate=gate)),),
            workloads=(at(10.0, 10.5, 11.0, 11.5),),
            until=100.0,
        )
    )

    run = world.run()

    assert [End(end) for end in run.ends] == [
        End.ANSWERED,
        End.ANSWERED,
        End.REJECTED,
        End.REJECTED,
    ]
    assert sum(run.refusals.values()) == 2


def test_a_hold_ends_when_its_limit_does():
    slow = model(LLM, behaviour=Behaviour(cold_start=measured(500.0)))
    gate = GateSpec(hold_limit_s=30.0)
    world = World(
        Scenario(
            models=(replace(slow, spec=replace(slow.spec, gate=gate)),),
            workloads=(at(10.0),),
            until=39.999,
        )
    )

    run = world.run()
    assert list(run.ends) == [End.PENDING]

    world.engine.run(until=40.0)
    assert list(run.ends) == [End.EXPIRED]


@pytest.mark.source
@pytest.mark.parametrize("at_s", [0.0, 0.25, 0.875])
def test_activators_report_when_in_each_second_they_are_said_to(at_s, monkeypatch):
    world = World(scenario(10.5, 100.5, sample_at_s=at_s))
    heard = []
    hear = world.fleet.hear
    monkeypatch.setattr(
        world.fleet,
        "hear",
        lambda message, now: (heard.append((message, now)), hear(message, now)),
    )

    world.run()

    times = [now for message, now in heard if isinstance(message, Sample)]
    assert len(times) > 10
    assert {now % 1.0 for now in times} == {at_s}


def test_a_tick_that_comes_late_puts_off_those_after_it():
    run = World(scenario(10.0, until=30.0, late_s=0.125, walks=True)).run()

    times = [at for at, _ in run.decisions if at > 15.0]
    assert times == [15.0 + 2.125 * number for number in range(1, len(times) + 1)]


def test_two_activators_share_the_requests_and_every_replica():
    quick = Behaviour(cold_start=measured(0.2))
    run = World(
        Scenario(
            models=(model(LLM, concurrency=0, behaviour=quick),),
            workloads=(paced(LLM, (Phase(length_s=9, rate=10),), service_s=0.2,
                             until=90),),
            until=300.0,
            activators=2,
        )
    ).run()  # fmt: skip

    assert set(run.ends) == {End.ANSWERED}
    assert len(run.machines) == 1


def test_the_same_run_whoever_else_is_there():
    """Common random numbers: another model changes nothing for this one."""
    alone = replace(ALL["waves"](), workloads=ALL["waves"]().workloads)
    both = ALL["room"]()
    together = replace(
        both,
        models=(*alone.models, *both.models[1:]),
        workloads=(*alone.workloads, *both.workloads[1:]),
        budget=alone.budget,
        until=alone.until,
    )

    assert figures(World(together).run())[0] == figures(World(alone).run())[0]


@pytest.mark.parametrize("name", ALL)
def test_a_run_asks_no_clock_and_no_chance_of_the_machine(name, monkeypatch):
    told = render(World(ALL[name]()).run())

    def refuse(*_: object) -> float:
        raise AssertionError("a simulation asked the machine it runs on")

    with monkeypatch.context() as patch:
        for clock in ("time", "monotonic", "perf_counter", "process_time", "time_ns",
                      "monotonic_ns", "perf_counter_ns", "sleep"):  # fmt: skip
            patch.setattr(time, clock, refuse)
        patch.setattr(autoscaler.clock, "monotonic", refuse)
        patch.setattr(autoscaler.clock, "wall", refuse)
        patch.setattr(random, "random", refuse)
        patch.setattr(random, "Random", refuse)
        patch.setattr(asyncio, "get_event_loop", refuse)
        again = render(World(ALL[name]()).run())

    assert again == told


@pytest.mark.source
def test_nothing_is_sampled_while_nothing_is_awake():
    world = World(scenario(10.0, 5_000.0, until=6_000.0))
    reports = 0
    board = world.boards[0]
    report = board.report

    class Watched:
        """The same Switchboard, with its reports counted."""

        def __getattr__(self, name: str) -> object:
            return getattr(board, name)

        def report(self, now: float) -> object:
            nonlocal reports
            reports += 1
            return report(now)

    world.boards[0] = Watched()  # type: ignore[call-overload]  # only looks on

    world.run()

    assert 20 < reports < 150
