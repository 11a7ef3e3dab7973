"""A search on real runs: what is asked for is run and told; Ctrl-C leaves what there is."""

from __future__ import annotations

import signal

import pytest

from autoscaler.core.domain import GateSpec, RevisionKey, RevisionSpec, ScalingSpec
from fromzero.flags import How
from fromzero.search import FIELDS, Runs, asking, grid, search
from fromzero.simulate import watching
from fromzero.study import Study
from simulations import plan
from simulations.coldstart import measured
from simulations.goal import parse
from simulations.pareto import covered
from simulations.shapes import Shape, Sizes, made
from simulations.sweep import Sweep, apply, dimensions

KEY = RevisionKey("default", "model")
SPEC = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=1))
GOAL = parse("cold<30%")


@pytest.fixture
def runs():
    trace = made(
        Shape(kind="poisson", rate=0.02, span_s=3_600.0), Sizes(service_s=2.0), seed=1
    )
    asked = plan.Question(trace=trace, keys={"model": KEY}, cold_start=measured(10.0))
    with Runs(asked, KEY, 2) as runs:
        yield runs


class Asks:
    """Asks for the same twice, and remembers what it is told; *at* a round, Ctrl-C."""

    def __init__(self, at: int = 0) -> None:
        self.told = []
        self._at = at
        self._round = 0

    def ask(self):
        self._round += 1
        if self._round == self._at:
            signal.raise_signal(signal.SIGINT)
        return [(0.1, 0.1), (0.9, 0.9)] if self._round < 3 else []

    def tell(self, seen):
        self.told += seen


def test_what_is_asked_for_is_run_and_told(runs):
    asks = Asks()
    with watching(5) as watch:
        tried = search(runs, [("here", SPEC)], asks, GOAL, watch)

    assert [each.name for each in tried] == ["here", "", "", "", ""]
    short, long = tried[1:3]
    assert short.spec == apply(SPEC, (0.1, 0.1))
    assert short.totals.cost_s < long.totals.cost_s
    assert short.totals.cold > long.totals.cold
    assert [each.choice for each in asks.told] == [(0.1, 0.1), (0.9, 0.9)] * 2
    assert [each.cost_s for each in asks.told] == [e.totals.cost_s for e in tried[1:]]
    assert [each.excess > 0 for each in asks.told] == [
        not GOAL.met(each.totals) for each in tried[1:]
    ]


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_ends_it_with_what_was_found_so_far(runs, at):
    with watching(5) as watch:
        tried = search(runs, [("here", SPEC)], Asks(at), GOAL, watch)
        heat = grid(runs, SPEC, watch, 5)

    # Of the round in which it came the first is taken, since it was begun.
    assert len(tried) == 1 + 2 * (at - 1) + 1
    assert heat is None


@pytest.mark.parametrize("how", How)
def test_ctrl_c_after_a_round_ends_either_search_with_that_round(runs, how):
    asks = asking(how, 2, 40, seed=1)
    told = []

    class Stopped:
        ask = staticmethod(asks.ask)

        def tell(self, seen):
            asks.tell(seen)
            told.extend(apply(SPEC, each.choice) for each in seen)
            signal.raise_signal(signal.SIGINT)

    with watching(40) as watch:
        tried = search(runs, [("here", SPEC)], Stopped(), GOAL, watch)

    assert [each.spec for each in tried[1:]] == told
    assert 8 <= len(told) < 40


def test_two_settings_together_are_all_tried(runs):
    with watching(FIELDS) as watch:
        heat = grid(runs, SPEC, watch, 0)

    assert heat is not None
    assert len(heat.cost_s) * len(heat.cost_s[0]) == FIELDS
    assert all(row == tuple(sorted(row)) for row in heat.cost_s)
    columns = list(zip(*heat.cost_s, strict=True))
    assert all(column == tuple(sorted(column)) for column in columns)


def test_who_asks_goes_by_its_name():
    assert isinstance(asking(How.SOBOL, 2, 10, 1), Sweep)
    assert isinstance(asking(How.OPTUNA, 2, 10, 1), Study)


@pytest.mark.slow
def test_the_built_in_search_finds_as_much_as_optuna_in_as_many_runs():
    # Five settings, bursts with quiet between them, 32 points, two seeds of each.
    shape = Shape(kind="bursts", rate=0.02, span_s=10_000.0, off_s=3_000.0)
    asked = plan.Question(
        trace=made(shape, Sizes(service_s=4.0), seed=3),
        keys={"model": KEY},
        cold_start=measured(20.0),
    )
    spec = RevisionSpec(
        scaling=ScalingSpec(min_replicas=0, max_replicas=6, total_value=4.0),
        gate=GateSpec(container_concurrency=4),
    )
    goal = parse("cold<10%")
    pairs: dict[How, list[list[tuple[float, float]]]] = {how: [] for how in How}
    least: dict[How, list[float]] = {how: [] for how in How}
    with Runs(asked, KEY) as runs:
        for how in How:
            for seed in (1, 2):
                asks = asking(how, dimensions(spec), 32, seed)
                with watching(32) as watch:
                    tried = search(runs, [("", spec)], asks, goal, watch)[1:]
                found = [each.totals for each in tried]
                pairs[how].append([(t.cost_s, t.mean_wait_s) for t in found])
                least[how].append(min(t.cost_s for t in found if goal.met(t)))

    flat = [pair for each in (*pairs[How.SOBOL], *pairs[How.OPTUNA]) for pair in each]
    most = max(x for x, _ in flat), max(y for _, y in flat)
    sobol, optuna = (sum(covered(each, most) for each in pairs[how]) for how in How)
    assert sobol >= 0.99 * optuna
    assert sum(least[How.SOBOL]) <= 1.01 * sum(least[How.OPTUNA])
