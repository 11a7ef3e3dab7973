"""A real `fromzero up` and the simulation of its run: the same decisions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.likeness import Story, compare, steps
from benchmarks.played import SHORT, play
from benchmarks.replayed import simulated, told


def story(*waits: float, desired=((0.0, 1),), cold=()) -> Story:
    return Story(
        span_s=100.0,
        arrivals=np.arange(float(len(waits))),
        waits=np.array(waits),
        cold=np.array([number in cold for number in range(len(waits))]),
        desired=desired,
        replica_s=50.0,
        starts=3,
        failures=0,
        most=1,
    )


def test_a_run_is_as_it_is_itself():
    one = story(0.0, 0.5, 2.0, desired=steps([(1.0, 2), (9.0, 0)]), cold={1, 2})

    like = compare(one, one)

    assert (like.equal, like.near, like.lag_ticks, like.unmatched) == (1, 1, 0, 0)
    assert (like.precision, like.recall) == (1, 1)
    assert like.pearson == pytest.approx(1)
    assert (like.mape, like.bias_s, like.distance) == (0, 0, 0)


def test_a_change_that_comes_four_ticks_late_is_four_ticks_that_differ():
    one = story(0.0, desired=((10.1, 1),))
    late = story(0.0, desired=((18.1, 1),))

    like = compare(one, late)

    assert like.equal == pytest.approx(1 - 4 / 50)
    assert like.near == pytest.approx(1 - 4 / 14)  # Ticks from 2 s to 28 s.
    assert like.lag_ticks == pytest.approx(4)
    assert like.unmatched == 0


def test_a_change_of_one_only_is_matched_with_none():
    one = story(0.0, desired=((10.0, 1), (30.0, 0)))
    more = story(0.0, desired=((10.0, 1), (20.0, 2), (24.0, 1), (30.0, 0)))

    assert compare(one, more).unmatched == 2


def test_cold_starts_are_counted_by_request():
    like = compare(story(1.0, 1.0, 0.0, cold={0, 1}), story(1.0, 0.0, 1.0, cold={0, 2}))

    assert (like.both_cold, like.only_a_cold, like.only_b_cold) == (1, 1, 1)
    assert (like.neither_cold, like.precision, like.recall) == (0, 0.5, 0.5)


def test_only_waits_for_a_replica_count_as_errors():
    like = compare(story(0.01, 1.0, 2.0), story(0.09, 1.5, 2.0))

    assert like.mape == pytest.approx(0.25)
    assert like.bias_s == pytest.approx(0.25)


@pytest.mark.slow
def test_a_real_run_and_its_simulation_decide_alike():
    """Bounds are wide, as this runs on any machine; docs/validation.md has figures."""
    played = play(SHORT)
    real, _ = told(played)
    like = compare(real, simulated(played))

    assert real.sleeps >= 2
    assert len(real.desired) >= 8
    assert real.most >= 3
    assert real.failures == 1
    assert {status for _, status in played["asked"]} == {200}
    assert len(played["trace"]) == len(played["asked"])
    assert like.answered[0] == like.answered[1]
    assert like.equal >= 0.9
    assert min(like.recall, like.precision) >= 0.9
    assert abs(like.starts[0] - like.starts[1]) <= 1
    assert like.replica_s[1] == pytest.approx(like.replica_s[0], rel=0.1)
    assert like.quantiles[1][1] == pytest.approx(like.quantiles[1][0], rel=0.25)
