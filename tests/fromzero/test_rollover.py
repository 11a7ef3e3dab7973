"""Rollovers of a loop whose revisions are as the test says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.backends.base import Launch
from autoscaler.core.commands import Order, Status
from autoscaler.core.domain import (
    Replica,
    RevisionKey,
    RevisionSpec,
    Route,
    ScalingSpec,
)
from autoscaler.core.messages import Ready, Sample
from autoscaler.events import Observed
from autoscaler.kserve import Wanted
from fromzero.rollover import Rollover

ONE = RevisionKey("a", "iris-predictor-00001")
TWO = RevisionKey("a", "iris-predictor-00002")
PATIENCE_S = 60.0


def wanted(*keys: RevisionKey, most: int = 1) -> dict[RevisionKey, Wanted]:
    spec = RevisionSpec(scaling=ScalingSpec(max_replicas=most))
    return {key: Wanted(spec=spec, launch=Launch(command=("serve",))) for key in keys}


def route(*backends: tuple[RevisionKey, float], service: str = "iris") -> Route:
    return Route(namespace="a", service=service, backends=backends)


ALL_ONE, ALL_TWO = route((ONE, 100.0)), route((TWO, 100.0))


class Machine:
    """A loop that does as it is told, and revisions that the test moves."""

    def __init__(self) -> None:
        self.states: dict[RevisionKey, Status] = {}
        self.told: list[tuple[object, ...]] = []
        self.routes: tuple[Route, ...] = ()
        self.now = 0.0
        self.rollover = Rollover(self, self.reroute, PATIENCE_S)

    def configure(self, key: RevisionKey, spec: RevisionSpec, launch: Launch) -> None:
        self.told.append(("configure", key))
        self.states.setdefault(
            key,
            Status(
                key=key, state="asleep", min=0, max=1, desired=0, ready=0, starting=0,
                draining=0, in_flight=0, held=0, mode="stable", reason="",
            ),
        )  # fmt: skip

    def remove(self, key: RevisionKey) -> None:
        self.told.append(("remove", key))
        del self.states[key]

    def order(self, key: RevisionKey, order: Order) -> None:
        self.told.append((order.value, key))

    def status(self, key: RevisionKey) -> Status:
        return self.states[key]

    def reroute(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes

    def apply(self, keys: dict[RevisionKey, Wanted], *routes: Route) -> None:
        self.rollover.apply(keys, routes, self.now)

    def becomes(self, key: RevisionKey, **fields: object) -> None:
        self.states[key] = replace(self.states[key], **fields)

    def ready(self, key: RevisionKey) -> None:
        self.becomes(key, state="ready", ready=1, starting=0)
        said = Ready(key=key, reporter="a", replica="r")
        self.rollover.saw(said, self.now)

    def sample(self, key: RevisionKey, in_flight: int = 0, held: int = 0) -> None:
        self.becomes(key, in_flight=in_flight, held=held)
        said = Sample(
            key=key, reporter="a", span_s=1, concurrency=0, requests=0, held=held,
            in_flight=in_flight, epoch=0, version=1,
        )  # fmt: skip
        self.rollover.saw(said, self.now)

    def stopped(self, key: RevisionKey) -> None:
        self.becomes(key, state="asleep", ready=0, starting=0, draining=0)
        self.rollover.saw(Observed(key=key, replicas=()), self.now)


def awake() -> Machine:
    """Return a machine that serves version one, awake."""
    machine = Machine()
    machine.apply(wanted(ONE), ALL_ONE)
    machine.ready(ONE)
    machine.told.clear()
    return machine


def test_first_documents_are_true_at_once():
    machine = Machine()

    machine.apply(wanted(ONE), ALL_ONE)

    assert machine.told == [("configure", ONE)]
    assert machine.routes == (ALL_ONE,)


def test_a_changed_setting_is_told_and_moves_no_route():
    machine = awake()

    machine.apply(wanted(ONE, most=7), ALL_ONE)

    assert machine.told == [("configure", ONE)]
    assert machine.routes == (ALL_ONE,)


def test_what_has_not_changed_is_not_told_again():
    machine = awake()

    machine.apply(wanted(ONE), ALL_ONE)

    assert machine.told == []


def test_a_service_that_sleeps_changes_at_once():
    machine = Machine()
    machine.apply(wanted(ONE), ALL_ONE)

    machine.apply(wanted(TWO), ALL_TWO)

    assert machine.routes == (ALL_TWO,)
    assert machine.told[-1] == ("remove", ONE)


def test_the_old_version_goes_on_until_the_new_one_is_ready_and_it_is_woken_for_that():
    machine = awake()

    machine.apply(wanted(TWO), ALL_TWO)
    assert machine.told == [("configure", TWO), ("wake", TWO)]
    machine.sample(ONE)
    assert machine.routes == (ALL_ONE,)
    machine.ready(TWO)

    assert machine.routes == (ALL_TWO,)


def test_the_old_version_is_removed_once_it_has_answered_what_it_had():
    machine = awake()
    machine.sample(ONE, in_flight=1)
    machine.apply(wanted(TWO), ALL_TWO)
    machine.ready(TWO)

    machine.sample(ONE, in_flight=1)
    machine.sample(ONE, held=1)
    assert ("remove", ONE) not in machine.told
    assert set(machine.rollover.there) == {ONE, TWO}
    machine.sample(ONE)

    assert machine.told[-1] == ("remove", ONE)
    assert set(machine.rollover.there) == {TWO}


def test_an_old_version_that_fell_asleep_meanwhile_is_removed():
    machine = awake()
    machine.apply(wanted(TWO), ALL_TWO)
    machine.ready(TWO)

    machine.stopped(ONE)

    assert machine.told[-1] == ("remove", ONE)


def test_an_old_version_without_replicas_that_has_requests_held_is_not_removed():
    machine = awake()
    machine.sample(ONE, held=1)
    machine.apply(wanted(TWO), ALL_TWO)
    machine.ready(TWO)

    machine.stopped(ONE)

    assert ("remove", ONE) not in machine.told


def test_a_canary_gets_requests_once_it_is_ready_beside_the_promoted_version():
    machine = awake()
    both = route((ONE, 80.0), (TWO, 20.0))

    machine.apply(wanted(ONE, TWO), both)
    assert machine.routes == (ALL_ONE,)
    machine.ready(TWO)
    machine.sample(ONE)
    machine.sample(TWO)

    assert machine.routes == (both,)
    assert ("remove", ONE) not in machine.told


def test_a_version_without_weight_is_not_waited_for():
    machine = awake()
    none = route((ONE, 100.0), (TWO, 0.0))

    machine.apply(wanted(ONE, TWO), none)

    assert machine.routes == (none,)
    assert ("wake", TWO) not in machine.told


def test_a_start_that_fails_leaves_the_old_version_and_is_tried_again_later():
    machine = awake()
    machine.apply(wanted(TWO), ALL_TWO)
    machine.told.clear()
    machine.becomes(TWO, state="failing")

    for machine.now in (1.0, 29.0, 30.0, 31.0, 59.0, 60.0):
        machine.sample(ONE)

    assert machine.routes == (ALL_ONE,)
    assert machine.told == [("wake", TWO), ("wake", TWO)]


def test_a_start_without_room_beside_the_old_version_takes_its_place_after_a_patience():
    machine = awake()
    machine.apply(wanted(TWO), ALL_TWO)
    machine.becomes(TWO, state="waiting")

    machine.now = PATIENCE_S - 1
    machine.sample(ONE)
    assert machine.routes == (ALL_ONE,)
    machine.now = PATIENCE_S
    machine.sample(ONE)

    assert machine.routes == (ALL_TWO,)


def test_documents_that_change_again_while_a_version_starts_are_what_counts():
    machine = awake()
    three = RevisionKey("a", "iris-predictor-00003")
    machine.apply(wanted(TWO), ALL_TWO)
    machine.becomes(TWO, state="starting", starting=1)

    machine.apply(wanted(three), route((three, 100.0)))
    assert ("remove", TWO) not in machine.told
    machine.stopped(TWO)
    machine.ready(three)

    assert machine.routes == (route((three, 100.0)),)
    assert ("remove", TWO) in machine.told


def test_going_back_while_a_version_starts_goes_on_with_the_old_one():
    machine = awake()
    machine.apply(wanted(TWO), ALL_TWO)

    machine.apply(wanted(ONE), ALL_ONE)
    machine.sample(ONE)

    assert machine.routes == (ALL_ONE,)
    assert ("remove", ONE) not in machine.told
    assert ("remove", TWO) in machine.told


def test_going_back_before_the_old_version_was_removed_keeps_it():
    machine = awake()
    machine.sample(ONE, in_flight=1)
    machine.apply(wanted(TWO), ALL_TWO)
    machine.ready(TWO)

    machine.apply(wanted(ONE), ALL_ONE)
    machine.sample(ONE)

    assert machine.routes == (ALL_ONE,)
    assert ("remove", ONE) not in machine.told


def test_a_service_that_is_gone_from_the_documents_loses_its_route_then_its_revision():
    machine = awake()
    machine.sample(ONE, in_flight=1)

    machine.apply({})
    assert machine.routes == ()
    assert ("remove", ONE) not in machine.told
    machine.sample(ONE)

    assert machine.told == [("remove", ONE)]


def test_services_roll_over_each_on_its_own():
    machine = awake()
    other = RevisionKey("a", "llm-predictor-00001")
    llm = route((other, 100.0), service="llm")

    machine.apply(wanted(TWO, other), ALL_TWO, llm)

    assert set(machine.routes) == {ALL_ONE, llm}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Observed(key=TWO, replicas=(Replica(id="r"),)), id="a picture"),
        pytest.param(Order.WAKE, id="what names no revision"),
    ],
)
def test_events_of_others_change_nothing(event):
    machine = awake()

    machine.rollover.saw(event, 1.0)

    assert machine.told == []
    assert machine.routes == (ALL_ONE,)
