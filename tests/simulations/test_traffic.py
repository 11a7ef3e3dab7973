"""Requests between a Switchboard and replicas, with no Fleet behind."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import Expire, Release
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, Refusal, View
from simulations.cluster import Machine, Part
from simulations.engine import Engine
from simulations.run import End, Run
from simulations.traffic import Traffic
from simulations.workload import Workload, merge

pytestmark = pytest.mark.source

LLM = RevisionKey("default", "llm")


class Street:
    """Switchboards with one revision, and replicas that are there or not."""

    def __init__(self, *arrivals: float, service_s=1.0, boards=1, **load) -> None:
        services = array("d", [service_s]) * len(arrivals)
        workload = Workload(
            key=LLM, arrivals=array("d", arrivals), services=services, **load
        )
        requests = merge((workload,), seed=1)
        count = len(arrivals)
        self.engine = Engine(now=0.0)
        self.machines: list[Machine] = []
        self.boards = [
            Switchboard(name=f"a{n}", limits=Limits(), now=0.0) for n in range(boards)
        ]
        self.run = Run(
            seed=1, until=100.0, requests=requests, ends=bytearray(count), waits={},
            cold=bytearray(count), refusals=Counter(), decisions=[], scales=[],
            machines=self.machines, failures=Counter(), crashes=Counter(),
        )  # fmt: skip
        self.begun: list[float] = []
        self.traffic = Traffic(
            self.engine, self, self.boards, self.run, self.begin, self.settle
        )  # type: ignore[arg-type]  # of a Cluster it asks only who is living
        self.version = 0

    def living(self, key: RevisionKey) -> list[Machine]:
        return self.machines

    def begin(self, now: float) -> None:
        self.begun.append(now)
        self.traffic.quiet = False

    def settle(self, now: float) -> None:
        for board in self.boards:
            board.advance(now)
            for effect in board.take():
                match effect:
                    case Release(ticket=ticket, endpoint=endpoint):
                        self.traffic.released(ticket, endpoint)
                    case Expire(ticket=ticket, reject=reject):
                        self.traffic.expired(ticket, reject)

    def show(self, replicas: int, slots: int = 1, **more) -> None:
        """Have so many replicas, all of them ready."""
        now = self.engine.now
        while len(self.machines) < replicas:
            machine = Machine(LLM, len(self.machines) + 1, now)
            machine.listening = True
            machine.turn(Part.IDLE, now)
            self.machines.append(machine)
            self.traffic.opened(machine)
        self.version += 1
        addresses = tuple(
            Address(replica=m.id, host="h", port=m.number, slots=slots)
            for m in self.machines
        )
        view = View(key=LLM, version=self.version, epoch=1, probe=Probe(),
                    addresses=addresses, gate=GateSpec(hold_limit_s=5.0), **more)  # fmt: skip
        for board in self.boards:
            board.update(view, now)
            for machine in self.machines:
                board.ready(LLM, machine.id, now)
        self.traffic.find_doors(LLM)
        self.settle(now)

    def go(self, until: float) -> list[End]:
        self.traffic.walk()
        self.engine.run(until)
        return [End(end) for end in self.run.ends]


def test_a_request_is_served_for_as_long_as_it_takes():
    street = Street(1.0, 5.0, service_s=2.0)
    street.show(1)

    assert street.go(until=6.9) == [End.ANSWERED, End.PENDING]
    street.engine.run(until=7.0)

    (machine,) = street.machines
    assert list(street.run.ends) == [End.ANSWERED, End.ANSWERED]
    assert (machine.in_flight, machine.peak) == (0, 1)
    machine.turn(Part.IDLE, 7.0)
    assert machine.seconds[Part.BUSY] == 4.0
    assert machine.seconds[Part.IDLE] == 3.0
    assert street.run.waits == {}


def test_whoever_comes_to_a_quiet_world_begins_its_reports():
    street = Street(1.0, 2.0)
    street.show(1)

    street.go(until=3.0)

    assert street.begun == [1.0]


def test_what_waits_for_a_slot_is_delayed_and_what_finds_nobody_is_cold():
    street = Street(1.0, 1.5)
    street.show(1)
    street.go(until=10.0)
    assert street.run.waits == {1: 0.5}
    assert list(street.run.cold) == [0, 0]

    alone = Street(1.0)
    alone.show(0)
    assert alone.go(until=3.0) == [End.PENDING]
    alone.show(1)
    alone.engine.run(until=10.0)
    assert alone.run.waits == {0: 2.0}
    assert list(alone.run.cold) == [1]


def test_a_request_for_a_revision_without_a_gate_is_turned_away():
    assert Street(1.0).go(until=2.0) == [End.REJECTED]


def test_a_request_that_is_refused_or_held_too_long_says_why():
    refused = Street(1.0)
    refused.show(0, refusal=Refusal(reason="exit status 1", retry_after_s=1.0))
    assert refused.go(until=2.0) == [End.REJECTED]
    assert refused.run.refusals == {(LLM, "refused: exit status 1"): 1}

    late = Street(1.0, 7.0)
    late.show(0)
    # The second one's arrival settles, as a timer of the world's would have.
    assert late.go(until=8.0) == [End.EXPIRED, End.PENDING]


@pytest.mark.parametrize(
    ("replayable", "others", "end"),
    [
        pytest.param(False, 1, End.LOST, id="it may have been acted on"),
        pytest.param(True, 1, End.ANSWERED, id="another replica has it"),
        pytest.param(True, 0, End.PENDING, id="nobody else is there: it waits"),
    ],
)
def test_a_request_whose_replica_breaks_goes_on_where_that_is_safe(
    replayable, others, end
):
    street = Street(1.0, service_s=4.0, replayable=replayable)
    street.show(1 + others)
    street.traffic.walk()
    street.engine.run(until=3.0)
    (machine,) = [each for each in street.machines if each.in_flight]

    street.traffic.broke(machine)
    street.settle(3.0)
    street.engine.run(until=20.0)

    assert End(street.run.ends[0]) is end
    assert machine.in_flight == 0


def test_a_client_without_patience_leaves_the_queue_and_the_replica():
    street = Street(1.0, 1.0, 1.0, service_s=4.0, patience_s=2.0)
    street.show(1)

    assert street.go(until=2.9) == [End.PENDING] * 3
    street.engine.run(until=3.0)
    (machine,) = street.machines

    assert list(street.run.ends) == [End.LEFT] * 3
    assert (machine.in_flight, machine.part) == (0, Part.IDLE)
    street.engine.run(until=50.0)
    assert list(street.run.ends) == [End.LEFT] * 3


def test_a_client_that_was_answered_has_no_more_patience_to_lose():
    street = Street(1.0, service_s=1.0, patience_s=30.0)
    street.show(1)

    assert street.go(until=50.0) == [End.ANSWERED]


def test_a_request_to_a_replica_that_takes_none_is_a_fault_of_the_machines():
    street = Street(1.0)
    street.show(1)
    street.traffic.closed(street.machines[0])

    with pytest.raises(RuntimeError, match="default/llm-1, which takes none"):
        street.go(until=2.0)


def test_requests_come_in_by_every_activator():
    street = Street(*[float(n) for n in range(1, 101)], service_s=0.1, boards=2)
    street.show(1, slots=-1)

    assert set(street.go(until=200.0)) == {End.ANSWERED}
    counts = [board.report(200.0)[0].requests for board in street.boards]
    assert sum(counts) == 100
    assert all(30 <= count <= 70 for count in counts)


def attempts(street: Street) -> int:
    """Return how many came to the Switchboards."""
    return sum(
        sample.requests
        for board in street.boards
        for sample in board.report(street.engine.now)
    )


def test_a_client_that_is_refused_tries_again_and_has_waited_since_it_came():
    street = Street(1.0, retries=5)
    refusal = Refusal(reason="exit status 1", retry_after_s=3.0)
    street.show(0, refusal=refusal)
    assert street.go(until=2.0) == [End.PENDING]
    street.show(1)
    street.engine.run(until=9.0)

    assert list(street.run.ends) == [End.ANSWERED]
    assert street.run.retries == {(LLM, End.REJECTED): 1}
    assert street.run.refusals == {(LLM, "refused: exit status 1"): 1}
    # What it was told to wait for, and up to half a second.
    assert 3.0 <= street.run.waits[0] < 3.5
    assert list(street.run.cold) == [1]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_client_gives_up_after_as_many_tries_as_it_makes(retries):
    street = Street(1.0, retries=retries)
    street.show(0, refusal=Refusal(reason="no", retry_after_s=0.0))

    assert street.go(until=60.0) == [End.REJECTED]

    assert sum(street.run.refusals.values()) == attempts(street) == 1 + retries
    assert sum(street.run.retries.values()) == retries


def test_who_finds_no_route_or_is_held_too_long_tries_again_too():
    nowhere = Street(1.0, retries=2)
    assert nowhere.go(until=60.0) == [End.REJECTED]
    assert nowhere.run.refusals == {(LLM, "no route"): 3}

    late = Street(1.0, 7.0, retries=1)
    late.show(0)
    # The second one's arrival settles, as a timer of the world's would have.
    late.go(until=7.5)
    assert late.run.retries == {(LLM, End.EXPIRED): 1}
    assert list(late.run.ends) == [End.PENDING] * 2


def test_each_attempt_has_the_patience_of_its_client():
    street = Street(1.0, service_s=4.0, patience_s=2.0, retries=2)
    street.show(1)

    street.go(until=3.0)
    assert street.run.retries == {(LLM, End.LEFT): 1}
    assert street.machines[0].in_flight == 0
    street.engine.run(until=60.0)

    assert list(street.run.ends) == [End.LEFT]
    assert attempts(street) == 3


def test_the_patience_of_an_attempt_that_failed_does_not_end_the_next():
    street = Street(1.0, service_s=2.8, patience_s=3.0, retries=1)
    street.show(0, refusal=Refusal(reason="no", retry_after_s=0.0))
    street.go(until=1.0)
    street.show(1)
    street.engine.run(until=60.0)

    # It tries again before 1.5, so it is served beyond 4.0, when it would have left.
    assert list(street.run.ends) == [End.ANSWERED]


def test_a_request_that_was_lost_with_its_replica_is_made_again():
    street = Street(1.0, service_s=4.0, retries=1)
    street.show(2)
    street.go(until=3.0)
    (machine,) = [each for each in street.machines if each.in_flight]

    street.traffic.broke(machine)
    street.settle(3.0)
    street.engine.run(until=20.0)

    assert list(street.run.ends) == [End.ANSWERED]
    assert street.run.retries == {(LLM, End.LOST): 1}
    assert 2.0 <= street.run.waits[0] < 3.5


@given(
    st.lists(st.floats(0.0, 40.0), min_size=1, max_size=30).map(sorted),
    st.integers(0, 4),
    st.sampled_from([0.5, 3.0, 30.0]),
    st.sampled_from([1.0, 4.0, 1e9]),
)
def test_every_attempt_ends_once_and_every_request_does(
    arrivals, retries, service_s, patience_s
):
    street = Street(
        *arrivals, service_s=service_s, patience_s=patience_s, retries=retries
    )
    street.show(0, refusal=Refusal(reason="no", retry_after_s=1.0))
    street.traffic.walk()
    for at in (5.0, 12.0, 20.0):
        street.engine.run(until=at)
        if at == 12.0:
            street.traffic.broke(street.machines[0])
            street.settle(at)
            street.machines.clear()
        street.show(1)
    street.engine.run(until=500.0)
    street.settle(500.0)
    street.engine.run(until=900.0)

    run, ends = street.run, Counter(End(end) for end in street.run.ends)
    again = sum(run.retries.values())
    assert sum(ends.values()) == len(arrivals)
    assert ends[End.PENDING] == 0
    made = attempts(street)
    assert made == len(arrivals) + again
    assert again <= retries * len(arrivals)
    left = ends[End.LEFT] + run.retries[LLM, End.LEFT]
    assert made == ends[End.ANSWERED] + left + sum(run.refusals.values())
