from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import ReplicaLoad, Sample
from autoscaler.core.reports import Reports

IRIS = RevisionKey("default", "iris")


def load(replica: str, in_flight: int = 0, idle_s: float = 0.0) -> ReplicaLoad:
    return ReplicaLoad(replica=replica, in_flight=in_flight, idle_s=idle_s)


def sample(
    reporter: str = "a",
    *loads: ReplicaLoad,
    span_s: float = 1.0,
    held: int = 0,
    version: int = 1,
) -> Sample:
    in_flight = sum(each.in_flight for each in loads)
    return Sample(
        key=IRIS,
        reporter=reporter,
        span_s=span_s,
        concurrency=float(held + in_flight),
        requests=0,
        held=held,
        in_flight=in_flight,
        epoch=0,
        version=version,
        replicas=loads,
    )


def test_a_level_is_known_when_all_have_said_it_just_now():
    reports = Reports()
    reports.heard(sample("a", load("r1", in_flight=2), held=1), now=10.0)

    assert reports.level(["a"], now=11.5) == 3
    assert reports.requests() == 3
    assert reports.level(["a"], now=11.6) < 0
    assert reports.level(["a", "b"], now=10.0) < 0
    assert reports.since(["a"]) == 9.0
    assert reports.since(["a", "b"]) == inf


def told_each_second(seconds: range, *, but: tuple[int, ...] = ()) -> Reports:
    """Return reports of one reporter that told nothing in some of the seconds."""
    reports = Reports()
    for second in seconds:
        if second not in but:
            reports.heard(sample("a", load("r1")), now=float(second))
    return reports


def test_a_window_is_covered_when_each_second_of_it_was_told():
    reports = told_each_second(range(1, 61))

    assert reports.covers(["a"], since=0.0, now=60.0)
    assert not reports.covers(["a"], since=-1.0, now=60.0)


@given(st.integers(2, 59))
def test_a_second_without_a_report_is_missing_until_it_has_left_the_window(gap):
    reports = told_each_second(range(1, 121), but=(gap,))

    assert not reports.covers(["a"], since=gap - 1.0, now=120.0)
    assert reports.covers(["a"], since=float(gap), now=120.0)


def test_who_has_never_been_heard_covers_nothing():
    reports = told_each_second(range(1, 61))

    assert not reports.covers(["a", "b"], since=59.0, now=60.0)


def test_who_should_have_reported_by_now_covers_nothing():
    reports = told_each_second(range(1, 61))

    assert reports.covers(["a"], since=0.0, now=61.5)
    assert not reports.covers(["a"], since=0.0, now=61.6)


def test_how_long_a_replica_was_idle_heals_reports_that_were_lost():
    reports = Reports()

    reports.heard(sample("a", load("r1", idle_s=200.0), load("r2", idle_s=70.0)), 100.0)

    assert reports.covers(["a"], since=30.0, now=100.0)
    assert not reports.covers(["a"], since=29.0, now=100.0)


@pytest.mark.parametrize(
    "busy",
    [
        pytest.param(sample("a", load("r1", idle_s=70.0), held=1), id="one is held"),
        pytest.param(
            sample("a", load("r1", 1), load("r2", idle_s=70.0)), id="one is in flight"
        ),
        pytest.param(sample("a"), id="there is no replica"),
    ],
)
def test_who_has_requests_or_no_replica_vouches_for_its_span_only(busy):
    reports = Reports()

    reports.heard(busy, now=100.0)

    assert reports.covers(["a"], since=99.0, now=100.0)
    assert not reports.covers(["a"], since=98.9, now=100.0)


@pytest.mark.parametrize("requests_or_load", ["requests", "concurrency"])
def test_a_request_that_has_ended_within_the_span_is_no_idleness(requests_or_load):
    fast = Sample(
        key=IRIS,
        reporter="a",
        span_s=1.0,
        concurrency=0.5 if requests_or_load == "concurrency" else 0.0,
        requests=1 if requests_or_load == "requests" else 0,
        held=0,
        in_flight=0,
        epoch=0,
        version=1,
        replicas=(load("r1", idle_s=70.0),),
    )
    reports = Reports()

    reports.heard(fast, now=100.0)

    assert not reports.covers(["a"], since=90.0, now=100.0)


def test_neighbouring_spans_may_lie_half_a_second_apart():
    near, far = Reports(), Reports()
    near.heard(sample(), now=1.0)
    far.heard(sample(), now=1.0)

    near.heard(sample(), now=2.5)
    far.heard(sample(), now=2.6)

    assert near.covers(["a"], since=0.0, now=2.5)
    assert not far.covers(["a"], since=0.0, now=2.6)


def test_all_of_a_first_sample_is_new_and_nothing_of_one_that_is_repeated():
    reports = Reports()

    assert reports.heard(sample(), now=10.0) == 1.0
    assert reports.heard(sample(), now=10.0) == 0.0


def test_a_late_sample_brings_all_of_its_own():
    reports = Reports()
    reports.heard(sample(), now=10.0)

    assert reports.heard(sample(), now=12.9) == 1.0


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0.0, max_value=3.0), st.sampled_from([0.5, 1.0, 3.0])
        ),
        max_size=40,
    )
)
def test_no_second_counts_twice_and_none_that_has_not_been(calls):
    reports = Reports()
    now, total = 100.0, 0.0
    for wait_s, span_s in calls:
        now += wait_s
        new_s = reports.heard(sample(span_s=span_s), now)
        total += new_s

        assert 0.0 <= new_s <= span_s + 1e-9
        # A first sample brings the seconds before it.
        assert total <= now - 100.0 + 3.0 + 1e-6


@given(st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5]), min_size=1))
def test_a_link_that_gets_slower_and_faster_again_loses_no_second(steps):
    reports = Reports()
    reports.heard(sample(), now=100.0)
    total, now, lag = 0.0, 0.0, 0.0
    for second, step in enumerate(steps, start=101):
        lag = min(2.0, max(0.0, lag + step))
        # A link keeps the order.
        now = max(now, second + lag)
        total += reports.heard(sample(), now)

    assert total == pytest.approx(len(steps), abs=1e-6)
    assert reports.covers(["a"], since=99.0, now=now)


def test_the_next_report_is_due_after_half_a_span_of_grace():
    reports = Reports()
    reports.heard(sample("fast", span_s=0.2), now=10.0)
    reports.heard(sample("slow", span_s=4.0), now=10.0)

    assert not reports.silent(["fast", "slow"], now=11.5)
    assert reports.silent(["fast"], now=11.6)
    assert not reports.silent(["slow"], now=16.0)
    assert reports.silent(["slow"], now=16.1)


def test_who_has_never_been_heard_is_silent():
    assert Reports().silent(["a"], now=0.0)
    assert not Reports().silent([], now=0.0)


@pytest.mark.parametrize(
    ("said", "now", "idle"),
    [
        pytest.param(sample(), 10.0, True, id="nothing"),
        pytest.param(sample(held=1), 10.0, False, id="one is held"),
        pytest.param(sample("a", load("r1", 1)), 10.0, False, id="one is in flight"),
        pytest.param(sample(), 11.6, False, id="nothing, but too long ago"),
        pytest.param(sample("b"), 10.0, False, id="only another has spoken"),
    ],
)
def test_idle_is_what_all_have_just_said(said, now, idle):
    reports = Reports()

    reports.heard(said, now=10.0)

    assert reports.idle(["a"], now) is idle


def test_who_is_held_wants_until_the_holder_was_silent_for_ten_seconds():
    reports = Reports()

    reports.heard(sample(held=2), now=10.0)

    assert reports.held() == 2
    assert reports.wants(now=20.0)
    assert not reports.wants(now=20.1)


def test_a_knock_wants_before_any_sample_and_holds_at_least_one():
    reports = Reports()

    reports.knocked("a", 0, now=10.0)

    assert reports.held() == 1
    assert reports.wants(now=20.0)
    assert not reports.wants(now=20.1)
    assert not reports.idle(["a"], now=10.0)
    assert not reports.covers(["a"], since=9.0, now=10.0)


def test_a_sample_says_better_than_the_knock_before_it():
    reports = Reports()
    reports.knocked("a", 3, now=10.0)

    reports.heard(sample(), now=10.5)

    assert not reports.wants(now=10.5)
    assert reports.held() == 0


def test_who_was_refused_wants_no_more():
    reports = Reports()
    reports.heard(sample("a", load("r1", 4), held=2), now=10.0)

    reports.refused()

    assert not reports.wants(now=10.0)
    assert (reports.held(), reports.in_flight()) == (0, 4)


def test_requests_add_up_over_the_reporters():
    reports = Reports()
    reports.heard(sample("a", load("r1", 2), held=1), now=10.0)
    reports.heard(sample("b", load("r1", 3), load("r2", 1), held=4), now=10.0)

    assert (reports.held(), reports.in_flight()) == (5, 6)


def test_a_reporter_that_left_is_forgotten():
    reports = Reports()
    reports.heard(sample("a", load("r1", 2), held=1), now=10.0)

    reports.forget("a")
    reports.forget("nobody")

    assert (reports.held(), reports.in_flight()) == (0, 0)
    assert not reports.wants(now=10.0)
    assert reports.silent(["a"], now=10.0)


def test_a_replica_was_used_when_the_last_of_the_reporters_used_it():
    reports = Reports()
    reports.heard(sample("a", load("r1", idle_s=5.0), load("r2", 1)), now=10.0)
    reports.heard(sample("b", load("r1", idle_s=3.0), load("r2", 2)), now=11.0)
    reports.knocked("c", 1, now=11.0)

    assert reports.uses() == {"r1": (0, 8.0), "r2": (3, 11.0)}


@pytest.mark.parametrize(
    ("said", "empty"),
    [
        pytest.param(sample("a", load("r1"), version=7), True, id="seen, and nothing"),
        pytest.param(sample("a", version=8), True, id="it knows of no such replica"),
        pytest.param(
            sample("a", load("r1"), load("r2", 1), version=7), True, id="at another"
        ),
        pytest.param(sample("a", load("r1", 1), version=7), False, id="one in flight"),
        pytest.param(sample("a", load("r1"), version=6), False, id="an older view"),
        pytest.param(sample("b", load("r1"), version=7), False, id="another reporter"),
    ],
)
def test_a_replica_is_empty_by_the_word_of_who_has_seen_the_view(said, empty):
    reports = Reports()

    reports.heard(said, now=10.0)

    assert reports.empty("a", "r1", 7) is empty


def test_a_knock_empties_no_replica():
    reports = Reports()

    reports.knocked("a", 1, now=10.0)

    assert not reports.empty("a", "r1", 0)
