from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.bucket import Bucket

asks = st.lists(st.integers(0, 400), max_size=80).map(sorted)


@given(asks=asks, most=st.integers(1, 9), each_s=st.sampled_from([0.5, 3.0, 50.0]))
def test_no_while_gives_more_than_what_fits_and_what_comes_back(asks, most, each_s):
    bucket = Bucket(most, each_s)
    given = [at for at in asks if bucket.take(float(at))]

    for first, begin in enumerate(given):
        for last, end in enumerate(given[first:], first):
            assert last - first + 1 <= most + (end - begin) / each_s


@given(asks=asks)
def test_a_token_can_be_had_exactly_from_when_it_says(asks):
    bucket = Bucket(3, 7.0)
    for at in asks:
        ready_at = bucket.ready_at(float(at))
        assert bucket.take(float(at)) == (ready_at <= at)
        if ready_at > at:
            assert not bucket.take(ready_at - 0.5)
