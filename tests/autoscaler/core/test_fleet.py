from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest

from autoscaler.core.commands import Decided, Order, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    Decision,
    GateSpec,
    Metric,
    Mode,
    Replica,
    RevisionKey,
    StartFailure,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.judge import Verdict, apply, judge, look
from autoscaler.core.messages import (
    Drained,
    Gone,
    Lost,
    Ready,
    Refusal,
    ReplicaLoad,
    Sample,
    Wake,
)
from autoscaler.core.revision import Revision
from tests.autoscaler.core.stage import IRIS, LLM, SLEEPY, TEXT, Stage, spec


def awake(**changes) -> Stage:
    """Return a stage on which one revision serves one request at a time."""
    stage = Stage()
    stage.add(LLM, spec(**changes))
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    assert stage.state(LLM) == "ready"
    return stage


# Waking.


def test_a_wake_is_decided_on_within_the_call():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=0, held=1), 3.5)

    decided, tell, scale = stage.fleet.take()
    assert isinstance(decided, Decided)
    assert decided.replicas == 1
    assert isinstance(tell, Tell)
    assert scale == Scale(key=LLM, replicas=1, reason="a request waits")


def test_a_revision_that_sleeps_is_never_due():
    stage = Stage()
    for key in (LLM, IRIS, TEXT):
        stage.add(key, spec())

    assert stage.fleet.wake_at == inf
    assert stage.state(LLM) == "asleep"
    assert stage.status(LLM).reason == "no request yet"


def test_the_same_wake_twice_starts_one_replica():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    wake = Wake(key=LLM, reporter="a", epoch=0, held=1)

    stage.fleet.hear(wake, 0.0)
    stage.fleet.hear(wake, 0.0)
    stage.settle()

    assert stage.scales(LLM) == [(0.0, 1)]


def test_a_wake_of_an_older_sleep_is_ignored_and_the_view_told_again():
    stage = awake()
    stage.load[LLM] = 0
    stage.run(120)
    assert stage.state(LLM) == "asleep"

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=0, held=1), stage.now)

    assert stage.fleet.take() == [Tell(message=stage.views[LLM])]
    assert stage.state(LLM) == "asleep"


def test_a_wake_that_named_the_epoch_while_nobody_slept_does_not_end_the_next_sleep():
    stage = awake()
    epoch = stage.views[LLM].epoch
    stage.wake(LLM)
    stage.load[LLM] = 0
    stage.run(120)
    assert stage.state(LLM) == "asleep"

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=epoch, held=1), stage.now)

    assert stage.state(LLM) == "asleep"


def test_a_sleep_that_a_follower_ended_is_not_named_again_when_it_leads():
    stage = Stage()
    stage.add(LLM, spec())
    stage.fleet.lead(leading=False, now=stage.now)
    stage.wake(LLM)
    stage.run(2)
    assert stage.state(LLM) == "ready"

    # Activators have heard of no sleep since: nobody led.
    stage.sample(LLM, held=0, epoch=0, version=1)
    stage.fleet.lead(leading=True, now=stage.now)
    stage.run(120)

    assert stage.state(LLM) == "asleep"
    assert stage.views[LLM].epoch > 0


def test_a_wake_that_was_lost_heals_with_the_next_sample():
    stage = Stage()
    stage.add(LLM, spec())
    stage.load[LLM] = 1

    stage.run(1)

    assert stage.state(LLM) == "ready"


def test_a_late_sample_of_an_older_sleep_wakes_nobody():
    stage = awake()
    stage.load[LLM] = 0
    stage.run(120)

    stage.sample(LLM, held=1, epoch=0, version=1)

    assert stage.state(LLM) == "asleep"


def test_a_wake_that_has_begun_completes_though_every_holder_has_left():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(3)
    stage.load[LLM] = 0
    stage.run(60)
    assert stage.state(LLM) == "starting"

    stage.ready(LLM)
    stage.settle()
    stage.run(50)

    assert stage.state(LLM) == "ready"
    assert stage.scales(LLM) == [(0.0, 1)]


def test_what_a_revision_needs_is_woken_together_with_it():
    stage = Stage()
    stage.add(IRIS, spec())
    stage.add(LLM, spec())
    wanted = spec()
    together = type(wanted)(scaling=SLEEPY, together=(IRIS, LLM, RevisionKey("a", "b")))
    stage.add(TEXT, together)
    stage.add(LLM, type(wanted)(scaling=SLEEPY, together=(TEXT,)))

    stage.wake(TEXT)

    assert [stage.state(key) for key in (TEXT, IRIS, LLM)] == ["ready"] * 3
    assert stage.decided(IRIS)[0][1].reason == "woken"


def test_a_revision_with_a_minimum_starts_with_the_first_advance():
    stage = Stage()
    stage.fleet.configure(LLM, spec(min_replicas=2, initial_scale=1), 0.0)
    assert stage.fleet.wake_at == 0.0

    stage.settle()

    assert stage.scales(LLM) == [(0.0, 2)]
    assert stage.status(LLM).min == 2


# Scaling.


def test_load_scales_up_at_the_next_tick():
    stage = awake()
    stage.load[LLM] = 28

    stage.run(8)

    assert stage.status(LLM).ready == 4
    assert stage.status(LLM).mode == "panic"


def test_scaling_down_drains_the_idlest_and_stops_it_by_name():
    stage = awake()
    stage.load[LLM] = 28
    stage.run(8)
    stage.load[LLM] = 8
    victims = stage.there[LLM][2:]

    stage.run(100)

    stops = [
        each.stop for _, each in stage.said if isinstance(each, Scale) and each.stop
    ]
    assert sorted(name for names in stops for name in names) == sorted(victims)
    assert stage.status(LLM).ready == 2


def test_a_replica_that_is_drained_is_not_stopped_while_it_has_a_request():
    stage = awake()
    stage.busy.update(stage.there[LLM])
    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    assert "has requests" in stage.status(LLM).reason
    stage.load[LLM] = 0
    stage.busy.clear()
    stage.run(1)
    stage.busy.update(stage.there[LLM])

    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()

    assert stage.state(LLM) == "draining"
    assert stage.scales(LLM) == [(0.0, 1)]


def test_load_that_comes_back_ends_a_drain():
    stage = awake()
    stage.load[LLM] = 28
    stage.run(8)
    stage.busy.update(stage.there[LLM])
    stage.load[LLM] = 8
    stage.run(70)
    assert stage.status(LLM).draining == 2

    stage.load[LLM] = 28
    stage.run(10)

    assert (stage.status(LLM).draining, stage.status(LLM).ready) == (0, 4)
    assert stage.born == 4, "somebody was started anew"


def test_a_late_drained_of_a_drain_that_was_ended_stops_nobody():
    stage = awake()
    stage.load[LLM] = 28
    stage.run(8)
    stage.busy.update(stage.there[LLM])
    stage.load[LLM] = 8
    stage.run(70)
    stage.load[LLM] = 28
    stage.run(10)
    stage.load[LLM] = 8
    stage.run(70)
    draining = [each.replica for each in stage.views[LLM].addresses if each.draining]

    stage.busy.clear()
    for name in draining:
        stage.fleet.hear(Drained(key=LLM, reporter="a", replica=name), stage.now)
    assert not stage.fleet.take()

    stage.run(2)
    assert stage.status(LLM).draining == 0


def test_to_zero_is_the_same_drain():
    stage = awake()
    stage.load[LLM] = 0
    (name,) = stage.there[LLM]
    stage.run(89)
    assert stage.state(LLM) == "ready"

    stage.run(20)

    scale = [each for _, each in stage.said if isinstance(each, Scale)][-1]
    assert (scale.replicas, scale.stop) == (0, (name,))
    assert scale.reason == "idle for 60 s"
    assert stage.status(LLM).reason == "idle for 60 s"
    assert stage.fleet.wake_at == inf


def test_a_request_during_the_drain_to_zero_wakes_it_without_a_start():
    stage = awake(grace_s=0.0)
    stage.load[LLM] = 0
    stage.run(1)
    stage.busy.update(stage.there[LLM])
    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()
    assert stage.state(LLM) == "draining"
    stage.busy.clear()

    stage.wake(LLM)

    assert stage.state(LLM) == "ready"
    assert stage.scales(LLM) == [(0.0, 1)]


def test_a_request_in_flight_during_the_drain_to_zero_ends_it():
    stage = awake()
    stage.load[LLM] = 0
    stage.run(1)
    stage.busy.update(stage.there[LLM])
    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()

    stage.sample(LLM, concurrency=1.0)

    assert stage.state(LLM) == "ready"
    stage.run(3)
    assert stage.state(LLM) == "ready"


# What is not known.


@pytest.mark.parametrize("reporters", [("a",), ("a", "b")])
def test_stale_data_never_scales_down(reporters):
    stage = Stage(reporters=reporters)
    stage.add(LLM, spec())
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.load[LLM] = 0
    stage.quiet.add(reporters[-1])

    stage.run(600)

    assert stage.state(LLM) == "ready"
    assert stage.status(LLM).reason.endswith("load not known")

    stage.quiet.clear()
    stage.run(100)
    assert stage.state(LLM) == "asleep"


def test_a_fleet_that_nobody_reports_to_scales_nothing_down():
    stage = awake()
    stage.load[LLM] = 0
    stage.reporters.clear()
    stage.fleet.left("a", stage.now)
    stage.fleet.left("a", stage.now)

    stage.run(600)

    assert stage.state(LLM) == "ready"


def test_a_reporter_that_has_not_joined_says_nothing():
    stage = Stage()
    stage.add(LLM, spec())

    stage.wake(LLM, reporter="stranger")

    assert stage.state(LLM) == "asleep"


def test_a_reporter_that_leaves_is_not_waited_for():
    stage = Stage(reporters=("a", "b"))
    stage.add(LLM, spec())
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(2)
    (name,) = stage.there[LLM]
    stage.load[LLM] = 0
    stage.run(1)
    stage.busy.add(name)
    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()
    stage.fleet.hear(Drained(key=LLM, reporter="a", replica=name), stage.now)
    assert stage.state(LLM) == "draining"

    stage.reporters.remove("b")
    stage.fleet.left("b", stage.now)
    stage.settle()

    assert stage.state(LLM) == "asleep"


def test_what_a_backend_shows_a_fresh_fleet_is_kept_for_a_whole_window():
    stage = Stage()
    stage.fleet.configure(LLM, spec(), 0.0)
    stage.there[LLM] = ["old-1", "old-2", "old-3"]
    stage.picture(LLM)
    stage.settle()
    stage.ready(LLM)
    stage.settle()
    assert stage.status(LLM).ready == 3
    assert stage.views[LLM].epoch == 1

    stage.run(59)
    assert not stage.scales(LLM)

    stage.run(100)
    assert stage.state(LLM) == "asleep"


def test_what_a_backend_shows_before_the_first_advance_is_kept_too():
    stage = Stage()
    stage.fleet.configure(LLM, spec(min_replicas=1, initial_scale=1), 0.0)
    stage.there[LLM] = ["old-1", "old-2"]

    stage.picture(LLM)
    stage.settle()

    assert not stage.scales(LLM)
    assert stage.status(LLM).starting == 2


def test_an_activator_with_a_view_of_an_earlier_fleet_is_healed():
    stage = Stage()
    stage.add(LLM, spec())

    stage.sample(LLM, version=70, epoch=9, held=1)

    assert stage.views[LLM].version > 70
    assert stage.views[LLM].epoch == 10
    assert stage.state(LLM) == "ready"


def test_a_wake_of_an_earlier_fleet_is_taken():
    stage = Stage()
    stage.add(LLM, spec())

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=9, held=1), 0.0)
    stage.settle()

    assert stage.state(LLM) == "ready"
    assert stage.views[LLM].epoch == 10


def test_a_view_that_was_lost_is_told_again_but_not_at_once():
    stage = awake()
    view = stage.views[LLM]
    stage.now += 0.1
    stage.add(LLM, replace(spec(), gate=GateSpec(max_held=5)))
    count = len(stage.told(LLM))
    assert stage.views[LLM].version == view.version + 1

    stage.sample(LLM, version=view.version)
    assert len(stage.told(LLM)) == count
    stage.now += 1.0
    stage.sample(LLM, version=view.version)
    stage.sample(LLM, version=view.version)

    assert len(stage.told(LLM)) == count + 1
    assert stage.told(LLM)[-1] == stage.told(LLM)[-2]


def test_a_sample_of_a_revision_that_is_gone_is_answered_with_gone():
    stage = awake()
    view = stage.views[LLM]
    stage.fleet.remove(LLM, stage.now)
    stage.fleet.take()

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=view.epoch, held=1), stage.now)

    assert stage.fleet.take() == [Tell(message=Gone(key=LLM))]


# Failing.


def fail(stage: Stage, reason: str = "exit status 1", *, final: bool = True) -> None:
    name = stage.there[LLM].pop()
    failure = StartFailure(reason=reason, final=final, replica=name)
    stage.fleet.failed(LLM, failure, stage.now)
    stage.picture(LLM)
    stage.settle()


def starting() -> Stage:
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(1)
    return stage


def test_a_final_failure_refuses_at_once_and_is_tried_again_half_open():
    stage = starting()

    fail(stage)

    assert stage.views[LLM].refusal == Refusal(
        reason="exit status 1", retry_after_s=1.0
    )
    assert stage.state(LLM) == "failing"
    assert stage.status(LLM).reason == "exit status 1"

    stage.load[LLM] = 0
    stage.run(2)
    assert stage.views[LLM].refusal is None
    assert stage.state(LLM) == "failing"
    assert stage.fleet.wake_at == inf

    stage.slow.clear()
    stage.wake(LLM)
    assert stage.state(LLM) == "ready"


def test_failures_that_may_pass_are_tried_again_and_refused_in_the_end():
    stage = starting()
    refused = []

    for _ in range(3):
        fail(stage, final=False)
        refused.append(stage.views[LLM].refusal is not None)
        stage.run(4)

    assert refused == [False, False, True]


def test_back_off_grows_to_five_minutes_and_no_more():
    stage = starting()
    waits = []
    for _ in range(12):
        fail(stage)
        refusal = stage.views[LLM].refusal
        assert refusal is not None
        waits.append(refusal.retry_after_s)
        stage.run(int(refusal.retry_after_s) + 1)
        stage.wake(LLM)
        assert stage.there[LLM]

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_a_wake_that_meets_a_refusal_is_told_of_it():
    stage = starting()
    view = stage.views[LLM]
    fail(stage)
    count = len(stage.told(LLM))

    stage.fleet.hear(Wake(key=LLM, reporter="a", epoch=view.epoch, held=1), stage.now)
    stage.settle()

    assert len(stage.told(LLM)) == count + 1
    assert stage.state(LLM) == "failing"


def test_a_failure_tells_the_backend_which_replica_is_no_more():
    stage = starting()
    (name,) = stage.there[LLM]

    fail(stage)

    scale = [each for _, each in stage.said if isinstance(each, Scale)][-1]
    assert (scale.replicas, scale.stop) == (0, (name,))
    assert scale.reason == "a start failed: exit status 1"


def test_a_failure_without_a_name_counts_as_one_replica():
    stage = starting()
    stage.there[LLM].clear()

    stage.fleet.failed(LLM, StartFailure(reason="quota", final=True), stage.now)
    stage.settle()

    assert stage.state(LLM) == "failing"


def test_failures_of_nobody_change_nothing():
    stage = Stage()
    stage.add(LLM, spec())
    failure = StartFailure(reason="late", final=True, replica="llm-9")

    stage.fleet.failed(LLM, failure, 0.0)
    stage.fleet.failed(IRIS, failure, 0.0)

    assert not stage.fleet.take()
    assert stage.state(LLM) == "asleep"


def test_after_a_failure_one_replica_at_a_time_is_tried():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    stage.load[LLM] = 28
    stage.wake(LLM, held=28)
    stage.run(5)
    assert len(stage.there[LLM]) == 4
    for _ in range(4):
        fail(stage, final=False)

    stage.run(2)
    assert len(stage.there[LLM]) == 1
    stage.run(5)
    assert len(stage.there[LLM]) == 1

    stage.slow.clear()
    stage.ready(LLM)
    stage.settle()
    assert len(stage.there[LLM]) == 4


def test_a_failed_start_beside_a_ready_replica_refuses_nobody():
    stage = awake()
    stage.slow.add(LLM)
    stage.load[LLM] = 28
    stage.run(4)
    assert stage.status(LLM).starting

    fail(stage)

    assert stage.views[LLM].refusal is None
    assert stage.state(LLM) == "ready"


def test_a_start_that_is_not_ready_in_time_has_failed_and_is_tried_again():
    stage = Stage()
    stage.add(LLM, spec(progress_deadline_s=30.0))
    stage.slow.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    first = list(stage.there[LLM])

    stage.run(34)

    assert stage.decided(LLM)[-1][1].reason.startswith("1 in flight")
    assert stage.there[LLM] != first
    assert len(stage.there[LLM]) == 1
    stage.slow.clear()
    stage.ready(LLM)
    stage.settle()
    assert stage.state(LLM) == "ready"


def test_a_start_that_nobody_waits_for_ends_with_its_deadline():
    stage = Stage()
    stage.add(LLM, spec(progress_deadline_s=30.0))
    stage.slow.add(LLM)
    stage.wake(LLM)

    stage.run(40)

    assert not stage.there[LLM]
    assert stage.state(LLM) == "failing"
    assert stage.status(LLM).reason == "not ready within 30 s"


def test_a_replica_too_many_that_is_never_ready_is_given_up_too():
    stage = awake(progress_deadline_s=30.0)
    stage.slow.add(LLM)
    stage.load[LLM] = 10
    stage.run(8)
    (_, hung) = stage.there[LLM]

    stage.run(40)

    assert hung not in stage.there[LLM]
    assert stage.state(LLM) == "ready"


def test_a_start_that_the_backend_never_showed_is_given_up_without_a_drain():
    fleet = Fleet(budget=Budget(), now=0.0)
    fleet.joined("a", 0.0)
    fleet.configure(LLM, spec(progress_deadline_s=30.0), 0.0)
    fleet.hear(Wake(key=LLM, reporter="a", epoch=0, held=1), 0.0)
    fleet.take()

    now = 0.0
    while fleet.wake_at <= 40.0:
        now = fleet.wake_at
        fleet.advance(now)

    scales = [each for each in fleet.take() if isinstance(each, Scale)]
    assert [(each.replicas, each.reason) for each in scales] == [
        (0, "not ready within 30 s")
    ]


def test_a_replica_that_dies_is_replaced_at_once():
    stage = awake()
    (name,) = stage.there[LLM]
    stage.fleet.hear(Lost(key=LLM, reporter="a", replica=name), stage.now)
    assert stage.status(LLM).ready == 0
    stage.there[LLM].clear()

    stage.picture(LLM)
    stage.settle()

    assert stage.state(LLM) == "ready"
    assert stage.there[LLM] != [name]


def test_a_replica_that_is_gone_before_it_was_ready_is_a_failed_start():
    stage = starting()
    stage.there[LLM].clear()

    stage.picture(LLM)
    stage.settle()

    assert not stage.there[LLM]
    assert stage.state(LLM) == "failing"
    stage.run(2)
    assert stage.there[LLM]


def test_new_settings_give_a_failing_revision_another_try():
    stage = starting()
    fail(stage)

    stage.add(LLM, spec(max_replicas=2))

    assert stage.views[LLM].refusal is None


def test_the_word_of_a_backend_makes_a_replica_ready():
    stage = starting()
    (name,) = stage.there[LLM]

    replica = Replica(id=name, host="127.0.0.1", port=9000, ready=True)
    stage.fleet.observe(LLM, (replica,), stage.now)

    assert stage.state(LLM) == "ready"


def test_ready_twice_is_ready_once():
    stage = awake()
    (name,) = stage.there[LLM]
    before = len(stage.decided(LLM))

    stage.fleet.hear(Ready(key=LLM, reporter="a", replica=name), stage.now)
    stage.settle()

    assert len(stage.decided(LLM)) == before


# Orders and settings.


def test_a_person_can_wake_and_put_to_sleep():
    stage = Stage()
    stage.add(LLM, spec())

    stage.fleet.order(LLM, Order.WAKE, stage.now)
    stage.settle()
    assert stage.state(LLM) == "ready"
    stage.fleet.order(LLM, Order.WAKE, stage.now)
    stage.run(2)

    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()
    assert stage.state(LLM) == "asleep"
    assert stage.status(LLM).reason == "put to sleep by hand"

    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    assert stage.state(LLM) == "asleep"


def test_who_has_requests_is_not_put_to_sleep():
    stage = awake()

    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()

    assert stage.state(LLM) == "ready"
    assert stage.status(LLM).reason == "not put to sleep: it has requests"


def test_a_start_can_be_called_off():
    stage = Stage()
    stage.add(LLM, spec())
    stage.slow.add(LLM)
    stage.fleet.order(LLM, Order.WAKE, stage.now)
    stage.settle()

    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    stage.settle()

    assert stage.state(LLM) == "asleep"
    assert not stage.there[LLM]


def test_a_pinned_revision_wakes_and_stays_until_it_is_unpinned():
    stage = Stage()
    stage.add(LLM, spec())

    stage.fleet.order(LLM, Order.PIN, stage.now)
    stage.settle()
    stage.run(200)
    assert stage.state(LLM) == "ready"
    assert stage.status(LLM).min == 1
    assert stage.status(LLM).reason.endswith("at least 1 (pinned)")
    stage.fleet.order(LLM, Order.SLEEP, stage.now)
    assert stage.status(LLM).reason == "not put to sleep: pinned"

    stage.fleet.order(LLM, Order.UNPIN, stage.now)
    stage.settle()
    stage.run(35)
    assert stage.state(LLM) == "asleep"


def test_a_revision_with_a_minimum_is_not_put_to_sleep():
    stage = Stage()
    stage.add(LLM, spec(min_replicas=1))

    stage.fleet.order(LLM, Order.SLEEP, stage.now)

    assert stage.status(LLM).reason == "not put to sleep: minReplicas is 1"


def test_waking_a_failing_revision_tries_at_once():
    stage = starting()
    fail(stage)

    stage.fleet.order(LLM, Order.WAKE, stage.now)
    stage.settle()

    assert stage.state(LLM) == "starting"
    assert stage.views[LLM].refusal is None


def test_an_order_for_nobody_is_an_error():
    with pytest.raises(KeyError):
        Stage().fleet.order(LLM, Order.WAKE, 0.0)


def test_bounds_count_at_once_whatever_is_known():
    stage = awake()
    stage.load[LLM] = 28
    stage.run(8)
    assert stage.status(LLM).ready == 4

    stage.add(LLM, spec(max_replicas=2))
    assert stage.status(LLM).ready == 2

    stage.add(LLM, spec(min_replicas=3))
    assert stage.status(LLM).ready == 4  # The load is still there.


def test_a_new_minimum_wakes_a_sleeper():
    stage = Stage()
    stage.add(LLM, spec())

    stage.add(LLM, spec(min_replicas=1))

    assert stage.state(LLM) == "ready"


def test_the_same_settings_are_nothing_new():
    stage = awake()
    told, decided = len(stage.told(LLM)), len(stage.decided(LLM))

    stage.add(LLM, spec())

    assert (len(stage.told(LLM)), len(stage.decided(LLM))) == (told, decided)


def test_views_are_told_only_when_something_changed_and_their_version_grows():
    stage = awake()
    stage.run(300)
    stage.load[LLM] = 0
    stage.run(300)

    told = stage.told(LLM)
    versions = [view.version for view in told]
    assert versions == sorted(set(versions))
    for one, after in pairwise(told):
        assert after != replace(one, version=after.version)


def test_advancing_twice_at_one_time_is_advancing_once():
    stage = awake()
    stage.run(4)
    now = stage.fleet.wake_at

    stage.fleet.advance(now)
    first = stage.fleet.take()
    stage.fleet.advance(now)

    assert first
    assert stage.fleet.take() == []


def test_a_removed_revision_is_gone_and_never_due():
    stage = awake()

    stage.fleet.remove(LLM, stage.now)
    stage.fleet.remove(LLM, stage.now)

    assert stage.fleet.take() == [Tell(message=Gone(key=LLM))]
    assert stage.fleet.wake_at == inf
    assert list(stage.fleet.keys()) == []
    stage.fleet.usage(LLM, 50.0, stage.now)
    stage.fleet.observe(LLM, (), stage.now)
    with pytest.raises(KeyError):
        stage.fleet.status(LLM)


def test_a_view_can_be_had_before_it_was_told():
    stage = Stage()
    stage.fleet.configure(LLM, spec(), 0.0)

    assert stage.fleet.view(LLM) == stage.fleet.take()[0].message


# Metrics.


def test_requests_per_second_scale_and_a_long_request_keeps_awake():
    stage = Stage()
    stage.add(LLM, spec(metric=Metric.RPS, total_value=10.0))
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(2)
    stage.busy.update(stage.there[LLM])

    for _ in range(200):
        stage.now += 1
        stage.sample(LLM, requests=0, concurrency=1.0, in_flight=1)
    assert stage.state(LLM) == "ready"
    assert "had a request" in stage.status(LLM).reason

    for _ in range(8):
        stage.now += 1
        stage.sample(LLM, requests=28)
    assert stage.status(LLM).ready == 4


@pytest.mark.parametrize("metric", [Metric.CPU, Metric.MEMORY])
def test_use_scales_but_only_idleness_goes_to_zero(metric):
    stage = Stage()
    stage.add(LLM, spec(metric=metric, total_value=80.0))
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(2)
    for _ in range(70):
        stage.fleet.usage(LLM, 160.0, stage.now)
        stage.run(1)
    assert stage.status(LLM).ready == 4

    for _ in range(70):
        stage.fleet.usage(LLM, 1.0, stage.now)
        stage.run(1)
    assert stage.status(LLM).ready == 1

    stage.run(70)
    assert stage.status(LLM).reason == "use not known"
    stage.load[LLM] = 0
    stage.run(100)
    assert stage.state(LLM) == "asleep"


def test_a_sample_over_a_longer_span_counts_in_each_of_its_seconds():
    stage = awake()
    stage.load[LLM] = 0
    stage.run(70)

    stage.now += 5
    stage.fleet.hear(
        Sample(
            key=LLM, reporter="a", span_s=5.0, concurrency=14.0, requests=1, held=0,
            in_flight=0, epoch=1, version=stage.views[LLM].version,
        ),
        stage.now,
    )  # fmt: skip
    stage.settle()

    seen = stage.decided(LLM)[-1][1].seen
    assert seen.panic == pytest.approx(14 * 5 / 6, rel=0.01)


# Room.


def crowded(gib: int = 1, patience_s: float = 60.0, **changes) -> Stage:
    """Return a stage with room for one of its three revisions."""
    stage = Stage(budget=Budget(memory=1 << 30, patience_s=patience_s))
    for key in (LLM, IRIS, TEXT):
        stage.add(key, spec(gib=gib, max_replicas=1, **changes))
    return stage


def test_a_start_makes_the_one_that_was_idle_longest_sleep():
    stage = Stage(budget=Budget(memory=2 << 30))
    for key in (LLM, IRIS, TEXT):
        stage.add(key, spec(gib=1, max_replicas=1))
    for key in (IRIS, LLM):
        stage.load[key] = 1
        stage.wake(key)
        stage.run(5)
        stage.load[key] = 0
    stage.run(5)

    stage.load[TEXT] = 1
    stage.wake(TEXT)

    assert [stage.state(key) for key in (LLM, IRIS, TEXT)] == [
        "ready", "asleep", "ready",
    ]  # fmt: skip
    assert stage.status(IRIS).reason == "made room for default/text"


def test_a_busy_one_is_left_alone_until_patience_ends_and_then_finishes_first():
    stage = crowded()
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(100)
    stage.load[IRIS] = 1
    stage.wake(IRIS)
    assert stage.state(IRIS) == "waiting"
    assert stage.status(IRIS).reason == (
        "waits for room: 1 GiB needed, 0 free; default/llm is busy"
    )
    decided = stage.decided(IRIS)[-1][1]
    assert (decided.replicas, decided.reason) == (
        0, f"a request waits; {stage.status(IRIS).reason}",
    )  # fmt: skip
    stage.run(59)
    assert stage.state(LLM) == "ready"
    stage.busy.update(stage.there[LLM])

    stage.run(2)
    assert stage.views[LLM].paused == "makes room for default/iris"
    assert stage.state(LLM) == "draining"
    stage.wake(LLM)
    assert stage.state(LLM) == "draining"

    stage.busy.clear()
    stage.run(2)
    assert stage.state(IRIS) == "ready"
    assert stage.views[LLM].paused == ""
    assert stage.state(LLM) == "waiting"


def test_turns_are_taken_by_all_who_wait():
    stage = crowded(patience_s=20.0)
    for key in (LLM, IRIS, TEXT):
        stage.load[key] = 1
        stage.wake(key)
    served: list[RevisionKey] = []

    for _ in range(200):
        stage.run(1)
        (ready,) = [k for k in (LLM, IRIS, TEXT) if stage.status(k).ready]
        if served[-1:] != [ready]:
            served.append(ready)

    assert served[:7] == [LLM, IRIS, TEXT, LLM, IRIS, TEXT, LLM]


def test_one_that_is_to_go_stays_when_nobody_waits_for_it_any_more():
    stage = crowded(patience_s=10.0)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(20)
    stage.busy.update(stage.there[LLM])
    stage.load[IRIS] = 1
    stage.wake(IRIS)
    stage.run(12)
    assert stage.state(LLM) == "draining"

    stage.fleet.remove(IRIS, stage.now)
    stage.settle()

    assert stage.views[LLM].paused == ""
    stage.run(2)
    assert stage.state(LLM) == "ready"


def test_one_that_was_idle_and_is_asked_again_while_it_drains_stays():
    stage = crowded()
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.load[LLM] = 0
    stage.run(5)
    stage.busy.update(stage.there[LLM])
    name = stage.there[LLM][0]
    stage.load[IRIS] = 1
    stage.fleet.hear(
        Sample(
            key=LLM, reporter="a", span_s=1.0, concurrency=0.0, requests=0, held=0,
            in_flight=0, epoch=1, version=stage.views[LLM].version,
        ),
        stage.now,
    )  # fmt: skip
    stage.wake(IRIS)
    assert stage.state(LLM) == "draining"

    stage.wake(LLM)

    assert stage.state(LLM) == "ready"
    assert stage.there[LLM] == [name]
    assert stage.state(IRIS) == "waiting"


def test_what_was_told_to_stop_takes_room_until_it_is_gone():
    stage = crowded()
    stage.lingering.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.load[LLM] = 0
    stage.run(5)

    stage.load[IRIS] = 1
    stage.wake(IRIS)
    stage.run(3)
    assert stage.state(LLM) == "draining"
    assert stage.status(IRIS).reason.endswith("default/llm is going")

    stage.gone(LLM)
    assert stage.state(IRIS) == "ready"


def test_what_was_removed_takes_room_until_it_is_gone():
    stage = crowded()
    stage.lingering.add(LLM)
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.leaving[LLM] = stage.there.pop(LLM)

    stage.fleet.remove(LLM, stage.now)
    stage.settle()
    stage.load[IRIS] = 1
    stage.wake(IRIS)
    assert stage.state(IRIS) == "waiting"
    stage.picture(LLM)
    assert stage.state(IRIS) == "waiting"

    stage.gone(LLM)
    assert stage.state(IRIS) == "ready"


def test_a_revision_that_comes_back_takes_over_what_is_left_of_it():
    stage = crowded()
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.leaving[LLM] = stage.there.pop(LLM)
    stage.fleet.remove(LLM, stage.now)
    stage.settle()

    stage.add(LLM, spec(gib=1, max_replicas=1))
    stage.wake(LLM)
    assert stage.state(LLM) == "waiting"

    stage.gone(LLM)
    assert stage.state(LLM) == "ready"


def test_what_can_never_fit_is_refused_for_good():
    stage = crowded(gib=2)

    stage.load[LLM] = 1
    stage.wake(LLM)

    refusal = stage.views[LLM].refusal
    assert refusal is not None
    assert refusal.reason == "does not fit: 2 GiB needed, there is 1 GiB"
    assert stage.state(LLM) == "failing"
    assert not stage.scales(LLM)


def test_what_others_leave_no_room_for_is_refused_until_they_do():
    stage = crowded()
    stage.add(IRIS, spec(gib=1, min_replicas=1))
    assert stage.state(IRIS) == "ready"

    stage.wake(LLM)
    refusal = stage.views[LLM].refusal
    assert refusal is not None
    assert refusal.reason == (
        "waits for room: 1 GiB needed, can be free 0; "
        "default/iris always keeps the rest"
    )
    assert stage.state(LLM) == "waiting"
    assert stage.status(LLM).reason == refusal.reason

    stage.add(IRIS, spec(gib=1))
    assert stage.views[LLM].refusal is None
    stage.wake(LLM)
    stage.run(3)
    assert stage.state(LLM) == "ready"


def test_a_minimum_for_which_there_is_no_room_is_tried_again_and_again():
    stage = crowded()
    stage.add(IRIS, spec(gib=1, min_replicas=1))
    stage.add(LLM, spec(gib=1, min_replicas=1))
    stage.run(100)
    assert stage.state(LLM) == "waiting"

    stage.fleet.remove(IRIS, stage.now)
    stage.there[IRIS].clear()
    stage.picture(IRIS)
    stage.settle()
    stage.run(2)

    assert stage.state(LLM) == "ready"


def test_more_replicas_take_what_is_free_and_what_idle_ones_have_but_no_more():
    stage = Stage(budget=Budget(gpus=3, patience_s=10.0))
    for key in (LLM, IRIS, TEXT):
        stage.add(key, spec(gpus=1))
    stage.load[IRIS] = stage.load[LLM] = 1
    stage.wake(IRIS)
    stage.wake(LLM)
    stage.run(5)
    stage.load[IRIS] = 0
    stage.run(2)

    stage.load[LLM] = 40
    stage.run(10)
    assert stage.status(LLM).ready == 3
    assert stage.state(IRIS) == "asleep"
    assert "waits for room: 1 GPU needed, 0 free" in stage.status(LLM).reason

    stage.load[TEXT] = 1
    stage.wake(TEXT)
    stage.run(30)
    assert stage.status(TEXT).ready == 1
    assert stage.status(LLM).ready == 2
    assert stage.views[LLM].paused == ""
    stage.run(100)
    assert (stage.status(LLM).ready, stage.status(TEXT).ready) == (2, 1)


def test_a_start_that_nobody_waits_for_any_more_gives_up_its_place():
    stage = crowded()
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(5)
    stage.wake(IRIS)
    assert stage.state(IRIS) == "waiting"

    stage.run(14)

    assert stage.state(IRIS) == "asleep"


def test_a_failing_start_lets_the_next_one_try():
    stage = crowded()
    stage.slow.update((LLM, IRIS))
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.load[IRIS] = 1
    stage.wake(IRIS)
    assert stage.status(IRIS).reason.endswith("default/llm is starting")

    fail(stage)

    assert stage.state(IRIS) == "starting"
    assert stage.state(LLM) == "failing"


# What is said again.


def loads(stage: Stage, *, ready: bool) -> tuple[ReplicaLoad, ...]:
    return tuple(
        ReplicaLoad(replica=name, in_flight=0, idle_s=0.0, ready=ready)
        for name in stage.there[LLM]
    )


def test_a_ready_or_lost_that_was_lost_heals_with_the_next_sample():
    stage = starting()

    stage.sample(LLM, replicas=loads(stage, ready=True))
    assert stage.state(LLM) == "ready"

    stage.sample(LLM, replicas=loads(stage, ready=False))
    assert stage.state(LLM) == "starting"


def test_who_should_report_and_does_not_is_told_the_view_again():
    stage = Stage(reporters=("a", "b"))
    stage.add(LLM, spec())
    stage.load[LLM] = 1
    stage.wake(LLM)
    stage.run(4)
    count = len(stage.told(LLM))
    stage.run(4)
    assert len(stage.told(LLM)) == count
    stage.quiet.add("b")

    stage.run(6)

    assert len(stage.told(LLM)) > count
    assert stage.told(LLM)[-1] == stage.told(LLM)[count - 1]


def test_what_no_backend_has_shown_yet_is_called_off_without_a_drain():
    fleet = Fleet(budget=Budget(), now=0.0)
    fleet.configure(LLM, spec(min_replicas=3), 0.0)
    fleet.advance(0.0)
    fleet.take()

    fleet.configure(LLM, spec(min_replicas=1, max_replicas=1), 0.5)

    (scale,) = [each for each in fleet.take() if isinstance(each, Scale)]
    assert (scale.replicas, scale.stop) == (1, ())
    assert scale.reason == "idle for 60 s; at most 1 (maxReplicas)"


def test_another_judge_can_have_a_sleeper_up_at_a_time_of_its_own():
    def early(of: Revision, reporters: Collection[str], now: float) -> float:
        if now < 90.0:
            judge(of, reporters, now)
            return 90.0
        decision = Decision(desired=2, mode=Mode.STABLE, reason="it is time")
        verdict = Verdict(
            seen=look(of, now), decision=decision, desired=2, why="it is time"
        )
        return apply(of, of.scaling, verdict, now)

    fleet = Fleet(budget=Budget(), now=0.0, judge=early)
    fleet.configure(LLM, spec(), 0.0)
    fleet.lead(leading=True, now=0.0)
    fleet.take()

    assert fleet.wake_at == 90.0
    fleet.advance(90.0)

    (scale,) = [each for each in fleet.take() if isinstance(each, Scale)]
    assert scale == Scale(key=LLM, replicas=2, reason="it is time")
    assert fleet.status(LLM).state == "starting"
