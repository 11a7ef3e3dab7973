from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Metric, Mode, Replica, StartFailure
from autoscaler.core.judge import judge
from autoscaler.core.messages import ReplicaLoad, Sample
from autoscaler.core.revision import Revision
from autoscaler.core.room import Yield
from autoscaler.core.zero import Phase
from tests.autoscaler.core.stage import IRIS, LLM, spec

HERE = ["a"]


def picture(count: int, *, ready: bool = True) -> tuple[Replica, ...]:
    return tuple(
        Replica(id=f"r{number}", host="127.0.0.1", port=9000, ready=ready)
        for number in range(1, count + 1)
    )


def say(
    of: Revision, now: float, in_flight: int = 0, held: int = 0, requests: int = 0
) -> None:
    """Have the reporter say what it has of *of*, spread over its replicas."""
    members = of.replicas.ours()
    loads = tuple(
        ReplicaLoad(
            replica=each.id,
            in_flight=in_flight // len(members) or min(1, in_flight),
            idle_s=0.0 if in_flight else now - of.used_at,
        )
        for each in members
    )
    of.heard(
        Sample(
            key=of.key, reporter="a", span_s=1.0, concurrency=float(in_flight + held),
            requests=requests, held=held, in_flight=in_flight, epoch=of.epoch,
            version=of.version, replicas=loads,
        ),
        now,
    )  # fmt: skip


def seconds(of: Revision, begin: int, end: int, **load: int) -> None:
    """Have the reporter say the same in each of the seconds, judging each time."""
    for second in range(begin, end):
        say(of, float(second), **load)
        judge(of, HERE, float(second))


def awake(count: int = 1, in_flight: int = 1, **changes) -> Revision:
    """Return a revision whose *count* replicas have served for 100 s."""
    of = Revision(LLM, spec(**changes), 0.0)
    of.reports.knocked("a", 1, 0.0)
    judge(of, HERE, 0.0)
    of.start(count, 0.0)
    of.replicas.see(picture(count))
    seconds(of, 1, 101, in_flight=in_flight)
    return of


def test_a_request_wakes_a_sleeper_with_one_replica_and_numbers_its_next_sleep():
    of = Revision(LLM, spec(), 0.0)
    of.reports.knocked("a", 1, 5.0)

    again_at = judge(of, HERE, 5.0)

    assert (of.want, of.reason, of.asleep) == (1, "a request waits", False)
    assert again_at == 5.0 + of.scaling.progress_deadline_s
    assert of.epoch == 1


def test_a_sleeper_that_nobody_asks_for_sleeps_on():
    of = Revision(LLM, spec(), 0.0)

    assert judge(of, HERE, 5.0) == inf
    assert (of.want, of.reason, of.epoch) == (0, "no request yet", 0)


def test_who_is_called_wakes_without_a_request():
    of = Revision(LLM, spec(), 0.0)
    of.called = True

    judge(of, HERE, 5.0)

    assert (of.want, of.reason) == (1, "woken")


def test_a_call_has_been_answered_when_a_replica_is_ready():
    of = awake()
    of.called = True

    judge(of, HERE, 101.0)

    assert not of.called


def test_a_wake_starts_as_many_as_activation_asks_for():
    of = Revision(LLM, spec(activation_scale=3), 0.0)
    of.reports.knocked("a", 1, 5.0)

    judge(of, HERE, 5.0)

    assert of.want == 3


def test_load_is_shared_among_as_many_as_the_target_says():
    # 7 of 10 requests are aimed at for each.
    of = awake(in_flight=12, panic=False)

    assert (of.want, of.mode) == (2, "stable")
    assert of.reason == "12 in flight over 60 s against 7 wanted per replica"


def test_a_burst_counts_at_once():
    of = awake(in_flight=1)

    seconds(of, 101, 107, in_flight=20)

    assert (of.want, of.mode) == (3, "panic")


def test_requests_per_second_are_the_load_where_they_are_counted():
    of = Revision(LLM, spec(metric=Metric.RPS, panic=False), 0.0)
    of.reports.knocked("a", 1, 0.0)
    judge(of, HERE, 0.0)
    of.start(1, 0.0)
    of.replicas.see(picture(1))

    seconds(of, 1, 70, in_flight=1, requests=12)

    assert of.want == 2
    assert of.reason == "12 requests/s over 60 s against 7 wanted per replica"


def test_a_request_that_takes_long_keeps_a_replica_where_requests_are_counted():
    of = awake(metric=Metric.RPS)

    assert of.want == 1
    assert of.reason.startswith("had a request 0 s ago")


@pytest.mark.parametrize("metric", [Metric.CPU, Metric.MEMORY])
def test_use_counts_as_long_as_it_is_as_new_as_the_window(metric: Metric):
    of = awake(metric=metric, total_value=80.0, target_utilization=1.0)
    of.percent, of.percent_at = 240.0, 100.0

    judge(of, HERE, 100.0)
    assert (of.want, of.reason) == (3, "240 % in use against 80 % wanted, 1 ready")

    seconds(of, 101, 161, in_flight=1)
    assert of.want == 3
    seconds(of, 161, 162, in_flight=1)
    assert of.want == 1
    assert of.reason == "use not known"


def test_nothing_goes_until_a_whole_window_is_known():
    of = awake(2, in_flight=14)

    seconds(of, 101, 170, in_flight=1)
    assert of.want == 1
    # A second is missing.
    seconds(of, 172, 231, in_flight=1)
    assert of.want == 2
    assert of.reason.endswith("; load not known")
    seconds(of, 231, 232, in_flight=1)
    assert of.want == 1


def test_nothing_goes_where_nobody_reports():
    of = awake(2, in_flight=14)

    judge(of, [], 200.0)

    assert of.want == 2


@pytest.mark.parametrize(
    ("bounds", "want"),
    [
        pytest.param({"max_replicas": 2}, 2, id="a smaller maximum"),
        pytest.param({"min_replicas": 4}, 4, id="a larger minimum"),
        pytest.param({"max_replicas": 0}, 3, id="no maximum"),
    ],
)
def test_bounds_count_at_once_though_load_is_not_known(
    bounds: dict[str, Any], want: int
):
    of = awake(3, in_flight=21)
    of.configure(spec(**bounds), 101.0)

    judge(of, ["a", "b"], 170.0)

    assert of.want == want


def test_one_that_is_idle_for_a_window_goes_to_sleep_after_the_grace():
    of = awake(grace_s=30.0)
    used_at = of.used_at

    seconds(of, 101, 161)
    assert (of.want, of.zero.phase) == (1, Phase.ASLEEP)
    assert not of.asleep
    assert of.reason == "idle for 60 s; last replica kept for 30 s (grace)"

    seconds(of, 161, 191)
    assert (of.want, of.asleep) == (0, True)
    assert of.rests == of.reason == "idle for 60 s"
    assert used_at == 100.0


def test_one_that_falls_asleep_forgets_its_load():
    of = awake(grace_s=0.0)
    seconds(of, 101, 161)
    assert of.asleep

    assert of.load.stable.average(160.0) == 0.0
    assert judge(of, HERE, 161.0) == inf


def test_a_pinned_one_stays_and_says_so():
    of = awake(grace_s=0.0)
    of.pin(pinned=True)

    seconds(of, 101, 300)

    assert (of.want, of.reason) == (1, "idle for 60 s; at least 1 (pinned)")


def test_a_pinned_one_with_a_minimum_says_the_minimum():
    of = awake(min_replicas=1)
    of.pin(pinned=True)

    seconds(of, 101, 300)

    assert of.reason == "idle for 60 s; at least 1 (minReplicas)"


def test_who_makes_room_keeps_what_it_was_asked_to_keep():
    of = awake(2, in_flight=14)
    of.give(Yield(key=LLM, to=IRIS, keep=1, busy=True), 101.0)

    judge(of, HERE, 101.0)

    assert of.want == 1
    assert of.reason.endswith("; makes room for default/iris")


def test_who_makes_room_with_all_it_has_is_woken_by_nobody():
    of = awake(in_flight=1)
    of.give(Yield(key=LLM, to=IRIS, keep=0, busy=True), 101.0)
    of.reports.knocked("a", 1, 101.0)

    judge(of, HERE, 101.0)

    assert (of.want, of.asleep) == (0, True)
    assert of.reason == "made room for default/iris"


def test_who_has_more_than_it_keeps_for_another_wants_no_fewer():
    of = awake(in_flight=1)
    of.give(Yield(key=LLM, to=IRIS, keep=2, busy=True), 101.0)

    judge(of, HERE, 101.0)

    assert of.want == 1
    assert "makes room" not in of.reason


def starting(count: int = 1, **changes) -> Revision:
    """Return a revision that was woken in second 0, and whose start takes long."""
    of = Revision(LLM, spec(progress_deadline_s=600.0, **changes), 0.0)
    of.reports.knocked("a", 1, 0.0)
    judge(of, HERE, 0.0)
    of.start(count, 0.0)
    of.replicas.see(picture(count, ready=False))
    return of


def test_a_start_is_completed_though_its_load_is_gone():
    of = starting()

    seconds(of, 1, 300)

    assert (of.want, of.asleep) == (1, False)
    assert of.reason.endswith("a wake that has begun is completed")


def test_a_start_that_is_not_ready_by_its_deadline_has_failed():
    of = starting()
    of.scale = ""

    assert judge(of, HERE, 1.0) == 600.0
    judge(of, HERE, 599.0)
    assert of.backoff.reason == ""
    judge(of, HERE, 600.0)

    assert of.backoff.reason == "not ready within 600 s"
    assert of.replicas.draining == 1
    # It drains first; a backend is told when it is empty.
    assert of.scale == ""


def test_after_an_overdue_start_the_next_has_as_long_while_somebody_waits():
    of = starting()

    say(of, 600.0, held=1)
    judge(of, HERE, 600.0)
    assert of.backoff.reason == "not ready within 600 s"
    of.replicas.stop(["r1"], 0)
    of.start(1, 601.0)
    say(of, 601.0, held=1)

    assert (judge(of, HERE, 601.0), of.want) == (1201.0, 1)
    assert not of.asleep


def test_a_start_that_a_backend_never_showed_fails_in_as_many_words_to_it():
    of = Revision(LLM, spec(progress_deadline_s=600.0), 0.0)
    of.reports.knocked("a", 1, 0.0)
    judge(of, HERE, 0.0)
    of.start(1, 0.0)
    of.scale = ""

    judge(of, HERE, 600.0)

    assert of.replicas.target == 0
    assert of.scale == "not ready within 600 s"


def test_one_more_that_is_not_ready_in_time_fails_beside_those_that_serve():
    of = awake(in_flight=14)
    of.start(1, 101.0)
    of.replicas.see((*picture(1), Replica(id="r2", host="127.0.0.1", port=9001)))
    deadline_s = of.scaling.progress_deadline_s

    seconds(of, 101, 101 + int(deadline_s), in_flight=14)
    assert of.replicas.draining == 0
    judge(of, HERE, 101.0 + deadline_s)

    assert (of.replicas.ready, of.replicas.draining) == (1, 1)
    assert of.zero.phase is Phase.AWAKE
    assert of.refusal is None


def test_a_deadline_is_that_of_an_attempt():
    of = starting()
    of.replicas.died("r1")
    of.failed(StartFailure(reason="exit status 1", final=False), 500.0)
    say(of, 500.0, held=1)
    judge(of, HERE, 500.0)
    of.start(1, 501.0)

    judge(of, HERE, 700.0)

    assert of.backoff.reason == "exit status 1"
    assert judge(of, HERE, 1100.0) == 1101.0


def test_a_failed_start_that_nobody_waits_for_is_not_tried_again():
    of = starting()
    of.replicas.died("r1")
    of.failed(StartFailure(reason="exit status 1", final=False), 5.0)

    for second in range(5, 120):
        judge(of, HERE, float(second))

    assert (of.want, of.asleep) == (0, True)


def test_a_failed_start_that_somebody_waits_for_is_tried_again():
    of = starting()
    of.replicas.died("r1")
    of.failed(StartFailure(reason="exit status 1", final=False), 5.0)

    for second in range(5, 120):
        say(of, float(second), held=1)
        judge(of, HERE, float(second))

    assert (of.want, of.asleep) == (1, False)


def test_a_failed_start_of_a_minimum_is_tried_again_though_nobody_waits():
    of = Revision(LLM, spec(min_replicas=1, initial_scale=1), 0.0)
    judge(of, HERE, 0.0)
    of.start(1, 0.0)
    of.replicas.died("")
    of.failed(StartFailure(reason="exit status 1", final=False), 5.0)

    judge(of, HERE, 700.0)

    assert (of.want, of.asleep) == (1, False)


def test_a_new_revision_starts_its_initial_scale_once():
    of = Revision(LLM, spec(initial_scale=2), 0.0)

    judge(of, HERE, 0.0)

    assert of.want == 2
    assert of.zero.phase is Phase.WAKING


def test_a_decision_is_kept_with_what_it_looked_at():
    of = awake(in_flight=12, panic=False)

    decided = of.decided

    assert decided is not None
    assert (decided.key, decided.replicas, decided.reason) == (LLM, 2, of.reason)
    assert (decided.seen.stable, decided.seen.ready) == (12.0, 1)
    assert (decided.decision.desired, decided.decision.mode) == (2, Mode.STABLE)


LOADS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 2), st.booleans()), max_size=40
)


@given(LOADS, st.integers(0, 2), st.integers(2, 4))
def test_what_is_wanted_is_within_bounds_and_has_a_reason(loads, least, most):
    of = Revision(LLM, spec(min_replicas=least, max_replicas=most), 0.0)
    for second, (in_flight, held, ready) in enumerate(loads):
        now = second * 7.0
        say(of, now, in_flight=in_flight, held=held)

        again_at = judge(of, HERE, now)

        assert least <= of.want <= most
        assert of.reason
        assert again_at > now
        if held:
            assert of.want
        if of.want > of.replicas.active:
            of.start(of.want - of.replicas.active, now)
        of.replicas.see(picture(of.replicas.target, ready=ready))


@given(LOADS)
def test_judging_twice_at_one_time_is_judging_once(loads):
    of = Revision(LLM, spec(), 0.0)
    for second, (in_flight, held, ready) in enumerate(loads):
        now = second * 7.0
        say(of, now, in_flight=in_flight, held=held)
        again_at = judge(of, HERE, now)
        before = (of.want, of.mode, of.zero, of.decider, of.epoch, of.backoff)

        assert judge(of, HERE, now) == again_at
        assert (
            of.want, of.mode, of.zero, of.decider, of.epoch, of.backoff,
        ) == before  # fmt: skip
        if of.want > of.replicas.active:
            of.start(of.want - of.replicas.active, now)
        of.replicas.see(picture(of.replicas.target, ready=ready))


def test_who_must_stay_awake_is_told_why_and_not_of_a_bound_that_nobody_set():
    of = awake(min_replicas=1)
    of.stand(False, "it is a canary with requests", "")

    seconds(of, 100, 300)

    assert of.want == 1
    assert of.reason.endswith("at least 1 (it is a canary with requests)")
