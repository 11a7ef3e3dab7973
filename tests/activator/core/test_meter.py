from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.core.meter import Meter, nanoseconds

LIVES = st.lists(
    st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)).map(sorted), max_size=20
)


@given(LIVES, st.lists(st.integers(0, 10**18), max_size=5))
def test_readings_sum_to_the_sum_over_requests(lives, readings):
    meter = Meter()
    turns = sorted(
        [(begin, 0) for begin, _ in lives]
        + [(end, 1) for _, end in lives]
        + [(at, 2) for at in readings]
        + [(10**18, 3)]
    )
    total = finished = 0

    for at, what in turns:
        if what == 0:
            meter.arrived += 1
            meter.begin(at)
        elif what == 1:
            meter.end(at)
        else:
            reading = meter.read(at)
            total += reading.integral
            finished += reading.finished

    assert total == sum(end - begin for begin, end in lives)
    assert finished == len(lives)
    assert meter.level == 0


def test_a_reading_counts_who_came_and_who_went_since_the_one_before():
    meter = Meter()
    meter.arrived = 5
    meter.turned_away = 2
    for _ in range(3):
        meter.begin(0)
    meter.end(10)

    first = meter.read(20)
    meter.end(30)
    second = meter.read(40)

    assert (first.integral, first.arrived, first.finished) == (50, 5, 1)
    assert (second.integral, second.arrived, second.finished) == (30, 0, 1)


def test_a_moment_is_rounded_to_the_nearest_nanosecond():
    assert nanoseconds(1e-9 * 0.6) == 1
    assert nanoseconds(86_400 * 365.0) == 86_400 * 365 * 10**9
