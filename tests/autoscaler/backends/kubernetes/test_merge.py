"""What the replicas have that no activator has counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.merge import REPORTER, Merge
from autoscaler.backends.kubernetes.track import FRESH_S
from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Probe,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Address, ReplicaLoad, Sample, View

KEY = RevisionKey("prod", "iris-predictor")


def view(*addresses: tuple[str, bool], version: int = 7) -> View:
    return View(
        key=KEY,
        version=version,
        epoch=3,
        gate=GateSpec(),
        probe=Probe(),
        addresses=tuple(
            Address(replica=name, host="10.0.0.7", port=80, slots=-1, draining=drains)
            for name, drains in addresses
        ),
    )


VIEW = view(("a", False), ("b", False))


def said(
    name: str = "one",
    *,
    concurrency: float = 0.0,
    held: int = 0,
    in_flight: int = 0,
    requests: int = 0,
    replicas: tuple[ReplicaLoad, ...] = (),
) -> Sample:
    return Sample(
        key=KEY,
        reporter=name,
        span_s=1.0,
        concurrency=concurrency,
        requests=requests,
        held=held,
        in_flight=in_flight,
        epoch=3,
        version=7,
        replicas=replicas,
    )


def gauged(busy: float, ended: float | None = None) -> Reading:
    return Reading(engine="vLLM", busy=busy, ended=ended)


def counted(seconds: float, ended: float) -> Reading:
    return Reading(engine="MLServer", seconds=seconds, ended=ended)


COUNTS = st.integers(0, 50)


@given(
    st.lists(st.tuples(COUNTS, COUNTS), max_size=4),
    st.lists(st.floats(0, 100), max_size=4),
)
def test_all_reporters_together_say_held_and_the_larger_of_both_counts(
    activators, replicas
):
    merge = Merge()
    samples = [
        said(str(n), concurrency=held + flying, held=held, in_flight=flying)
        for n, (held, flying) in enumerate(activators)
    ]
    for sample in samples:
        merge.heard(sample, 10.0)
    for number, busy in enumerate(replicas):
        merge.read(str(number), gauged(busy), 10.2)

    scraped = merge.sample(VIEW, map(str, range(len(replicas))), 10.5)

    assert scraped is not None
    held = sum(held for held, _ in activators)
    flying = sum(flying for _, flying in activators)
    total = scraped.concurrency + sum(sample.concurrency for sample in samples)
    assert total == pytest.approx(held + max(sum(replicas), flying))


READINGS = st.builds(
    gauged, st.floats(0, 1e6), st.none() | st.floats(0, 1e9)
) | st.builds(counted, st.floats(0, 1e9), st.floats(0, 1e9))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from("abc"), READINGS),
        st.tuples(
            st.just("heard"),
            st.sampled_from(["one", "two"]),
            st.tuples(st.floats(0, 1e6), COUNTS, COUNTS, COUNTS),
        ),
        st.tuples(st.just("left"), st.sampled_from(["one", "two"]), st.none()),
        st.tuples(st.just("failed"), st.sampled_from("abc"), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 3.0, 70.0]), st.none()),
        st.tuples(st.just("tell"), st.sets(st.sampled_from("abc")), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_sample_is_negative_and_none_is_told_while_a_page_is_missing(steps):
    merge, now, read_at = Merge(), 0.0, {}

    for what, who, value in steps:
        if what == "read":
            merge.read(who, value, now)
            read_at[who] = now
        elif what == "heard":
            concurrency, held, flying, requests = value
            merge.heard(
                said(
                    who,
                    concurrency=concurrency,
                    held=held,
                    in_flight=flying,
                    requests=requests,
                ),
                now,
            )
        elif what == "left":
            merge.left(who)
        elif what == "failed":
            merge.failed(who, "refused")
        elif what == "wait":
            now += who
        else:
            sample = merge.sample(VIEW, sorted(who), now)
            known = all(now - read_at.get(each, -math.inf) <= FRESH_S for each in who)
            assert (sample is not None) == known
            assert (merge.why_missing(who, now) == "") == known
            if sample is not None:
                assert merge.missing == math.inf
                assert 0 <= sample.concurrency < math.inf
                assert sample.requests >= 0
                assert sample.held == 0
                assert sample.in_flight == math.ceil(sample.concurrency)
                assert 0 < sample.span_s <= 1.5
                assert all(
                    each.in_flight >= 0 <= each.idle_s for each in sample.replicas
                )
            else:
                assert merge.missing <= now


def test_it_bears_the_reporters_name_and_the_view_that_it_goes_with():
    sample = Merge().sample(VIEW, (), 1.0)

    assert sample is not None
    assert (sample.reporter, sample.version, sample.epoch) == (REPORTER, 7, 3)


def test_an_activator_that_fell_silent_has_nothing_in_flight_to_take_off():
    """Its own sample is missing too, so what it sent is counted at the replica."""
    merge = Merge()
    merge.heard(said(concurrency=5.0, in_flight=5), 0.0)
    merge.read("a", gauged(5.0), 3.0)

    sample = merge.sample(VIEW, ["a"], 3.0)

    assert sample is not None
    assert sample.concurrency == 5.0


def test_requests_that_came_through_an_activator_are_not_counted_again_at_their_end():
    merge, ended = Merge(), 0.0
    seen = []
    for second in range(10):
        merge.heard(said(concurrency=2.0, in_flight=2, requests=20), second + 0.1)
        ended += 20.0
        merge.read("a", gauged(2.0, ended), second + 0.2)
        sample = merge.sample(VIEW, ["a"], second + 0.3)
        assert sample is not None
        seen.append(sample.requests)

    assert seen == [0] * 10


def test_requests_that_came_by_the_service_are_counted_when_they_end():
    merge, ended = Merge(), 100.0
    seen = []
    for second in range(20):
        merge.heard(said(concurrency=2.0, in_flight=2, requests=20), second + 0.1)
        merge.read("a", gauged(3.0, ended), second + 0.2)
        ended += 25.0
        sample = merge.sample(VIEW, ["a"], second + 0.3)
        assert sample is not None
        seen.append(sample.requests)

    assert sum(seen[-5:]) == 25


def test_what_ended_late_through_an_activator_is_taken_off_by_the_same_mean():
    """A steady load all of which goes through an activator leaves nothing over."""
    merge, now = Merge(), 0.0
    for second in range(60):
        now = float(second)
        merge.heard(said(concurrency=2.0, in_flight=2, requests=1), now)
        merge.read("a", counted(2.0 * second, second / 5.0), now)
        sample = merge.sample(VIEW, ["a"], now)

    assert sample is not None
    assert sample.concurrency == pytest.approx(0.0, abs=1e-9)


def test_a_replica_that_drains_beside_others_is_not_waited_for():
    merge = Merge()
    merge.read("a", gauged(2.0), 0.0)
    merge.read("b", gauged(3.0), 0.0)

    sample = merge.sample(view(("a", True), ("b", False)), ["a", "b"], 0.5)

    assert sample is not None
    assert [(each.replica, each.in_flight) for each in sample.replicas] == [
        ("a", 0),
        ("b", 3),
    ]


def test_the_last_one_is_waited_for_while_it_has_a_request():
    merge = Merge()
    merge.read("a", gauged(2.0), 0.0)

    sample = merge.sample(view(("a", True)), ["a"], 0.5)

    assert sample is not None
    assert sample.replicas == (ReplicaLoad(replica="a", in_flight=2, idle_s=0.0),)


def test_a_replica_has_only_what_activators_do_not_have_there():
    merge = Merge()
    there = ReplicaLoad(replica="a", in_flight=2, idle_s=0.0)
    merge.heard(said(concurrency=2.0, in_flight=2, replicas=(there,)), 0.0)
    merge.read("a", gauged(3.0), 0.0)

    sample = merge.sample(view(("a", False)), ["a"], 0.5)

    assert sample is not None
    assert sample.replicas[0].in_flight == 1


def test_gauges_are_evidence_of_idleness_at_once():
    merge = Merge()
    merge.read("a", gauged(0.0), 0.0)

    assert merge.keeps(timeout_s=0.0, finishes=False, now=0.5) == ""


def idle_for(seconds: int) -> Merge:
    merge = Merge()
    merge.read("a", counted(0.0, 0.0), 0.0)
    for second in range(1, seconds + 1):
        merge.read("a", counted(4.0, 4.0), float(second))
    return merge


@pytest.mark.parametrize(
    ("timeout_s", "finishes", "words"),
    [
        pytest.param(0.0, True, "no timeout", id="no bound on how long one may take"),
        pytest.param(
            5.0, False, "lifecycle.preStop", id="a pod that cuts requests off"
        ),
        pytest.param(30.0, True, "none has for 9 s", id="a window that is too short"),
        pytest.param(5.0, True, "", id="quiet for longer than any request may take"),
    ],
)
def test_counts_of_what_ended_are_evidence_only_over_the_longest_request(
    timeout_s, finishes, words
):
    why = idle_for(10).keeps(timeout_s, finishes, now=10.0)

    assert words in why
    assert bool(why) == bool(words)
    if words and "none has" not in words:
        assert "Gateway path" in why


def test_a_gap_begins_the_window_of_evidence_anew():
    merge = idle_for(10)
    merge.read("a", counted(4.0, 4.0), 15.0)

    assert "none has for 0 s" in merge.keeps(5.0, finishes=True, now=15.0)


def test_a_reason_for_a_missing_page_is_kept_until_it_is_read():
    merge = Merge()
    assert merge.why_missing(["a"], 0.0) == "a: not read yet"

    merge.failed("a", "port 8080 refuses")
    assert merge.sample(VIEW, ["a"], 1.0) is None
    assert merge.why_missing(["a"], 1.0) == "a: port 8080 refuses"
    assert merge.missing == 1.0

    merge.read("a", gauged(0.0), 2.0)
    assert merge.sample(VIEW, ["a"], 2.0) is not None
    assert merge.missing == math.inf


def test_a_replica_that_went_is_forgotten():
    merge = Merge()
    merge.read("a", counted(0.0, 0.0), 0.0)

    merge.keep(["b"])

    assert merge.keeps(0.0, finishes=False, now=0.0) == ""


SPEC = RevisionSpec(
    scaling=ScalingSpec(min_replicas=0, max_replicas=3, total_value=1.0, grace_s=0.0)
)


def lived(busy: list[float | None]) -> list[int]:
    """Return what a Fleet wants after each second of what the only replica has."""
    fleet, merge = Fleet(budget=Budget(), now=0.0), Merge()
    fleet.configure(KEY, SPEC, 0.0)
    fleet.observe(KEY, (Replica(id="a", host="10.0.0.7", port=80, ready=True),), 0.0)
    fleet.joined(REPORTER, 0.0)
    wants = []
    for second, load in enumerate(busy, 1):
        now = float(second)
        if load is not None:
            merge.read("a", gauged(load), now)
        sample = merge.sample(fleet.view(KEY), ["a"], now)
        if sample is not None:
            fleet.hear(sample, now)
        fleet.advance(now)
        fleet.take()
        wants.append(fleet.status(KEY).desired)
    return wants


def test_a_fleet_sleeps_by_pages_that_say_zero():
    assert lived([0.0] * 100)[-1] == 0


def test_a_fleet_does_not_sleep_while_pages_are_missing():
    assert lived([0.0] * 30 + [None] * 300)[-1] == 1


def test_a_fleet_scales_up_by_load_that_no_activator_saw():
    assert max(lived([0.0] * 5 + [3.0] * 30)) == 3


def test_a_fleet_does_not_sleep_while_a_page_shows_a_request():
    assert set(lived([1.0] * 200)) <= {1, 2}


def test_what_a_leaving_replica_finishes_counts_while_its_page_says_so():
    merge = Merge()
    seen = view(("new", False))
    merge.read("new", gauged(2.0), 10.0)
    merge.read("old", gauged(5.0), 10.0)

    with_old = merge.sample(seen, ["new"], 10.5, ["old"])
    assert with_old is not None
    assert with_old.concurrency == 7.0

    # Its page is gone with it, and nothing is missing.
    merge.read("new", gauged(2.0), 14.0)
    without = merge.sample(seen, ["new"], 14.5, ["old"])
    assert without is not None
    assert without.concurrency == 2.0
