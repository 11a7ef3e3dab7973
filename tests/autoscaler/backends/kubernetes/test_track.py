"""What one replica's readings amount to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.track import FRESH_S, Track


def counted(seconds: float, ended: float) -> Reading:
    return Reading(engine="KServe's SDK", seconds=seconds, ended=ended)


def gauged(busy: float, ended: float | None = None) -> Reading:
    return Reading(engine="vLLM", busy=busy, ended=ended)


def test_a_gauge_is_the_load_as_it_is():
    track = Track()
    track.read(gauged(3.0), 10.0)

    assert track.load(10.5) == (3.0, 0.0)


def test_a_steady_stream_of_ended_requests_is_its_mean_concurrency():
    """20 requests a second that take 0.1 s each are two at once."""
    track = Track()
    for second in range(30):
        track.read(counted(2.0 * second, 20.0 * second), float(second))

    assert track.load(29.0) == (pytest.approx(2.0), 1.0)


def test_a_long_request_is_averaged_over_the_time_that_it_took():
    """One of 20 s is one at once for 20 s, and never twenty."""
    track = Track()
    for second in range(10):
        track.read(counted(0.0, 0.0), float(second))
    track.read(counted(20.0, 1.0), 10.0)

    assert track.load(10.0) == (pytest.approx(1.0), 20.0)


def test_a_server_that_restarts_is_counted_from_zero_and_never_below():
    track = Track()
    track.read(counted(50.0, 100.0), 0.0)
    track.read(counted(51.0, 101.0), 1.0)

    assert track.read(counted(0.5, 2.0), 2.0) == 2.0
    assert track.load(2.0)[0] == pytest.approx(0.5)


def test_it_is_quiet_since_the_last_request_that_was_seen_or_ended():
    track = Track()
    track.read(gauged(1.0, 0.0), 0.0)
    track.read(gauged(0.0, 0.0), 1.0)
    track.read(gauged(0.0, 1.0), 2.0)
    track.read(gauged(0.0, 1.0), 3.0)

    assert track.quiet_s(3.5) == 1.5


def test_nothing_is_known_of_the_time_before_a_gap():
    track = Track()
    for second in range(10):
        track.read(gauged(0.0), float(second))
    assert track.quiet_s(9.0) == 9.0

    assert track.quiet_s(9.0 + FRESH_S + 0.1) == 0.0
    track.read(gauged(0.0), 20.0)
    assert track.quiet_s(20.0) == 0.0


def test_another_engine_at_the_same_place_begins_anew():
    track = Track()
    track.read(counted(1.0, 1.0), 0.0)

    assert track.read(gauged(0.0, 5.0), 1.0) == 0.0
    assert track.load(1.0) == (0.0, 0.0)


AMOUNTS = st.floats(0, 1e12)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0, 70.0]),
            st.builds(counted, AMOUNTS, AMOUNTS)
            | st.builds(gauged, st.floats(0, 1e6), st.none() | AMOUNTS),
        ),
        max_size=30,
    )
)
def test_whatever_is_read_no_load_and_no_count_is_negative_or_without_bound(readings):
    track, now = Track(), 0.0

    assert track.load(now) == (0.0, 0.0)
    for after_s, reading in readings:
        now += after_s
        ended = track.read(reading, now)
        load, over_s = track.load(now)
        assert ended >= 0
        assert 0 <= load <= 1e6
        assert 0 <= over_s <= 60
        assert 0 <= track.quiet_s(now) <= now
        assert math.isfinite(ended)
