"""What settings save is said of days that were not used for choosing them, and only
where they are as good there."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.findings import changed, knative
from benchmarks.held_back import (
    SLACKS,
    Waits,
    band,
    case,
    chosen,
    compared,
    said,
    simulated,
    worse,
)
from simulations.edit import slice_
from simulations.shapes import Shape, Sizes, made

DAY = made(
    Shape(kind="bursts", rate=0.01, span_s=43_200.0, off_s=6_000.0),
    Sizes(service_s=4.0),
    seed=3,
)
ONE = knative(1)
PARTS = st.builds(
    Waits,
    asked=st.just(100),
    cold=st.integers(0, 50),
    answered=st.just(100),
    lost=st.integers(0, 3),
    waited=st.lists(st.floats(0.1, 40), max_size=60).map(tuple),
)


@given(st.lists(st.floats(0.1, 99), max_size=40), st.integers(0, 200))
def test_what_99_of_100_waited_counts_those_that_did_not(waited, at_once):
    all_of_them = [0.0] * at_once + waited
    found = Waits(
        asked=len(all_of_them), cold=0, answered=len(all_of_them), lost=0,
        waited=tuple(waited),
    )  # fmt: skip

    expected = (
        float(np.quantile(all_of_them, 0.99, method="inverted_cdf"))
        if all_of_them
        else 0.0
    )
    assert found.p99_s == expected


@given(st.lists(PARTS, min_size=3, max_size=3))
def test_nothing_is_worse_than_itself(parts):
    assert worse(parts, parts, 0.0) == 0.0


@given(PARTS, PARTS, st.integers(0, 2))
def test_it_is_worse_if_any_part_is_colder_slower_or_loses_more(one, other, place):
    good = replace(one, cold=0, lost=0, waited=())
    ours = [good] * 3
    ours[place] = other

    colder = other.cold > one.cold
    slower = other.p99_s > one.p99_s + 1e-6
    assert (worse(ours, [one] * 3, 0.0) > 0) is (
        colder or slower or other.lost > one.lost
    )


def test_a_slack_forgives_a_longer_wait_and_no_colder_one():
    theirs = Waits(asked=100, cold=10, answered=100, lost=0, waited=(37.0,) * 10)
    slower = replace(theirs, waited=(38.0,) * 10)

    assert worse([slower], [theirs], 0.0) > 0
    assert worse([slower], [theirs], 0.05) == 0
    assert worse([replace(slower, cold=11)], [theirs], 0.05) > 0


def test_thirds_and_hours_are_all_of_a_run():
    ran = simulated((DAY, ONE))
    first, second, third = ran.thirds
    whole = first + second + third

    assert whole.asked == len(DAY) == ran.totals.requests
    assert (whole.cold, whole.answered) == (ran.totals.cold, ran.totals.answered)
    assert whole.p99_s == ran.totals.p99_s
    assert sum(ran.hours) == pytest.approx(ran.totals.cost_s)


@pytest.mark.slow
def test_what_is_chosen_is_cheaper_and_as_good_in_each_third():
    with ProcessPoolExecutor(2) as pool:
        strict, forgiving = chosen(pool, DAY, ONE, 32)
    base, one, other = (simulated((DAY, spec)) for spec in (ONE, strict, forgiving))

    assert worse(one.thirds, base.thirds, SLACKS[0]) == 0
    assert worse(other.thirds, base.thirds, SLACKS[1]) == 0
    assert other.cost_h <= one.cost_h < base.cost_h


def test_where_nothing_is_cheaper_and_as_good_nothing_is_changed():
    always_on = changed(knative(1, most=1), min_replicas=1, initial_scale=1)
    with ProcessPoolExecutor(1) as pool:
        # One replica at most: whatever is asked for stays on, and costs the same.
        found = chosen(pool, DAY, always_on, 8)

    assert found == (always_on, always_on)


@pytest.mark.slow
def test_a_case_has_a_row_for_each_slack_of_days_that_nobody_chose_by():
    with ProcessPoolExecutor(2) as pool:
        rows = list(case(pool, [DAY], ONE, 16))

    rest = slice_(DAY, DAY.span_s * 0.6, DAY.span_s)
    base = simulated((rest, ONE))
    assert [row[0] for row in rows] == ["0 %", "5 %"]
    for row in rows:
        assert row[1].partition(" -> ")[0] == f"{base.cost_h:.1f}"
        assert row[4].partition(" -> ")[0] == f"{100 * base.totals.cold_share:.2f}"
        assert row[5].partition(" -> ")[0] == f"{base.totals.p99_s:.1f}"


def test_a_saving_that_is_paid_for_by_waiting_is_called_no_saving():
    base = simulated((DAY, ONE))
    shorter = simulated((DAY, changed(ONE, stable_window_s=6, grace_s=0.0)))
    row = compared([base], [shorter], 0.05)
    hours, saved, between, cold, _, good = row

    assert good == "NO"
    assert hours == f"{base.cost_h:.1f} -> {shorter.cost_h:.1f}"
    low, _, high = between.partition("..")
    assert float(low) <= float(saved) <= float(high)
    assert float(cold.partition(" -> ")[2]) > float(cold.partition(" -> ")[0])
    assert compared([base], [base], 0.0)[-1] == "yes"


@given(
    st.lists(st.floats(0.1, 100), min_size=2, max_size=30),
    st.floats(0.1, 1),
)
def test_a_band_of_the_same_share_in_each_hour_is_that_share(theirs, share):
    low, high = band([share * each for each in theirs], theirs, times=50)

    assert low == pytest.approx(100 * (1 - share), abs=1e-6)
    assert high == pytest.approx(100 * (1 - share), abs=1e-6)


def test_what_was_changed_is_said():
    assert said(ONE, [changed(ONE, panic=False)]) == "panic off"
    assert said(ONE, [ONE]) == ""
    assert said(ONE, [ONE, changed(ONE, panic=False)]) == "1 of 2"
