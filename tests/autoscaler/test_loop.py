"""The loop around a Fleet that does as the test says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from math import inf

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.backends.base import Launch
from autoscaler.core.commands import Command, Decided, Order, Scale, Status, Tell
from autoscaler.core.domain import (
    Budget,
    Decision,
    GateSpec,
    Mode,
    Needs,
    Observation,
    Probe,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
    StartFailure,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Downlink, Gone, Ready, Uplink, View, Wake
from autoscaler.events import Failure, Observed
from autoscaler.loop import Loop
from autoscaler.telemetry import Telemetry

IRIS = RevisionKey("production", "iris")
LLM = RevisionKey("default", "llm")
LAUNCH = Launch(command=("serve",))
UP = Scale(key=IRIS, replicas=1, reason="a request waits")


def view(key: RevisionKey) -> View:
    return View(key=key, version=1, epoch=0, gate=GateSpec(), probe=Probe())


class Script:
    """A Fleet whose answers are given beforehand, and that keeps what it was told."""

    def __init__(self) -> None:
        self.wake_at = inf
        self.told: list[tuple[object, ...]] = []
        self.answers: list[list[Command]] = []
        self.known: list[RevisionKey] = []
        self.broken: RevisionKey | None = None
        self.advanced = asyncio.Event()

    def _tell(self, *what: object) -> None:
        self.told.append(what)
        if self.broken is not None and self.broken in what:
            raise ArithmeticError("a bug")

    def configure(self, key: RevisionKey, spec: RevisionSpec, now: float) -> None:
        self.known.append(key)
        self._tell("configure", key)

    def remove(self, key: RevisionKey, now: float) -> None:
        self.known.remove(key)
        self._tell("remove", key)

    def joined(self, reporter: str, now: float) -> None:
        self._tell("joined", reporter)

    def left(self, reporter: str, now: float) -> None:
        self._tell("left", reporter)

    def hear(self, message: Uplink, now: float) -> None:
        self._tell("hear", message.key, type(message).__name__)

    def observe(
        self, key: RevisionKey, replicas: tuple[Replica, ...], now: float
    ) -> None:
        self._tell("observe", key, len(replicas))

    def failed(self, key: RevisionKey, failure: StartFailure, now: float) -> None:
        self._tell("failed", key, failure.reason)

    def usage(self, key: RevisionKey, percent: float, now: float) -> None:
        self._tell("usage", key, percent)

    def order(self, key: RevisionKey, order: Order, now: float) -> None:
        self._tell("order", key, order)

    def lead(self, *, leading: bool, now: float) -> None:
        self._tell("lead", leading)

    def standing(
        self, key: RevisionKey, now: float, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        self._tell("standing", key, aside, keeps, awaits)

    def rebudget(self, budget: Budget, now: float) -> None:
        self._tell("rebudget", budget)

    def advance(self, now: float) -> None:
        self.wake_at = inf
        self.advanced.set()
        self._tell("advance")

    def take(self) -> list[Command]:
        return self.answers.pop(0) if self.answers else []

    def view(self, key: RevisionKey) -> View:
        return view(key)

    def status(self, key: RevisionKey) -> Status:
        if key not in self.known:
            raise KeyError(key)
        return Status(
            key=key, state="asleep", min=0, max=1, desired=0, ready=0, starting=0,
            draining=0, in_flight=0, held=0, mode="stable", reason="idle",
        )  # fmt: skip

    def keys(self) -> Iterable[RevisionKey]:
        return self.known


class Machines:
    """A backend that keeps what it was told; one revision may be broken."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.broken: RevisionKey | None = None

    def configure(self, key: RevisionKey, launch: Launch) -> None:
        self.told.append(("configure", key))

    def remove(self, key: RevisionKey) -> None:
        self.told.append(("remove", key))

    def scale(self, key: RevisionKey, replicas: int, stop: tuple[str, ...]) -> None:
        if key == self.broken:
            raise OSError("no more processes")
        self.told.append(("scale", key, replicas, stop))

    def ready(self, key: RevisionKey, replica: str) -> None:
        self.told.append(("ready", key, replica))


def made() -> tuple[Loop, Script, Machines]:
    fleet, backend = Script(), Machines()
    loop = Loop(fleet, Telemetry(CollectorRegistry()))
    loop.attach(backend)
    return loop, fleet, backend


def test_a_scale_command_reaches_the_backend():
    loop, fleet, backend = made()
    fleet.answers = [[UP]]

    loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

    assert ("scale", IRIS, 1, ()) in backend.told


def test_what_activators_must_know_reaches_each_that_has_joined_until_it_leaves():
    loop, fleet, _ = made()
    heard: dict[str, list[Downlink]] = {"a": [], "b": []}
    loop.join("a", heard["a"].append)
    loop.join("b", heard["b"].append)
    fleet.answers = [[Tell(message=view(IRIS))], [], [Tell(message=Gone(key=IRIS))]]

    loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))
    loop.leave("b")
    loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

    assert heard == {"a": [view(IRIS), Gone(key=IRIS)], "b": [view(IRIS)]}


def test_an_activator_that_joins_gets_every_view_at_once():
    loop, _, _ = made()
    loop.configure(IRIS, RevisionSpec(), LAUNCH)
    loop.configure(LLM, RevisionSpec(), LAUNCH)
    heard: list[Downlink] = []

    loop.join("a", heard.append)

    assert heard == [view(LLM), view(IRIS)]


def test_one_that_joins_without_a_link_is_heard_and_is_told_elsewhere():
    loop, fleet, _ = made()
    loop.configure(IRIS, RevisionSpec(), LAUNCH)

    loop.join("a")

    assert fleet.told[-1] == ("joined", "a")
    assert loop.views() == (view(IRIS),)


def test_a_backend_that_fails_for_one_revision_serves_the_others(caplog):
    loop, fleet, backend = made()
    backend.broken = IRIS
    fleet.answers = [[UP, Scale(key=LLM, replicas=2, reason="busy")]]

    with caplog.at_level(logging.ERROR):
        loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

    assert backend.told == [("scale", LLM, 2, ())]
    assert "failed revision=production/iris" in caplog.text


def test_a_fleet_that_fails_for_one_revision_hears_of_the_others(caplog):
    loop, fleet, backend = made()
    fleet.broken = IRIS
    fleet.answers = [[], [Scale(key=LLM, replicas=1, reason="wake")]]

    with caplog.at_level(logging.ERROR):
        loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))
        loop.hear(Wake(key=LLM, reporter="a", epoch=0, held=1))

    assert backend.told == [("scale", LLM, 1, ())]


def test_a_listener_that_fails_costs_nobody_else_anything(caplog):
    loop, _, _ = made()
    heard: list[object] = []

    def broken(event: object) -> None:
        raise ValueError("not mine")

    loop.listen(broken)
    loop.listen(heard.append)

    with caplog.at_level(logging.ERROR):
        loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

    assert len(heard) == 1


def test_listeners_hear_the_cause_before_its_commands():
    loop, fleet, _ = made()
    heard: list[object] = []
    loop.listen(heard.append)
    fleet.answers = [[UP]]
    wake = Wake(key=IRIS, reporter="a", epoch=0, held=1)

    loop.hear(wake)

    assert heard == [wake, UP]


def test_who_calls_again_from_within_waits_for_its_turn():
    loop, fleet, backend = made()
    fleet.answers = [[UP, Scale(key=LLM, replicas=1, reason="together")]]
    loop.listen(lambda event: loop.order(LLM, Order.PIN) if event is UP else None)

    loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

    assert [each[0] for each in fleet.told] == ["hear", "order"]
    assert [each[1] for each in backend.told] == [IRIS, LLM]


def test_a_probe_that_succeeds_is_told_to_the_backend_too():
    loop, fleet, backend = made()

    loop.hear(Ready(key=IRIS, reporter="a", replica="iris-1"))

    assert backend.told == [("ready", IRIS, "iris-1")]
    assert fleet.told == [("hear", IRIS, "Ready")]


def test_that_a_removed_revisions_replicas_went_is_told_to_the_fleet_alone():
    loop, fleet, backend = made()
    loop.configure(IRIS, RevisionSpec(), LAUNCH)
    loop.observed(IRIS, (Replica(id="iris-1"),))
    heard: list[object] = []
    loop.listen(heard.append)

    loop.remove(IRIS)
    loop.observed(IRIS, ())

    assert fleet.told[1:] == [
        ("observe", IRIS, 1), ("remove", IRIS), ("observe", IRIS, 0),
    ]  # fmt: skip
    assert [each[0] for each in backend.told] == ["configure", "remove"]
    assert heard == []


def test_a_removed_revision_gives_its_room_back_once_its_replicas_went():
    async def scene():
        fleet = Fleet(budget=Budget(memory=1), now=0.0)
        loop = Loop(fleet, Telemetry(CollectorRegistry()), lambda: 0.0)
        backend = Machines()
        loop.attach(backend)
        spec = RevisionSpec(
            scaling=ScalingSpec(min_replicas=0, initial_scale=0), needs=Needs(memory=1)
        )
        loop.configure(IRIS, spec, LAUNCH)
        loop.configure(LLM, spec, LAUNCH)
        loop.order(IRIS, Order.WAKE)
        loop.observed(IRIS, (Replica(id="iris-1"),))

        loop.remove(IRIS)
        loop.order(LLM, Order.WAKE)
        assert ("scale", LLM, 1, ()) not in backend.told

        loop.observed(IRIS, ())
        assert ("scale", LLM, 1, ()) in backend.told
        loop.close()

    asyncio.run(scene())


def test_a_failed_start_is_told_kept_and_announced():
    loop, fleet, _ = made()
    heard: list[object] = []
    loop.listen(heard.append)
    failure = StartFailure(reason="exit status 1", final=True)

    loop.failed(IRIS, failure)

    assert fleet.told == [("failed", IRIS, "exit status 1")]
    assert heard == [Failure(key=IRIS, failure=failure)]
    assert [each.what for each in loop.moments(IRIS)] == [failure]


def test_the_last_decisions_of_each_revision_are_kept_and_no_more():
    loop, fleet, _ = made()
    decided = [
        Decided(
            key=IRIS,
            seen=Observation(stable=1, panic=1, ready=1),
            decision=Decision(desired=1, mode=Mode.STABLE, reason="busy"),
            replicas=number,
            reason="busy",
        )
        for number in range(30)
    ]
    fleet.answers = [list(decided)]

    loop.order(IRIS, Order.WAKE)

    assert [each.what for each in loop.moments(IRIS)] == decided[10:]
    assert loop.moments(LLM) == ()


def test_decisions_that_say_the_same_are_kept_once_the_newest():
    loop, fleet, _ = made()
    first, second, third = (
        Decided(
            key=IRIS,
            seen=Observation(stable=load, panic=1, ready=1),
            decision=Decision(desired=1, mode=Mode.STABLE, reason="busy"),
            replicas=replicas,
            reason="busy",
        )
        for load, replicas in ((1, 1), (2, 1), (2, 2))
    )
    fleet.answers = [[first, second, third]]

    loop.order(IRIS, Order.WAKE)

    assert [each.what for each in loop.moments(IRIS)] == [second, third]


def test_the_timer_rings_when_the_fleet_wishes():
    async def scene():
        async with asyncio.timeout(10):
            loop, fleet, _ = made()
            fleet.wake_at = 0.0

            loop.order(IRIS, Order.WAKE)
            await fleet.advanced.wait()

            loop.close()

    asyncio.run(scene())


def test_a_wish_for_sooner_moves_the_timer_and_one_for_later_does_not():
    async def scene():
        async with asyncio.timeout(10):
            now = 0.0
            fleet = Script()
            loop = Loop(fleet, Telemetry(CollectorRegistry()), lambda: now)
            fleet.wake_at = 1e6
            loop.order(IRIS, Order.WAKE)
            fleet.wake_at = 0.0
            loop.order(IRIS, Order.WAKE)

            await fleet.advanced.wait()

            loop.close()

    asyncio.run(scene())


def test_a_timer_that_rings_too_early_rings_again():
    async def scene():
        async with asyncio.timeout(10):
            times = iter((0.0, 0.0, 0.0))
            fleet = Script()
            loop = Loop(fleet, Telemetry(CollectorRegistry()), lambda: next(times, 1.0))
            fleet.wake_at = 0.001

            loop.order(IRIS, Order.WAKE)
            await fleet.advanced.wait()

            loop.close()

    asyncio.run(scene())


def test_a_closed_loop_decides_nothing():
    async def scene():
        loop, fleet, _ = made()
        fleet.wake_at = 1e9
        loop.configure(IRIS, RevisionSpec(), LAUNCH)

        loop.close()
        loop.hear(Wake(key=IRIS, reporter="a", epoch=0, held=1))

        assert len(fleet.told) == 1

    asyncio.run(scene())


def test_status_is_the_fleets_in_the_order_of_names():
    async def scene():
        loop, _, _ = made()
        loop.configure(IRIS, RevisionSpec(), LAUNCH)
        loop.configure(LLM, RevisionSpec(), LAUNCH)

        assert [each.key for each in loop.statuses()] == [LLM, IRIS]
        assert loop.status(IRIS).state == "asleep"
        with pytest.raises(KeyError):
            loop.status(RevisionKey("default", "no"))

    asyncio.run(scene())


def test_use_and_pictures_reach_the_fleet():
    loop, fleet, _ = made()
    heard: list[object] = []
    loop.listen(heard.append)
    loop.configure(IRIS, RevisionSpec(), LAUNCH)

    loop.usage(IRIS, 80.0)
    loop.observed(IRIS, (Replica(id="iris-1"),))

    assert fleet.told[1:] == [("usage", IRIS, 80.0), ("observe", IRIS, 1)]
    assert heard == [Observed(key=IRIS, replicas=(Replica(id="iris-1"),))]


def test_what_a_cluster_says_reaches_the_fleet():
    async def scene() -> None:
        loop, script, machines = made()

        loop.configure(IRIS, RevisionSpec())
        loop.lead(leading=False)
        loop.standing(IRIS, aside=True, keeps="nobody stands in", awaits="a node")
        loop.rebudget(Budget(gpus=3))

        assert [each for each in script.told if each[0] != "configure"] == [
            ("lead", False),
            ("standing", IRIS, True, "nobody stands in", "a node"),
            ("rebudget", Budget(gpus=3)),
        ]
        # A backend that starts replicas by itself is given no launch.
        assert machines.told == []
        loop.close()

    asyncio.run(scene())
