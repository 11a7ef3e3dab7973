from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.hold import Hold
from activator.telemetry import Durations


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_each_wait_is_counted_once_and_all_add_up(waits):
    durations, now = Durations((1.0,)), 5.0
    hold = Hold(durations)
    for pause_s, wait_s in waits:
        now += pause_s
        hold.begin(now)
        now += wait_s
        hold.end(now)
        hold.end(now + 99.0)

    assert hold.took_s == durations.sum_s == sum(wait_s for _, wait_s in waits)
    assert sum(durations.counts) == len(waits)
