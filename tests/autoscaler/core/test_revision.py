from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.commands import Command, Decided, Scale, Tell
from autoscaler.core.domain import (
    Aggregation,
    Decision,
    GateSpec,
    Metric,
    Mode,
    Observation,
    Probe,
    Replica,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.messages import Address, ReplicaLoad, Sample, View
from autoscaler.core.revision import LONGEST_BACKOFF_S, Revision
from autoscaler.core.room import Yield
from autoscaler.core.zero import Phase
from tests.autoscaler.core.stage import IRIS, LLM, SLEEPY, spec

CRASH = StartFailure(reason="exit status 1", final=False)
NO_MODULE = StartFailure(reason="ModuleNotFoundError: vllm", final=True)


def revision(**changes) -> Revision:
    return Revision(LLM, spec(**changes), 0.0)


def picture(*names: str, ready: bool = True) -> tuple[Replica, ...]:
    return tuple(
        Replica(id=name, host="127.0.0.1", port=9000, ready=ready) for name in names
    )


def sample(
    in_flight: int = 0,
    *,
    reporter: str = "a",
    held: int = 0,
    requests: int = 0,
    span_s: float = 1.0,
    concurrency: float | None = None,
) -> Sample:
    load = ReplicaLoad(replica="r1", in_flight=in_flight, idle_s=0.0)
    return Sample(
        key=LLM, reporter=reporter, span_s=span_s, requests=requests, held=held,
        concurrency=float(in_flight + held) if concurrency is None else concurrency,
        in_flight=in_flight, epoch=0, version=1, replicas=(load,),
    )  # fmt: skip


def awake(*names: str, **changes) -> Revision:
    """Return a revision whose replicas serve, all of it said."""
    of = revision(**changes)
    of.adopt(picture(*(names or ("r1",))), 1.0)
    saying(of, 1.0)
    return of


def saying(of: Revision, now: float) -> list[Command]:
    commands: list[Command] = []
    of.say(commands, now)
    return commands


def views(commands: list[Command]) -> list[View]:
    return [
        each.message
        for each in commands
        if isinstance(each, Tell) and isinstance(each.message, View)
    ]


def decided(replicas: int = 1) -> Decided:
    return Decided(
        key=LLM,
        seen=Observation(stable=5.0, panic=5.0, ready=1),
        decision=Decision(desired=replicas, mode=Mode.STABLE, reason="load"),
        replicas=replicas,
        reason="load",
    )


# The load.


def test_a_sample_of_a_second_is_one_second_of_load():
    of = revision()
    for second in range(1, 61):
        of.heard(sample(3), float(second))

    assert of.load.stable.average(60.0) == 3.0
    assert of.load.panic.average(60.0) == 3.0


def test_a_sample_that_is_repeated_counts_once():
    of = revision()
    of.heard(sample(3), 1.0)
    of.heard(sample(3), 1.0)

    assert of.load.stable.average(1.0) == 3.0


def test_the_loads_of_reporters_add_up():
    of = revision()
    of.heard(sample(3, reporter="a"), 1.0)
    of.heard(sample(2, reporter="b"), 1.0)

    assert of.load.stable.average(1.0) == 5.0


def test_part_of_a_second_is_part_of_its_load():
    of = revision()
    of.heard(sample(4, span_s=0.5), 1.2)
    of.heard(sample(2, span_s=0.5), 1.7)

    assert of.load.stable.average(1.9) == 3.0


@pytest.mark.parametrize("span_s", [2.0, 3.5, 6.0])
def test_a_sample_of_a_longer_span_counts_in_each_of_its_seconds(span_s: float):
    of = revision()
    of.heard(sample(1), 1.0)

    of.heard(sample(4, span_s=span_s), 1.0 + span_s)

    total = of.load.stable.average(1.0 + span_s) * int(1.0 + span_s)
    assert total == pytest.approx(1.0 + 4.0 * span_s, rel=0.01)
    assert max(load for _, load in of.load.stable.seconds()) <= 4.0 + 1.0


def test_a_span_longer_than_the_window_fills_the_window():
    of = revision(stable_window_s=6)

    of.heard(sample(4, span_s=100.0), 200.0)

    assert of.load.stable.average(200.0) == 4.0


def test_requests_per_second_are_counted_where_they_are_the_metric():
    of = revision(metric=Metric.RPS)
    of.heard(sample(1, requests=20, span_s=2.0), 2.0)

    assert of.load.stable.average(2.0) == 10.0


@pytest.mark.parametrize(
    ("said", "used_at"),
    [
        pytest.param(sample(), -inf, id="nothing"),
        pytest.param(sample(held=1, concurrency=0.0), 5.0, id="one is held"),
        pytest.param(sample(1, concurrency=0.0), 5.0, id="one is in flight"),
        pytest.param(sample(requests=1), 5.0, id="one came"),
        pytest.param(sample(concurrency=0.1), 5.0, id="one was there"),
    ],
)
def test_it_was_used_when_it_was_last_said_to_have_a_request(
    said: Sample, used_at: float
):
    of = revision()

    of.heard(said, 5.0)

    assert of.used_at == used_at


def test_load_is_known_after_a_whole_window_of_reports_since_its_birth():
    of = revision(stable_window_s=6)
    for second in range(-10, 6):
        of.heard(sample(1), float(second))
    assert not of.covered(["a"], 5.0)
    of.heard(sample(1), 6.0)

    assert of.covered(["a"], 6.0)
    assert not of.covered(["a", "b"], 6.0)
    assert not of.covered([], 6.0)


def test_idle_is_what_all_reporters_say_of_whom_there_are_some():
    of = revision()
    of.heard(sample(), 5.0)

    assert of.idle(["a"], 5.0)
    assert not of.idle(["a", "b"], 5.0)
    assert not of.idle([], 5.0)


# New settings.


def test_new_settings_keep_the_load():
    of = revision()
    for second in range(1, 61):
        of.heard(sample(3), float(second))

    of.configure(spec(stable_window_s=30, max_replicas=9), 60.0)

    assert of.load.stable.average(60.0) == 3.0
    assert (of.load.stable.window_s, of.load.panic.window_s) == (30, 3)
    assert of.scaling.max_replicas == 9
    assert of.born == 0.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Aggregation.LINEAR, Aggregation.WEIGHTED),
        (Aggregation.WEIGHTED, Aggregation.LINEAR),
    ],
)
def test_another_aggregation_keeps_the_load(before: Aggregation, after: Aggregation):
    of = revision(aggregation=before)
    for second in range(1, 121):
        of.heard(sample(3), float(second))

    of.configure(spec(aggregation=after), 120.0)

    assert of.load.stable.average(120.0) == pytest.approx(3.0, rel=0.01)
    assert of.load.panic.average(120.0) == pytest.approx(3.0, rel=0.01)


def test_another_metric_begins_anew():
    of = revision()
    for second in range(1, 61):
        of.heard(sample(3), float(second))

    of.configure(spec(metric=Metric.RPS), 60.0)

    assert of.load.stable.average(60.0) == 0.0
    assert of.born == 60.0
    assert not of.covered(["a"], 60.0)


def test_new_settings_give_a_failing_one_another_try():
    of = revision()
    of.failed(NO_MODULE, 1.0)
    assert of.refusal is not None

    of.configure(spec(max_replicas=9), 2.0)

    assert of.refusal is None
    assert of.backoff.until == -inf


def test_a_pin_outlives_new_settings_and_raises_a_minimum_of_zero_only():
    of = revision()
    of.pin(pinned=True)
    assert of.floor == 1

    of.configure(spec(min_replicas=2), 1.0)
    assert of.floor == 2
    of.configure(spec(), 2.0)
    assert of.floor == 1

    of.pin(pinned=False)
    assert of.floor == 0


def test_one_that_nobody_can_reach_keeps_nothing():
    assert revision(min_replicas=2, reachable=False).floor == 0


# Sleep and wakes.


def test_each_sleep_has_its_own_number():
    of = revision()
    of.woke()
    of.slept("idle for 60 s")
    assert of.epoch == 1

    of.woke()
    assert of.epoch == 2


def test_a_sleep_that_a_wake_has_named_too_early_has_another_number():
    of = awake()
    of.spent = True

    of.sleep("put to sleep by hand", 50.0)

    assert of.asleep
    assert of.epoch == 2
    assert of.rests == "put to sleep by hand"


def test_who_falls_asleep_forgets_its_load_and_who_called_it():
    of = awake()
    of.heard(sample(3), 2.0)
    of.called = True

    of.sleep("put to sleep by hand", 3.0)

    assert of.load.stable.average(3.0) == 0.0
    assert not of.called


def test_what_a_backend_has_is_taken_over_and_its_sleep_is_over():
    of = revision()

    of.adopt(picture("r1", "r2"), 5.0)

    assert (of.replicas.target, of.replicas.ready) == (2, 2)
    assert (of.asleep, of.epoch) == (False, 1)
    assert of.zero.phase is Phase.WAKING


def test_what_a_backend_has_of_one_that_is_to_start_is_its_start():
    of = revision(min_replicas=1, initial_scale=1)

    of.adopt(picture("r1"), 5.0)

    assert (of.replicas.target, of.epoch) == (1, 0)


def test_who_gives_all_it_has_sleeps_and_who_gives_some_does_not():
    all_of_it, some = awake(), awake("r1", "r2")

    all_of_it.give(Yield(key=LLM, to=IRIS, keep=0, busy=True), 5.0)
    some.give(Yield(key=LLM, to=IRIS, keep=1, busy=True), 5.0)

    assert all_of_it.asleep
    assert all_of_it.rests == "made room for default/iris"
    assert all_of_it.paused == "makes room for default/iris"
    assert not some.asleep
    assert some.paused == ""


def test_an_idle_one_that_makes_room_pauses_nobody():
    of = awake()

    of.give(Yield(key=LLM, to=IRIS, keep=0, busy=False), 5.0)

    assert of.paused == ""


# Failures.


def test_a_failure_that_may_pass_refuses_nobody_at_first():
    of = revision()

    of.failed(CRASH, 1.0)

    assert of.refusal is None
    assert of.backoff.until == 2.0


def test_a_final_failure_refuses_those_who_wait_until_it_is_tried_again():
    of = revision()
    of.reports.knocked("a", 3, 1.0)
    of.called = True

    of.failed(NO_MODULE, 1.0)

    assert of.refusal is not None
    assert of.refusal.reason == "ModuleNotFoundError: vllm"
    assert of.refusal.retry_after_s == 1.0
    assert of.reports.held() == 0
    assert not of.called


def test_one_that_is_refused_sleeps_unless_it_keeps_a_minimum():
    sleeper, kept = awake(), awake(min_replicas=1)

    sleeper.refuse("exit status 1", 10.0, 2.0)
    kept.refuse("exit status 1", 10.0, 2.0)

    assert (sleeper.asleep, sleeper.rests) == (True, "exit status 1")
    assert not kept.asleep


def test_a_failure_beside_one_that_serves_refuses_nobody():
    of = awake("r1")
    of.start(1, 2.0)
    of.replicas.died("r2")

    of.failed(NO_MODULE, 3.0)

    assert of.refusal is None


def test_what_was_refused_is_said_as_it_was_until_it_ends():
    of = revision()
    of.refuse("first", 11.0, 1.0)

    of.refuse("second", 20.0, 10.0)
    assert of.refusal is not None
    assert (of.refusal.reason, of.refused_until) == ("first", 11.0)

    of.refuse("third", 20.0, 11.0)
    assert of.refusal is not None
    assert (of.refusal.reason, of.refused_until) == ("third", 20.0)


def test_a_refusal_is_lifted_when_it_ends_and_not_before():
    of = revision()
    of.lift(0.0)
    of.refuse("no room", 31.0, 1.0)

    of.lift(30.9)
    assert of.refusal is not None

    of.lift(31.0)
    assert of.refusal is None


def test_one_that_can_have_no_room_refuses_for_half_a_minute():
    of = revision()

    of.block("default/iris always keeps the rest", 1.0)

    assert of.blocked == "default/iris always keeps the rest"
    assert of.refusal is not None
    assert of.refusal.retry_after_s == 30.0
    of.lift(31.0)
    assert of.blocked == ""


def test_a_person_who_hurries_a_failing_one_has_it_try_at_once():
    of = revision()
    of.failed(NO_MODULE, 1.0)

    of.hurry()

    assert of.called
    assert of.refusal is None
    assert of.backoff.until == -inf


def test_one_that_serves_is_not_hurried():
    of = awake()

    of.hurry()

    assert not of.called


# Halves: they add up without rounding.
@given(st.lists(st.integers(0, 800).map(lambda half: half / 2), max_size=30))
def test_no_failure_makes_anybody_wait_longer_than_the_longest_back_off(waits):
    of, now = revision(), 0.0
    for wait in waits:
        now += wait
        of.lift(now)
        of.failed(NO_MODULE, now)

        assert of.backoff.until <= now + LONGEST_BACKOFF_S
        assert of.refusal is not None
        assert 0.0 < of.refusal.retry_after_s <= LONGEST_BACKOFF_S
        assert of.refused_until <= now + LONGEST_BACKOFF_S


# What is said.


def test_a_new_one_tells_its_view_once():
    of = Revision(
        LLM,
        RevisionSpec(
            scaling=SLEEPY,
            gate=GateSpec(container_concurrency=4),
            probe=Probe(path="/ready"),
        ),
        0.0,
    )

    first, second = saying(of, 0.0), saying(of, 1.0)

    assert views(first) == [
        View(
            key=LLM, version=1, epoch=0, gate=GateSpec(container_concurrency=4),
            probe=Probe(path="/ready"),
        )
    ]  # fmt: skip
    assert second == []


def test_a_view_is_told_again_only_if_it_is_another():
    of = awake()
    version = of.view().version

    of.stale = True
    assert saying(of, 2.0) == []
    assert of.view().version == version

    of.replicas.shrink(1, of.reports)
    of.stale = True
    (view,) = views(saying(of, 3.0))
    assert view.version == version + 1
    assert [each.draining for each in view.addresses] == [True]


def test_a_view_is_what_was_told_even_if_more_is_known_by_now():
    of = awake()
    told = of.view()

    of.refuse("no room", 31.0, 1.0)

    assert of.view() == told
    (view,) = views(saying(of, 1.0))
    assert of.view() == view


def test_a_view_that_was_never_told_can_be_had():
    of = revision()

    assert of.view() == View(
        key=LLM, version=0, epoch=0, gate=GateSpec(), probe=Probe()
    )


@pytest.mark.parametrize(
    ("limit", "slots"),
    [pytest.param(4, 4, id="a limit"), pytest.param(0, -1, id="no limit")],
)
def test_a_replica_has_as_many_slots_as_its_container_takes(limit: int, slots: int):
    of = Revision(LLM, RevisionSpec(gate=GateSpec(container_concurrency=limit)), 0.0)
    of.start(1, 0.0)
    of.replicas.see(picture("r1"))

    assert of.view().addresses == (
        Address(replica="r1", host="127.0.0.1", port=9000, slots=slots),
    )


def test_a_drain_is_done_by_the_word_of_who_has_seen_the_view_that_told_of_it():
    of = awake()
    of.replicas.shrink(1, of.reports)
    of.replicas.emptied("r1", "a")
    assert of.replicas.drained(["a"], of.reports) == []

    of.stale = True
    saying(of, 2.0)
    of.replicas.emptied("r1", "a")

    assert of.replicas.drained(["a"], of.reports) == ["r1"]


def test_starts_and_stops_are_told_a_backend_once_with_their_reason():
    of = awake("r1", "r2")
    of.reason = "load"

    of.start(1, 2.0)
    of.stop(["r1"])
    of.reason = "something else"

    assert Scale(key=LLM, replicas=2, stop=("r1",), reason="load") in saying(of, 2.0)
    assert saying(of, 3.0) == []


def test_the_deadline_of_a_wake_is_that_of_its_newest_start():
    of = revision(min_replicas=1, initial_scale=1)

    of.start(1, 50.0)

    assert (of.zero.since, of.progress_at) == (50.0, 50.0)


def test_it_serves_since_the_first_was_ready_until_none_is():
    of = awake()
    saying(of, 5.0)
    assert of.ready_at == 1.0

    of.replicas.see(())
    saying(of, 6.0)
    assert of.ready_at == inf


def test_a_decision_is_said_before_what_comes_of_it_and_once():
    of = revision()
    of.want, of.reason, of.decided = 1, "load", decided()
    of.start(1, 1.0)

    first = saying(of, 1.0)

    assert first[0] == decided()
    assert isinstance(first[-1], Scale)
    assert saying(of, 2.0) == []


@pytest.mark.parametrize(
    ("waits", "blocked", "failure", "reason"),
    [
        pytest.param("waits for room", "", None, "waits for room", id="it waits"),
        pytest.param("", "no room", None, "no room", id="there can be no room"),
        pytest.param(
            "", "", CRASH, "the last start failed: exit status 1", id="it failed"
        ),
    ],
)
def test_a_decision_says_what_room_and_failures_leave_of_it(
    waits: str, blocked: str, failure: StartFailure | None, reason: str
):
    of = awake("r1")
    if failure:
        of.failed(failure, 2.0)
    of.want, of.waits, of.blocked, of.decided = 3, waits, blocked, decided(3)

    (said,) = [each for each in saying(of, 2.0) if isinstance(each, Decided)]

    assert (said.replicas, said.reason) == (1, f"load; {reason}")


def test_a_decision_that_another_carries_out_says_no_more_than_its_reason():
    of = awake("r1")
    of.want, of.decided = 3, decided(3)

    (said,) = [each for each in saying(of, 2.0) if isinstance(each, Decided)]

    assert (said.replicas, said.reason) == (1, "load")


@given(
    st.lists(
        st.sampled_from(
            ["start", "see", "ready", "shrink", "refuse", "lift", "sleep", "woke"]
        ),
        max_size=30,
    )
)
def test_versions_grow_by_one_with_each_view_and_no_view_is_told_twice(steps):
    of, now = revision(), 0.0
    told: list[View] = views(saying(of, now))
    for step in steps:
        now += 1.0
        of.stale = True
        match step:
            case "start":
                of.start(1, now)
            case "see" | "ready":
                shown = [f"r{number}" for number in range(of.replicas.target)]
                of.replicas.see(picture(*shown, ready=step == "ready"))
            case "shrink":
                of.replicas.shrink(min(1, of.replicas.active), of.reports)
            case "refuse":
                of.refuse("no room", now + 3.0, now)
            case "lift":
                of.lift(now)
            case "sleep":
                of.sleep("put to sleep by hand", now)
            case _:
                of.woke()
        told += views(saying(of, now))

    assert [view.version for view in told] == list(range(1, len(told) + 1))
    contents = [(v.epoch, v.addresses, v.paused, v.refusal) for v in told]
    assert all(one != two for one, two in pairwise(contents))
    assert told[-1] == of.view()
