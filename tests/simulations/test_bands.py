"""A band holds the figure it is of, and is narrow where hours are alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.domain import Needs
from simulations.bands import bands, spread
from simulations.coldstart import measured, parse
from simulations.nodes import Nodes
from simulations.plan import Question, outcome, scenario
from simulations.shapes import Shape, Sizes, made
from simulations.totals import totals
from simulations.world import World
from tests.simulations.test_plan import SLEEPY, A


def run(kind: str, seed: int = 2, span_s: float = 86_400.0):
    load = made(
        Shape(kind=kind, rate=0.02, span_s=span_s, off_s=20_000.0),
        Sizes(service_s=4.0),
        seed=seed,
    )
    asked = Question(trace=load, keys={"model": A}, cold_start=measured(20.0))
    return World(scenario(asked, {A: SLEEPY})).run()


def test_the_figures_of_a_run_are_in_their_bands():
    played = run("on-off")
    sums, found = totals(outcome("x", {A: SLEEPY}, played)), bands(played, seed=1)

    assert found.blocks == 24
    assert found.cost_s[0] < sums.cost_s < found.cost_s[1]
    assert found.cold[0] <= sums.cold_share <= found.cold[1]
    assert found.p99_s[0] <= sums.p99_s <= found.p99_s[1]
    assert found == bands(played, seed=1)


def test_of_many_runs_the_two_figures_of_a_search_have_bands_of_the_same_hours():
    played = run("on-off")
    sums = totals(outcome("x", {A: SLEEPY}, played))
    found, all_of_it = spread(played, seed=1), bands(played, seed=1)

    assert found.cost_s[0] < sums.cost_s < found.cost_s[1]
    assert found.wait_s[0] < sums.mean_wait_s < found.wait_s[1]
    assert found.cost_s == pytest.approx(all_of_it.cost_s, rel=0.05)
    assert found == spread(played, seed=1)


def test_nothing_is_said_of_how_sure_the_figures_of_a_single_hour_are():
    assert bands(run("poisson", span_s=3_600.0), seed=1) is None
    assert bands(run("poisson", span_s=3_700.0), seed=1).blocks == 2


def test_hours_that_differ_make_wider_bands_than_hours_alike():
    widths = []
    for kind in ("poisson", "on-off"):
        played = run(kind)
        low, high = bands(played, seed=1).cost_s
        widths.append((high - low) / totals(outcome("x", {A: SLEEPY}, played)).cost_s)

    assert widths[0] < widths[1]


def test_gpus_count_each_and_nodes_whole_where_they_may_be_added():
    load = made(
        Shape(kind="on-off", rate=0.02, span_s=86_400.0, off_s=20_000.0),
        Sizes(service_s=4.0),
        seed=2,
    )
    spec = replace(SLEEPY, needs=Needs(gpus=2))
    asked = Question(trace=load, keys={"model": A}, cold_start=parse("node(60s)"))
    for nodes in (None, Nodes(count=0, most=9, gpus=2), Nodes(count=9, most=9, gpus=2)):
        played = World(scenario(replace(asked, nodes=nodes), {A: spec})).run()

        cost_s = totals(outcome("x", {A: spec}, played)).cost_s
        low, high = bands(played, seed=1).cost_s
        assert low < cost_s < high
