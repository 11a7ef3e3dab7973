from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.bucket import Bucket


@given(
    takes=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=50),
)
def test_who_waits_as_told_never_gets_more_than_rate_and_burst(
    takes: list[tuple[float, int]],
):
    bucket = Bucket(rate=10.0, burst=30.0, now=0.0)
    now = taken = 0.0

    for pause_s, count in takes:
        now += pause_s
        wait_s = bucket.take(count, now)
        taken += count
        now += wait_s

        assert taken <= 30.0 + 10.0 * now + 1e-6


def test_what_was_not_used_is_kept_up_to_the_burst():
    bucket = Bucket(rate=1.0, burst=2.0, now=0.0)

    assert bucket.take(2, 1000.0) == 0.0
    assert bucket.take(1, 1000.0) == 1.0
