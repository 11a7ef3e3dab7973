from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.bucket import Bucket

asks = st.lists(st.integers(0, 400), max_size=80).map(sorted)


def got(bucket: Bucket, now: float) -> bool:
    """Take one token, if there is one."""
    return bucket.ready_at(now) <= now and bucket.take(1, now) == 0.0


@given(
    takes=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=50),
)
def test_who_waits_as_told_never_gets_more_than_rate_and_burst(
    takes: list[tuple[float, int]],
):
    bucket = Bucket(30, each_s=0.1)
    now = taken = 0.0

    for pause_s, count in takes:
        now += pause_s
        wait_s = bucket.take(count, now)
        taken += count
        now += wait_s

        assert taken <= 30.0 + 10.0 * now + 1e-6


def test_what_was_not_used_is_kept_up_to_the_burst():
    bucket = Bucket(2, each_s=1.0)

    assert bucket.take(2, 1000.0) == 0.0
    assert bucket.take(1, 1000.0) == 1.0


@given(asks=asks, most=st.integers(1, 9), each_s=st.sampled_from([0.5, 3.0, 50.0]))
def test_no_while_gives_more_than_what_fits_and_what_comes_back(asks, most, each_s):
    bucket = Bucket(most, each_s)
    given = [at for at in asks if got(bucket, float(at))]

    for first, begin in enumerate(given):
        for last, end in enumerate(given[first:], first):
            assert last - first + 1 <= most + (end - begin) / each_s


@given(asks=asks)
def test_a_token_can_be_had_exactly_from_when_it_says(asks):
    bucket = Bucket(3, 7.0)
    for at in asks:
        ready_at = bucket.ready_at(float(at))
        assert got(bucket, float(at)) == (ready_at <= at)
        if ready_at > at:
            assert not got(bucket, ready_at - 0.5)


@given(asks=asks)
def test_who_takes_what_is_not_there_waits_until_it_would_have_been(asks):
    bucket = Bucket(3, 7.0)
    for at in asks:
        ready_at = bucket.ready_at(float(at))
        assert bucket.take(1, float(at)) == ready_at - at
