"""Every choice is settings that a document may have; a search repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import RevisionSpec, ScalingSpec
from simulations.pareto import front
from simulations.sweep import Choice, Seen, Sweep, apply, dimensions

MANY = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=5))
ONE = RevisionSpec(scaling=ScalingSpec(min_replicas=0, max_replicas=1))
SHARES = st.floats(0, 1, exclude_max=True)


@given(st.tuples(SHARES, SHARES, SHARES, SHARES, SHARES))
def test_a_choice_is_within_what_documents_may_say(choice):
    its = apply(MANY, choice).scaling

    assert 6 <= its.stable_window_s <= 3_600
    assert 0 <= its.retention_s <= 3_600
    assert 0.01 <= its.target_utilization <= 1
    assert 0 <= its.scale_down_delay_s <= 3_600
    assert 1.1 <= its.panic_threshold <= 10
    assert (its.min_replicas, its.max_replicas) == (0, 5)


def test_of_one_replica_only_sleeping_is_chosen():
    assert dimensions(ONE) == 2
    changed = apply(ONE, (0.5, 0.5)).scaling
    kept = replace(
        changed,
        stable_window_s=ONE.scaling.stable_window_s,
        retention_s=ONE.scaling.retention_s,
    )

    assert kept == ONE.scaling


def test_the_ends_of_a_range_stand_for_none_and_for_all():
    low, high = (apply(MANY, (share,) * 5).scaling for share in (0.0, 0.9))

    assert (low.retention_s, low.panic, low.scale_down_delay_s) == (0.0, False, 0)
    assert (high.panic, high.target_utilization) == (True, 1.0)


def play(sweep: Sweep) -> list[list[Seen]]:
    """Answer all that is asked: what is cheap waits long, and half meet the goal."""
    rounds = []
    while choices := sweep.ask():
        seen = [
            Seen(
                choice=choice,
                cost_s=choice[0],
                wait_s=1 - choice[0] + choice[1],
                excess=max(0.0, 0.5 - choice[0]),
            )
            for choice in choices
        ]
        sweep.tell(seen)
        rounds.append(seen)
    return rounds


@pytest.mark.parametrize("wide", [2, 5])
@pytest.mark.parametrize("points", [8, 9, 64, 100])
def test_it_asks_for_as_many_as_it_may_and_the_same_each_time(wide, points):
    asked = play(Sweep(wide, points, seed=3))

    assert sum(map(len, asked)) == points
    assert asked == play(Sweep(wide, points, seed=3))
    assert asked[1:] != play(Sweep(wide, points, seed=4))[1:]
    assert asked[0] == play(Sweep(wide, points, seed=4))[0]


def test_a_closer_look_is_near_the_best_or_the_cheapest_that_meet_the_goal():
    first, *closer = play(Sweep(5, 80, seed=1))
    seen = list(first)
    for each in closer:
        pairs = [(one.cost_s, one.wait_s) for one in seen]
        best = [seen[place] for place in front(pairs)]
        good = sorted(seen, key=lambda one: (one.excess, one.cost_s))[:4]
        for one in each:
            assert all(0 <= share < 1 for share in one.choice)
            assert any(near(one.choice, other.choice) for other in (*best, *good))
        assert any(near(each[1].choice, other.choice) for other in good)
        seen += each


def near(one: Choice, other: Choice) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 0.25
