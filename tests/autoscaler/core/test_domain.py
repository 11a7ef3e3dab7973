from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Needs,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)

WINDOWS = st.integers(min_value=6, max_value=3600)


def test_a_revision_is_named_as_people_name_it():
    assert str(RevisionKey("production", "iris-predictor")) == (
        "production/iris-predictor"
    )


def test_revisions_are_ordered_by_namespace_then_name():
    keys = [RevisionKey("b", "a"), RevisionKey("a", "b"), RevisionKey("a", "a")]

    assert [str(key) for key in sorted(keys)] == ["a/a", "a/b", "b/a"]


@pytest.mark.parametrize(
    ("total", "utilization", "target"),
    [
        pytest.param(100.0, 0.7, 70.0, id="seventy of a hundred"),
        pytest.param(1.0, 1.0, 1.0, id="one request at a time"),
        pytest.param(0.001, 0.5, 0.01, id="never less than a hundredth"),
    ],
)
def test_the_target_is_a_share_of_what_a_replica_can_take(total, utilization, target):
    spec = ScalingSpec(total_value=total, target_utilization=utilization)

    assert spec.target_value == target


@pytest.mark.parametrize(
    ("stable_s", "percentage", "panic_s"),
    [
        pytest.param(60, 10.0, 6, id="a tenth of a minute"),
        pytest.param(15, 10.0, 2, id="a half counts up"),
        pytest.param(14, 10.0, 1, id="less than a half counts down"),
        pytest.param(6, 1.0, 1, id="never less than a second"),
        pytest.param(60, 100.0, 60, id="as long as the stable one"),
    ],
)
def test_the_panic_window_is_whole_seconds(stable_s, percentage, panic_s):
    spec = ScalingSpec(stable_window_s=stable_s, panic_window_percentage=percentage)

    assert spec.panic_window_s == panic_s


@given(WINDOWS, st.floats(min_value=1.0, max_value=100.0))
def test_the_panic_window_is_within_the_stable_one(stable_s, percentage):
    spec = ScalingSpec(stable_window_s=stable_s, panic_window_percentage=percentage)

    assert 1 <= spec.panic_window_s <= stable_s


@pytest.mark.parametrize(
    "fact",
    [ScalingSpec(), GateSpec(), Needs(), Budget(), RevisionSpec()],
    ids=lambda fact: type(fact).__name__,
)
def test_a_fact_cannot_be_changed(fact):
    for each in fields(fact):
        with pytest.raises(FrozenInstanceError):
            setattr(fact, each.name, None)

    assert fact == type(fact)()


def test_a_machine_is_not_limited_and_a_replica_needs_nothing_unless_said():
    assert (Budget().memory, Budget().gpus) == (None, None)
    assert (Needs().memory, Needs().gpus) == (0, 0)
