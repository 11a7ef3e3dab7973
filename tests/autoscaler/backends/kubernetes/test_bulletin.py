from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.bulletin import Bulletin, Note, cut
from autoscaler.backends.kubernetes.managed import Reference

ISVC = "serving.kserve.io/v1beta1"


def about(name="iris", **more):
    return Reference(
        api_version=ISVC, kind="InferenceService", namespace="lab", name=name, **more
    )


def note(message="it sleeps", name="iris", reason="Slept"):
    return Note(about=about(name), reason=reason, message=message, warning=False)


def bulletin(seed=1):
    return Bulletin(random.Random(seed).random)


def write_all(its, now, until=float("inf")):
    """Write what is due by *until*, at once each; return (name, count, time)."""
    done = []
    while (at := its.wake_at(now)) <= until and at != float("inf"):
        now = at
        series = its.take(now)
        its.written(series, series.count, now)
        done.append((series.name, series.count, now))
    return done


def test_the_same_again_is_a_count_on_the_same_event():
    its = bulletin()
    its.say(note(), 0.0, 1000.0)
    its.say(note(), 0.0, 1000.0)
    ((name, count, _),) = write_all(its, 0.0)
    its.say(note(), 599.0, 1599.0)

    assert count == 2
    assert [each[:2] for each in write_all(its, 599.0)] == [(name, 3)]


def test_the_same_after_ten_minutes_and_all_that_differs_are_events_of_their_own():
    its = bulletin()
    its.say(note(), 0.0, 0.0)
    its.say(note("it wakes"), 0.0, 0.0)
    its.say(note(reason="Woken"), 0.0, 0.0)
    its.say(note(name="other"), 0.0, 0.0)
    its.say(note(), 600.0, 600.0)

    written = write_all(its, 600.0)

    assert len({name for name, _, _ in written}) == 5
    assert {count for _, count, _ in written} == {1}


def test_one_that_is_said_all_the_time_is_counted_once_a_minute_and_in_full():
    its = bulletin()
    written = []
    for second in range(600):
        its.say(note(), float(second), 0.0)
        written += write_all(its, float(second), float(second))
    written += write_all(its, 600.0)

    assert written[-1][1] == 600
    assert len(written) <= 2 + 600 / 60 + 1
    assert its.dropped == 0


def test_an_object_has_twenty_five_events_and_then_one_every_five_minutes():
    its = bulletin()
    for number in range(40):
        its.say(note(f"{number}"), 0.0, 0.0)
    its.say(note("of another", name="other"), 0.0, 0.0)
    assert len(write_all(its, 0.0)) == 25 + 1
    assert its.dropped == 15

    for number in range(40, 50):
        its.say(note(f"{number}"), 300.0, 0.0)
    assert len(write_all(its, 300.0)) == 1


def test_repeats_cost_an_object_nothing():
    its = bulletin()
    for _ in range(500):
        its.say(note(), 0.0, 0.0)
    its.say(note("news"), 0.0, 0.0)

    assert {count for _, count, _ in write_all(its, 0.0)} == {500, 1}


def test_of_too_much_the_oldest_is_dropped_and_counted_and_may_be_said_again():
    its = bulletin()
    for number in range(1300):
        its.say(note(name=f"isvc-{number}"), 0.0, 0.0)
    assert its.dropped == 300
    its.say(note(name="isvc-0"), 1.0, 0.0)

    names = [name.rsplit(".", 1)[0] for name, _, _ in write_all(its, 1.0)]

    assert names == [*(f"isvc-{number}" for number in range(301, 1300)), "isvc-0"]
    assert its.dropped == 301


def test_a_burst_is_written_at_a_bounded_rate():
    its = bulletin()
    for number in range(1000):
        its.say(note(name=f"isvc-{number}"), 0.0, 0.0)

    times = [at for _, _, at in write_all(its, 0.0)]

    assert times == sorted(times)
    assert times[99] == 0.0
    assert 89.0 < times[-1] < 91.0


def test_a_count_that_grows_while_it_is_written_is_written_again():
    its = bulletin()
    its.say(note(), 0.0, 0.0)
    series = its.take(0.0)
    its.say(note(), 0.1, 0.0)
    its.written(series, 1, 0.2)

    assert [count for _, count, _ in write_all(its, 0.2)] == [2]


def test_what_failed_vanished_or_was_given_up_can_be_said():
    its = bulletin()
    its.say(note(), 0.0, 0.0)
    series = its.take(0.0)
    its.failed(series, 0.0)
    assert its.take(0.0) is series
    its.written(series, 1, 0.0)
    its.vanished(series, 1.0)
    assert its.take(1.0).written == 0
    its.given_up(series)
    its.say(note(), 2.0, 0.0)

    assert its.take(2.0) is not series


@given(
    said=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 400)),
        max_size=60,
    )
)
def test_all_that_was_said_is_written_or_counted_as_dropped(said):
    its = bulletin()
    counts: dict[str, int] = {}
    now = 0.0
    for message, name, pause in said:
        now += pause
        its.say(note(f"{message}", name=f"isvc-{name}"), now, 0.0)
        counts.update({n: c for n, c, _ in write_all(its, now, now)})
    counts.update({n: c for n, c, _ in write_all(its, now)})

    assert sum(counts.values()) + its.dropped == len(said)


@given(message=st.text(), most=st.integers(3, 40))
def test_a_cut_fits_and_is_what_it_was_where_that_fits(message, most):
    found = cut(message, most)

    assert len(found.encode()) <= most
    if len(message.encode(errors="replace")) <= most:
        assert found == message.encode(errors="replace").decode()


def test_memory_is_bounded_by_what_is_remembered():
    its = bulletin()
    for number in range(20_000):
        its.say(note(name=f"isvc-{number}"), float(number), 0.0)
        write_all(its, float(number), float(number))

    assert len(its._series) <= 600
    assert len(its._objects) <= 4096
