"""Totals are sums over revisions, in GPU-seconds where replicas have GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulations.report import NodeFigures
from simulations.totals import compared, totals
from tests.simulations.page.sample import outcome


def test_revisions_are_summed_and_gpus_count_each():
    one = outcome()
    (figures,) = one.figures
    two = replace(one, figures=(figures, replace(figures, gpus=7)), gpus=7)

    assert totals(two).requests == 2 * totals(one).requests
    assert totals(two).cost_s == 8 * totals(one).cost_s == 8 * 1_810.0
    assert totals(two).most == two.most
    assert totals(one).cold_share == 0.2
    assert totals(one).answered + totals(one).rejected == totals(one).requests


def test_without_gpus_replicas_are_counted():
    assert totals(replace(outcome(), gpus=0)).cost_s == totals(outcome()).cost_s


def test_what_waited_for_a_place_is_summed_and_nodes_are_the_whole_runs():
    one = outcome()
    (figures,) = one.figures
    waited = replace(figures, unplaced=2, unplaced_max_s=9.0)
    nodes = NodeFigures(most=2, added=1, gpu_s=9_000.0, pulled=3, paid=False)

    found = totals(replace(one, figures=(waited, figures, waited), nodes=nodes))

    assert (found.unplaced, found.unplaced_max_s, found.nodes) == (4, 9.0, nodes)
    assert totals(one).nodes is None


def test_nodes_are_paid_whole_where_they_may_be_added():
    nodes = NodeFigures(most=2, added=1, gpu_s=2_000.0, pulled=3, paid=True)
    grows = replace(outcome(), nodes=nodes)

    assert totals(grows).unused_s == 2_000.0 - 1_810.0
    assert totals(grows).cost_s == 2_000.0
    fixed = replace(grows, nodes=replace(nodes, paid=False))
    assert totals(fixed).cost_s == 1_810.0
    assert totals(replace(grows, gpus=0)).cost_s == 1_810.0, "they have no GPU to pay"


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (75.0, "25% less than it"),
        (99.4, "1% less than it"),
        (99.6, "as much as it"),
        (100.0, "as much as it"),
        (100.4, "as much as it"),
        (100.6, "1% more than it"),
        (250.0, "150% more than it"),
    ],
)
def test_a_cost_beside_another_is_less_more_or_as_much(ours, said):
    assert compared(ours, 100.0, "it") == said
