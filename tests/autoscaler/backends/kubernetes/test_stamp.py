from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.raw import moment
from autoscaler.backends.kubernetes.stamp import stamp

MICROSECOND = 1e-6


@given(at=st.floats(0, 4e9))
def test_a_stamp_is_read_back_as_the_same_microsecond(at):
    assert abs(moment({"at": stamp(at)}, "at") - at) <= MICROSECOND


@given(times=st.lists(st.floats(0, 4e9), max_size=9))
def test_stamps_sort_as_their_times_do(times):
    assert [stamp(at) for at in sorted(times)] == sorted(stamp(at) for at in times)
