"""Laws of every run, judged from what was written down while it ran."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from simulations.cluster import Machine, Part
from simulations.report import figures
from simulations.run import End, Run
from simulations.world import Scenario, World


def lawful(scenario: Scenario) -> Run:
    """Run *scenario* and hold the run to the laws; return it."""
    run = World(scenario).run()
    requests_are_conserved(run)
    replica_seconds_are_the_integral_of_replicas(run)
    limits_are_kept(run, scenario)
    no_node_gives_what_it_has_not(run, scenario)
    the_budget_is_kept(run, scenario)
    return run


def requests_are_conserved(run: Run) -> None:
    total = 0
    for each in figures(run):
        assert sum(count for _, count in each.ends) == each.requests
        total += each.requests
    assert total == len(run.requests.arrivals)
    refused = sum(run.refusals.values())
    turned_away = {End.REJECTED, End.EXPIRED, End.LOST}
    again = sum(n for (_, end), n in run.retries.items() if end in turned_away)
    assert refused == again + sum(1 for end in run.ends if End(end) in turned_away)
    for load in run.requests.workloads:
        made = sum(n for (key, _), n in run.retries.items() if key == load.key)
        assert made <= load.retries * len(load.arrivals)
    for number, wait in run.waits.items():
        assert wait >= 0, f"request {number} waited {wait} s"


def replica_seconds_are_the_integral_of_replicas(run: Run) -> None:
    """Walk over launches and ends as a bill would, and compare with the parts."""
    turns = sorted(
        (at, step)
        for machine in run.machines
        if machine.placed < inf
        for at, step in ((machine.placed, 1), (min(machine.gone, run.until), -1))
    )
    integral, alive, before = 0.0, 0, 0.0
    for at, step in turns:
        integral += alive * (at - before)
        alive, before = alive + step, at
    parts = sum(sum(machine.seconds.values()) for machine in run.machines)
    assert parts == pytest.approx(integral, rel=1e-9)
    for machine in run.machines:
        end = min(machine.gone, run.until)
        life = end - min(machine.placed, end)
        assert sum(machine.seconds.values()) == pytest.approx(life, abs=1e-6)
        assert all(seconds >= 0 for seconds in machine.seconds.values())


def busy_seconds_are_the_union_of_services(run: Run, machines: list[Machine]) -> None:
    """With one request at a time, nothing lost and nothing cut: busy is service."""
    served = sum(
        service
        for service, end in zip(run.requests.services, run.ends, strict=True)
        if end == End.ANSWERED
    )
    assert sum(m.seconds[Part.BUSY] for m in machines) == pytest.approx(served)


def limits_are_kept(run: Run, scenario: Scenario) -> None:
    for model in scenario.models:
        limit = model.spec.gate.container_concurrency or inf
        mine = [m for m in run.machines if m.key == model.key]
        assert all(machine.peak <= limit for machine in mine)


def the_budget_is_kept(run: Run, scenario: Scenario) -> None:
    needs = {model.key: model.spec.needs for model in scenario.models}
    budget = scenario.budget
    if budget.gpus is not None:
        assert most_at_once(run.machines, lambda m: needs[m.key].gpus) <= budget.gpus
    if budget.memory is not None:
        most = most_at_once(run.machines, lambda m: needs[m.key].memory)
        assert most <= budget.memory


def no_node_gives_what_it_has_not(run: Run, scenario: Scenario) -> None:
    needs = {model.key: model.spec.needs.gpus for model in scenario.models}
    for node in run.pool.nodes if run.pool else ():
        mine = [m for m in run.machines if m.node == node.number]
        assert most_at_once(mine, lambda m: needs[m.key]) <= node.gpus
        assert all(node.up <= m.placed and m.gone <= node.gone for m in mine)


def most_at_once(machines: list[Machine], weight: Callable[[Machine], int]) -> int:
    """Return the greatest sum of weights placed at one time; ends go before begins."""
    turns = sorted(
        (at, step * weight(machine))
        for machine in machines
        if machine.placed < inf
        for at, step in ((machine.placed, 1), (machine.gone, -1))
    )
    alive = most = 0
    for _, step in turns:
        alive += step
        most = max(most, alive)
    return most
