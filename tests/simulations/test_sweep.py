"""Every choice is settings that a document may have; a search repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import RevisionSpec, ScalingSpec
from simulations.outcome import Point
from simulations.sweep import apply, closer, dimensions, first

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


@pytest.mark.parametrize("spec", [ONE, MANY], ids=["one", "many"])
def test_a_closer_look_is_near_the_best_and_the_same_each_time(spec):
    choices = first(spec, 40)
    tried = [
        (choice, Point(settings={}, cost_s=choice[0], wait_s=1 - choice[0], cold=0.0))
        for choice in choices
    ]

    again = closer(spec, tried, 16, seed=3)

    assert again == closer(spec, tried, 16, seed=3)
    assert again != closer(spec, tried, 16, seed=4)
    for each in again:
        assert all(0 <= share < 1 for share in each)
        near = min(
            max(abs(a - b) for a, b in zip(each, choice, strict=True))
            for choice in choices
        )
        assert near <= 0.25
