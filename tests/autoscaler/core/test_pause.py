"""Laws of how long to wait before another try."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.pause import pause_s


@given(
    st.integers(1, 10_000),
    st.floats(0.001, 10.0),
    st.floats(1.0, 1000.0),
    st.floats(0.0, 1.0),
)
def test_a_pause_grows_never_beyond_its_longest_nor_below_half_its_first(
    failures, first_s, times, uniform
):
    longest_s = first_s * times

    found = pause_s(failures, first_s, longest_s, uniform)

    assert first_s / 2 <= found <= longest_s
    assert found <= pause_s(failures + 1, first_s, longest_s, uniform)
    assert pause_s(failures, first_s, longest_s, 1.0) == 2 * pause_s(
        failures, first_s, longest_s, 0.0
    )


@given(st.floats(0.001, 10.0), st.integers(1, 20))
def test_it_doubles_with_each_failure_until_it_is_the_longest(first_s, failures):
    now_s = pause_s(failures, first_s, first_s * 2.0**failures, 1.0)

    assert pause_s(failures + 1, first_s, first_s * 2.0**failures, 1.0) == 2 * now_s
