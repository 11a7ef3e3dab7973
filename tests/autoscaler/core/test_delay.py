from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.delay import Peaks, expires, highest, push
from tests.vectors.sections import section


@pytest.mark.parametrize("case", section("max_window"), ids=lambda case: case["name"])
def test_the_highest_of_a_window_is_knatives(case: dict[str, Any]):
    peaks: Peaks = ()
    found = []
    for index, value in zip(case["indices"], case["values"], strict=True):
        peaks = push(peaks, index, value, case["size"])
        found.append(peaks[0][1])

    assert found == case["expect_current"]


@pytest.mark.parametrize(
    "case", section("max_time_window"), ids=lambda case: case["name"]
)
def test_the_highest_over_time_is_knatives(case: dict[str, Any]):
    # Ours has a grain of 2 s: the case's grain of 1 s is the same at half the speed.
    assert case["granularity_s"] == 1
    peaks: Peaks = ()
    wanted = 0
    for t, value in case["records"]:
        peaks, wanted = highest(peaks, value, 2 * case["duration_s"], now=2.0 * t)

    assert wanted == case["expect_current"]


@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1),
    size=st.integers(1, 6),
)
def test_the_highest_is_the_maximum_of_what_is_not_too_old(
    steps: list[tuple[int, int]], size: int
):
    peaks: Peaks = ()
    history: list[tuple[int, int]] = []
    index = 0
    for ahead, value in steps:
        index += ahead
        history.append((index, value))
        peaks = push(peaks, index, value, size)

        assert peaks[0][1] == max(v for at, v in history if index - at < size)
        assert len(peaks) <= size


@given(
    values=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    delay_s=st.integers(1, 15),
    begin=st.integers(0, 9),
)
def test_the_highest_is_so_until_it_expires(
    values: list[int], delay_s: int, begin: int
):
    peaks: Peaks = ()
    most = now = 0
    for now, value in enumerate(values, begin):
        peaks, most = highest(peaks, value, delay_s, now)

    until = expires(peaks, delay_s)

    for later in range(now, now + 20):
        assert (highest(peaks, 0, delay_s, later)[1] == most) is (later < until)
