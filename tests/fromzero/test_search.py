"""A search on real runs: what is asked for is run and told; Ctrl-C leaves what there is."""

from __future__ import annotations

import signal

import pytest

from autoscaler.core.domain import RevisionKey, RevisionSpec, ScalingSpec
from fromzero.flags import How
from fromzero.search import FIELDS, Runs, asking, grid, search
from fromzero.simulate import watching
from fromzero.study import Study
from simulations import plan
from simulations.coldstart import measured
from simulations.goal import parse
from simulations.shapes import Shape, Sizes, made
from simulations.sweep import Sweep, apply

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
