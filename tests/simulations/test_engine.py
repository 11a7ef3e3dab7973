from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.engine import Engine, Rank


def test_one_instant_goes_departures_arrivals_samples_ticks_expiries():
    engine, said = Engine(now=0.0), []
    note = lambda subject, now: said.append(subject)  # noqa: E731
    for rank in reversed(Rank):
        engine.at(5.0, rank, note, rank.name)
    engine.walk([5.0], lambda index, now: said.append("walked"))

    engine.run(until=5.0)

    assert said == ["DEPARTURE", "walked", "ARRIVAL", "SAMPLE", "TICK", "EXPIRY"]


def test_equals_happen_in_the_order_in_which_they_were_asked_for():
    engine, said = Engine(now=0.0), []
    for number in range(50):
        engine.at(1.0, Rank.TICK, lambda subject, now: said.append(subject), number)

    engine.run(until=1.0)

    assert said == list(range(50))


def test_what_an_event_asks_for_at_once_still_goes_by_rank():
    engine, said = Engine(now=0.0), []

    def tick(subject: str, now: float) -> None:
        said.append(subject)
        if subject == "first":
            engine.at(now, Rank.DEPARTURE, tick, "departure")
            engine.at(now, Rank.TICK, tick, "third")

    engine.at(1.0, Rank.TICK, tick, "first")
    engine.at(1.0, Rank.TICK, tick, "second")
    engine.run(until=1.0)

    assert said == ["first", "departure", "second", "third"]


def test_nothing_is_scheduled_in_the_past():
    engine = Engine(now=10.0)

    with pytest.raises(ValueError, match=r"an event at 9\.5 s, but it is 10\.0 s"):
        engine.at(9.5, Rank.TICK, lambda subject, now: None, None)


def test_a_run_ends_where_it_was_told_and_goes_on_from_there():
    engine, said = Engine(now=0.0), []
    engine.walk([1.0, 2.0, 3.0], lambda index, now: said.append((index, now)))
    engine.at(2.5, Rank.TICK, lambda subject, now: said.append((subject, now)), "tick")

    engine.run(until=2.0)
    assert (said, engine.now) == ([(0, 1.0), (1, 2.0)], 2.0)

    engine.run(until=9.0)
    assert (said[2:], engine.now) == ([("tick", 2.5), (2, 3.0)], 9.0)


def test_withdrawn_events_come_back_in_their_order_and_never_happen():
    engine, said = Engine(now=0.0), []

    def end(subject: int, now: float) -> None:
        said.append(subject)

    def other(subject: int, now: float) -> None:
        said.append(-subject)

    for number in (5, 1, 4, 2, 3):
        engine.at(float(number), Rank.DEPARTURE, end, number)
    engine.at(4.0, Rank.TICK, other, 4)

    assert engine.withdraw(end, lambda subject: subject % 2 == 0) == [2, 4]
    assert engine.withdraw(end, lambda subject: subject == 9) == []
    engine.run(until=10.0)

    assert said == [1, 3, -4, 5]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Rank)), max_size=40),
    st.lists(st.integers(0, 5), max_size=20),
)
def test_a_run_is_the_events_sorted_by_time_rank_and_sequence(events, arrivals):
    engine, said = Engine(now=0.0), []
    for number, (time, rank) in enumerate(events):
        engine.at(
            float(time),
            rank,
            lambda subject, now: said.append((now, *subject)),
            (rank, 1, number),
        )
    times = [float(time) for time in sorted(arrivals)]
    engine.walk(times, lambda index, now: said.append((now, Rank.ARRIVAL, 0, index)))

    engine.run(until=10.0)

    wanted = [(float(time), rank, 1, n) for n, (time, rank) in enumerate(events)]
    wanted += [(time, Rank.ARRIVAL, 0, n) for n, time in enumerate(times)]
    assert said == sorted(wanted)
