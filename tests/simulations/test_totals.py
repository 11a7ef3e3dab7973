"""Totals are sums over revisions, in GPU-seconds where replicas have GPUs."""

from __future__ import annotations

from dataclasses import replace

from simulations.totals import totals
from tests.simulations.page.sample import outcome


def test_revisions_are_summed_and_gpus_count_each():
    one = outcome()
    two = replace(one, figures=one.figures * 2, gpus=4)

    assert totals(two).requests == 2 * totals(one).requests
    assert totals(two).cost_s == 8 * totals(one).cost_s == 8 * 1_810.0
    assert totals(two).most == totals(one).most
    assert totals(one).cold_share == 0.2
    assert totals(one).answered + totals(one).rejected == totals(one).requests


def test_without_gpus_replicas_are_counted():
    assert totals(replace(outcome(), gpus=0)).cost_s == totals(outcome()).cost_s
