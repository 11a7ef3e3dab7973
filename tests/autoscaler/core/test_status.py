from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.commands import Order
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    StartFailure,
)
from autoscaler.core.messages import ReplicaLoad, Sample
from autoscaler.core.revision import Revision
from autoscaler.core.status import status
from tests.autoscaler.core.stage import IRIS, LLM, SLEEPY, Stage, spec


def revision(key: RevisionKey = LLM, **changes) -> Revision:
    return Revision(key, spec(SLEEPY, **changes), 0.0)


def show(of: Revision, *names: str, ready: bool) -> None:
    of.replicas.see(
        tuple(
            Replica(id=name, host="127.0.0.1", port=9000, ready=ready) for name in names
        )
    )


def test_one_that_has_nothing_is_asleep_and_says_why():
    said = status(revision())

    assert (said.key, said.state, said.reason) == (LLM, "asleep", "no request yet")
    assert (said.desired, said.ready, said.starting, said.draining) == (0, 0, 0, 0)
    assert (said.in_flight, said.held, said.mode) == (0, 0, "stable")


def test_one_whose_replicas_are_not_ready_is_starting():
    of = revision()
    of.start(2, 1.0)
    show(of, "r1", ready=False)

    said = status(of)

    assert (said.state, said.ready, said.starting) == ("starting", 0, 2)


def test_one_with_a_ready_replica_is_ready_whatever_else_there_is():
    of = revision()
    of.start(3, 1.0)
    show(of, "r1", "r2", ready=True)
    of.replicas.shrink(2, of.reports)
    of.waits_since = 1.0

    said = status(of)

    assert (said.state, said.ready, said.starting) == ("ready", 1, 0)
    assert said.draining == 1


def test_one_whose_last_replica_drains_is_draining():
    of = revision()
    of.start(1, 1.0)
    show(of, "r1", ready=True)
    of.replicas.shrink(1, of.reports)

    said = status(of)

    assert (said.state, said.ready, said.draining) == ("draining", 0, 1)


def test_one_whose_last_replica_was_told_to_stop_drains_until_it_is_gone():
    of = revision()
    of.start(1, 1.0)
    show(of, "r1", ready=True)
    of.stop(["r1"])

    assert (status(of).state, status(of).draining) == ("draining", 1)
    show(of, ready=True)
    assert (status(of).state, status(of).draining) == ("asleep", 0)


def test_one_that_waits_for_room_says_for_what():
    of = revision()
    of.waits_since, of.waits = 1.0, "waits for room: 1 GiB needed, 0 free"

    said = status(of)

    assert (said.state, said.reason) == (
        "waiting", "waits for room: 1 GiB needed, 0 free",
    )  # fmt: skip


def test_one_that_others_leave_no_room_waits_and_says_why():
    of = revision()
    of.block("default/iris always keeps the rest", 1.0)

    said = status(of)

    assert (said.state, said.reason) == (
        "waiting", "default/iris always keeps the rest",
    )  # fmt: skip


def test_one_whose_start_failed_is_failing_and_says_how():
    of = revision()
    of.failed(StartFailure(reason="exit status 1", final=False), 1.0)

    assert (status(of).state, status(of).reason) == ("failing", "exit status 1")


def test_one_that_waits_after_a_failure_is_waiting():
    of = revision()
    of.failed(StartFailure(reason="exit status 1", final=False), 1.0)
    of.waits_since, of.waits = 2.0, "waits for room"

    assert (status(of).state, status(of).reason) == ("waiting", "waits for room")


@pytest.mark.parametrize(
    ("waits", "reason"),
    [
        pytest.param("", "load", id="it waits for nothing"),
        pytest.param("waits for room", "load; waits for room", id="it waits for more"),
    ],
)
def test_one_with_replicas_says_what_load_wants_and_for_what_more_it_waits(
    waits: str, reason: str
):
    of = revision()
    of.start(1, 1.0)
    of.reason, of.waits = "load", waits

    assert status(of).reason == reason


@pytest.mark.parametrize(
    ("changes", "pinned", "bounds"),
    [
        pytest.param({"max_replicas": 4}, False, (0, 4), id="as set"),
        pytest.param({"min_replicas": 2}, False, (2, 4), id="a minimum"),
        pytest.param({}, True, (1, 4), id="pinned"),
        pytest.param(
            {"min_replicas": 2, "reachable": False}, False, (0, 4), id="not reachable"
        ),
    ],
)
def test_bounds_are_those_that_hold(changes, pinned: bool, bounds: tuple[int, int]):
    of = revision(**changes)
    of.pin(pinned=pinned)

    assert (status(of).min, status(of).max) == bounds


def test_requests_are_those_of_all_reporters():
    of = revision()
    for reporter in ("a", "b"):
        load = ReplicaLoad(replica="r1", in_flight=2, idle_s=0.0)
        of.heard(
            Sample(
                key=LLM, reporter=reporter, span_s=1.0, concurrency=3.0, requests=3,
                held=1, in_flight=2, epoch=0, version=1, replicas=(load,),
            ),
            1.0,
        )  # fmt: skip

    assert (status(of).in_flight, status(of).held) == (4, 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["load", "idle", "wake", "run", "slow", *Order]),
            st.sampled_from([LLM, IRIS]),
        ),
        max_size=15,
    )
)
def test_the_state_agrees_with_the_figures_whatever_happens(calls):
    stage = Stage(budget=Budget(memory=1 << 30, patience_s=5.0))
    for key in (LLM, IRIS):
        stage.add(key, spec(gib=1, max_replicas=2))

    for what, key in calls:
        match what:
            case "load" | "idle":
                stage.load[key] = int(what == "load")
            case "wake":
                stage.wake(key)
            case "run":
                stage.run(7)
            case "slow":
                stage.slow.add(key)
            case _:
                stage.fleet.order(key, what, stage.now)
                stage.settle()
        for each in (LLM, IRIS):
            said = stage.status(each)
            assert min(said.ready, said.starting, said.draining, said.held) >= 0
            assert (said.state == "ready") == (said.ready > 0)
            assert said.state != "starting" or said.starting
            assert said.state != "draining" or said.draining
            if said.state == "asleep":
                assert said.ready + said.starting + said.draining == 0
            if said.desired > said.ready + said.starting and not said.ready:
                assert said.state in ("waiting", "failing", "starting")
            assert said.reason


def test_one_for_which_there_is_less_room_than_it_wants_says_how_many_there_may_be():
    of = revision()
    of.want, of.reason, of.waits = 4, "8 in flight", "waits for room: 1 GPU needed"
    of.start(3, 1.0)
    show(of, "r1", "r2", ready=True)

    said = status(of)

    assert (said.ready, said.allowed, said.desired) == (2, 3, 4)
    assert said.reason == "8 in flight; waits for room: 1 GPU needed"


def test_one_whose_last_start_failed_says_so_while_it_has_fewer_than_it_wants():
    of = revision()
    of.want, of.reason = 2, "8 in flight"
    of.start(1, 1.0)
    show(of, "r1", ready=True)
    of.failed(StartFailure(reason="exit status 3", final=False), 2.0)

    assert status(of).allowed == 1
    assert status(of).reason == "8 in flight; the last start failed: exit status 3"
    of.start(1, 3.0)
    assert (status(of).allowed, status(of).reason) == (2, "8 in flight")


def test_one_that_has_more_than_it_wants_may_have_what_it_wants():
    of = revision()
    of.want = 1
    of.start(3, 1.0)

    assert status(of).allowed == 1
