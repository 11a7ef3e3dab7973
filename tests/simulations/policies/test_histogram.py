from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.policies.histogram import Histogram

HOUR = 3_600.0


def seen(*idle: float, range_s: float = 4 * HOUR) -> Histogram:
    rule = Histogram(range_s)
    for each in idle:
        rule.saw(each)
    return rule


def test_who_knows_nothing_keeps_for_the_whole_range():
    assert seen().windows(37.0) == (0.0, 4 * HOUR)


def test_a_timer_is_met_shortly_before_it_fires():
    before, keeps = seen(*[1_800.0] * 30).windows(37.0)

    assert before == pytest.approx(0.9 * 1_800)
    assert before + keeps == pytest.approx(1.1 * 1_860)


def test_the_earliest_twentieth_and_the_latest_hundredth_are_given_up():
    rule = seen(*[60.0] * 4, *[1_200.0] * 195, 3_000.0)

    before, keeps = rule.windows(37.0)

    assert before == pytest.approx(0.9 * 1_200)
    assert before + keeps == pytest.approx(1.1 * 1_260)


def test_flat_counts_say_nothing():
    rule = seen(*[60.0 * minute + 1 for minute in range(60)], range_s=HOUR)

    assert not rule.crowded
    assert rule.windows(37.0) == (0.0, HOUR)


def test_too_long_for_the_range_is_predicted_from_the_last_ten():
    rule = seen(*[600.0] * 9, *[9_000.0] * 4, *[10_000.0] * 6, range_s=HOUR)

    assert rule.windows(37.0) == pytest.approx((0.85 * 10_000, 0.3 * 10_000))


def test_half_of_all_out_of_range_is_enough_and_less_is_not():
    assert seen(60.0, 9_000.0, range_s=HOUR).windows(37.0)[0] > HOUR
    assert seen(60.0, 60.0, 9_000.0, range_s=HOUR).windows(37.0)[0] < HOUR


@given(st.lists(st.floats(0, 5 * HOUR)))
def test_windows_are_times_and_what_is_in_range_is_kept_no_longer_than_a_tenth_more(
    idle,
):
    before, keeps = seen(*idle).windows(37.0)

    assert before >= 0
    assert keeps >= 0
    out = sum(each >= 4 * HOUR for each in idle)
    if out * 2 < len(idle):
        assert before + keeps <= 1.1 * 4 * HOUR + 1e-6
