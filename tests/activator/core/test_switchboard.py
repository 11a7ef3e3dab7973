"""What a Switchboard does in turn; its laws in any order are in tests/laws."""

from __future__ import annotations

import pytest

from activator.core.balance import by_key
from activator.core.gate import Gate
from activator.core.rendezvous import pick_of
from activator.core.switchboard import FAILURES, Limits, Switchboard
from activator.core.ticket import (
    HELD,
    Endpoint,
    Expire,
    Grew,
    Outcome,
    Reject,
    Release,
    Report,
    Ticket,
    Why,
)
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import (
    Address,
    Drained,
    Lost,
    Ready,
    Refusal,
    Sample,
    View,
    Wake,
)

KEY = RevisionKey("ns", "llm")


class Desk:
    """A Switchboard with one revision, and the words to speak of it shortly."""

    def __init__(self, *replicas: str, slots: int = 1, **spec) -> None:
        spec.setdefault("container_concurrency", max(slots, 0))
        self.board = Switchboard(name="a", limits=Limits(), now=0.0)
        self.spec = GateSpec(**spec)
        self.slots = slots
        self.version = 0
        self.view(*replicas)
        for replica in replicas:
            self.board.ready(KEY, replica, 0.0)
        self.board.take()

    @property
    def gate(self) -> Gate:
        gate = self.board.gate(KEY)
        assert gate is not None
        return gate

    def view(self, *replicas: str, now=0.0, epoch=1, slots=None, draining=(), **more):
        self.version += 1
        addresses = tuple(
            Address(
                replica=replica,
                host="h",
                port=9000,
                slots=self.slots if slots is None else slots,
                draining=replica in draining,
            )
            for replica in replicas
        )
        more = {"gate": self.spec, **more}
        self.board.update(
            View(key=KEY, version=self.version, epoch=epoch, probe=Probe(),
                 addresses=addresses, **more),
            now,
        )  # fmt: skip

    def arrive(self, *, now=0.0, size=0, pick=0.0):
        ticket = Ticket(None)
        return ticket, self.board.arrive(self.gate, ticket, size, pick, now)

    def fill(self, number: int = 1) -> list[Ticket]:
        """Let requests arrive that are all forwarded."""
        made = [self.arrive() for _ in range(number)]
        assert all(isinstance(answer, Endpoint) for _, answer in made)
        return [ticket for ticket, _ in made]

    def hold(self, number: int = 1) -> list[Ticket]:
        made = [self.arrive() for _ in range(number)]
        assert all(answer is HELD for _, answer in made)
        return [ticket for ticket, _ in made]

    def messages(self) -> list[object]:
        return [each.message for each in self.board.take() if isinstance(each, Report)]

    def sample(self, now: float) -> Sample:
        (sample,) = self.board.report(now)
        return sample


def test_what_fits_is_forwarded_and_leaves_no_effect():
    desk = Desk("r", slots=2)

    a, b = desk.fill(2)
    desk.board.depart(a, Outcome.OK, 1.0)
    desk.board.depart(b, Outcome.FAILED, 1.0)

    assert not desk.board.stirred
    assert desk.board.take() == []


def test_what_does_not_fit_is_held_and_released_in_turn():
    desk = Desk("r")
    (first,) = desk.fill()
    second, third = desk.hold(2)

    desk.board.depart(first, Outcome.OK, 1.0)

    assert desk.board.stirred
    endpoint = desk.gate.endpoints["r"]
    assert desk.board.take() == [Release(second, endpoint)]
    desk.board.depart(second, Outcome.OK, 2.0)
    assert desk.board.take() == [Release(third, endpoint)]


def test_held_requests_are_spread_over_replicas_as_they_come():
    desk = Desk(slots=2)
    tickets = desk.hold(5)
    desk.view("a", "b")
    desk.board.take()

    desk.board.ready(KEY, "a", 1.0)
    desk.board.ready(KEY, "b", 1.0)

    released = [e for e in desk.board.take() if isinstance(e, Release)]
    assert [each.ticket for each in released] == tickets[:4]
    assert [each.endpoint.replica for each in released] == ["a", "a", "b", "b"]


def test_held_requests_with_one_key_are_released_to_one_replica_while_it_has_room():
    desk = Desk("a", "b", "c", slots=2, balance="header:x-session-id")
    desk.view("a", "b", "c", paused="makes room for ns/iris")
    key = pick_of(b"seven")
    home = by_key(list(desk.gate.endpoints.values()), key, 0.0)
    for pick in (key, 0.1, 0.2, 0.3, key):
        assert desk.arrive(pick=pick)[1] is HELD

    desk.view("a", "b", "c")

    released = [e.endpoint for e in desk.board.take() if isinstance(e, Release)]
    assert released[0] is released[4] is home
    assert max(each.in_flight for each in desk.gate.endpoints.values()) == 2


def test_a_slow_start_holds_nobody_after_a_wake():
    desk = Desk(slots=0, slow_start_s=60.0)
    tickets = desk.hold(9)
    desk.view("a", "b", slots=-1)
    desk.board.take()

    desk.board.ready(KEY, "a", 1.0)

    released = [e for e in desk.board.take() if isinstance(e, Release)]
    assert [each.ticket for each in released] == tickets
    assert isinstance(desk.arrive(now=1.0)[1], Endpoint)


def test_who_is_found_ready_again_starts_slowly_again():
    desk = Desk("a", "b", slots=-1, slow_start_s=60.0)

    def had() -> int:
        """Count what b gets of a hundred requests."""
        picks = [(2 * n + 1) / 200 for n in range(100)]
        made = [desk.arrive(pick=pick, now=120.0)[1] for pick in picks]
        return sum(each.replica == "b" for each in made)

    assert had() == 50
    desk.board.lost(KEY, "b", 119.0)
    desk.board.ready(KEY, "b", 119.0)
    assert had() < 25


def test_a_replica_without_a_limit_takes_all_who_wait():
    desk = Desk(slots=-1)
    desk.hold(50)
    desk.view("a")
    desk.board.ready(KEY, "a", 1.0)

    assert desk.gate.endpoints["a"].in_flight == 50
    assert not desk.gate.queue


def test_a_wake_is_said_once_for_each_sleep():
    desk = Desk()
    desk.hold()
    assert desk.messages() == [Wake(key=KEY, reporter="a", epoch=1, held=1)]

    desk.hold(2)
    desk.view("r")  # it starts
    assert desk.messages() == []

    desk.view(epoch=2)
    assert desk.messages() == [Wake(key=KEY, reporter="a", epoch=2, held=3)]


def test_who_waits_for_a_slot_of_a_ready_replica_wakes_nobody():
    desk = Desk("r")
    desk.fill()
    desk.hold()

    assert desk.messages() == []


def test_a_lost_replica_is_probed_again_and_wakes_for_those_who_wait():
    desk = Desk("r")
    desk.fill()
    (held,) = desk.hold()
    assert desk.board.probing() == []

    desk.board.lost(KEY, "r", 1.0)

    lost = Lost(key=KEY, reporter="a", replica="r")
    wake = Wake(key=KEY, reporter="a", epoch=1, held=1)
    assert desk.messages() == [lost, wake]
    assert desk.board.probing() == [(KEY, desk.gate.endpoints["r"])]
    desk.board.lost(KEY, "r", 1.0)
    assert desk.messages() == []

    desk.view("r", slots=2)
    desk.board.ready(KEY, "r", 2.0)
    ready = Report(Ready(key=KEY, reporter="a", replica="r"))
    assert desk.board.take() == [ready, Release(held, desk.gate.endpoints["r"])]
    desk.board.ready(KEY, "r", 2.0)
    assert not desk.board.stirred


def test_who_is_not_known_changes_nothing():
    desk = Desk("r")
    nobody = RevisionKey("ns", "other")

    for key, replica in ((nobody, "r"), (KEY, "s")):
        desk.board.ready(key, replica, 1.0)
        desk.board.lost(key, replica, 1.0)
    desk.board.remove(nobody, 1.0)

    assert not desk.board.stirred


def test_a_draining_replica_gets_nothing_and_is_said_to_be_empty_once():
    desk = Desk("r", "s")
    (first,) = desk.fill()
    assert first.endpoint is not None
    assert first.endpoint.replica == "r"

    desk.view("r", "s", draining="rs")
    drained = Drained(key=KEY, reporter="a", replica="s")
    assert desk.messages() == [drained]
    _, answer = desk.arrive()
    assert answer is HELD
    # It sleeps: whoever holds is to be told of.
    assert [type(each) for each in desk.messages()] == [Wake]

    desk.board.depart(first, Outcome.OK, 2.0)
    assert desk.messages() == [Drained(key=KEY, reporter="a", replica="r")]
    desk.view("r", "s", draining="rs")
    assert desk.messages() == []
    assert desk.board.probing() == []


def test_a_limit_below_what_is_in_flight_admits_none_and_kills_none():
    desk = Desk("r", slots=3)
    tickets = desk.fill(3)
    desk.view("r", slots=1)

    (held,) = desk.hold()
    desk.board.depart(tickets[0], Outcome.OK, 1.0)
    desk.board.depart(tickets[1], Outcome.OK, 1.0)
    assert held.held
    desk.board.depart(tickets[2], Outcome.OK, 1.0)

    assert held.endpoint is desk.gate.endpoints["r"]


def test_a_hold_ends_at_the_limit_it_began_with():
    desk = Desk(hold_limit_s=10.0)
    (old,) = desk.hold()
    desk.view(gate=GateSpec(hold_limit_s=2.0))
    new, _ = desk.arrive(now=1.0)
    desk.board.take()
    assert desk.board.wake_at == 3.0

    desk.board.advance(2.9)
    assert not desk.board.stirred
    desk.board.advance(3.0)
    (expire,) = desk.board.take()
    assert isinstance(expire, Expire)
    assert (expire.ticket, expire.reject.why) == (new, Why.EXPIRED)

    desk.board.advance(100.0)
    assert [each.ticket for each in desk.board.take()] == [old]
    assert desk.board.wake_at == float("inf")


def test_a_start_that_fails_turns_away_who_waits_and_who_comes():
    desk = Desk()
    (held,) = desk.hold()
    desk.board.take()
    refusal = Refusal(reason="exit status 1: no weights", retry_after_s=20.0)

    desk.view(refusal=refusal)

    reject = Reject(why=Why.REFUSED, reason=refusal.reason, retry_after_s=20.0)
    assert desk.board.take() == [Expire(held, reject)]
    _, answer = desk.arrive()
    assert answer == reject
    assert desk.sample(1.0).requests == 2  # who asks is still heard of

    desk.view()
    desk.hold()


def test_a_paused_gate_holds_what_comes_and_lets_end_what_is_there():
    desk = Desk("r", slots=2)
    (first,) = desk.fill()
    desk.view("r", paused="makes room for ns/iris")

    (held,) = desk.hold()
    desk.board.depart(first, Outcome.OK, 1.0)
    assert desk.board.take() == []

    desk.view("r")
    assert desk.board.take() == [Release(held, desk.gate.endpoints["r"])]


def test_a_removed_revision_turns_away_who_waits_and_lets_end_what_is_there():
    desk = Desk("r", "s")
    first, other = desk.fill(2)
    (held,) = desk.hold()
    gate = desk.gate
    desk.view("r", "s", draining="s")
    desk.board.lost(KEY, "r", 0.5)
    desk.board.take()

    desk.board.remove(KEY, 1.0)

    assert desk.board.gate(KEY) is None
    assert desk.board.probing() == []
    (expire,) = desk.board.take()
    assert isinstance(expire, Expire)
    assert (expire.ticket, expire.reject.why) == (held, Why.GONE)
    late = desk.board.arrive(gate, Ticket(None), 0, 0.0, 1.0)
    assert isinstance(late, Reject)
    desk.board.depart(first, Outcome.OK, 2.0)
    answer = desk.board.failed(other, delivered=False, replayable=True, now=2.0)
    assert isinstance(answer, Reject)
    assert answer.why is Why.GONE
    assert desk.board.take() == []
    assert desk.board.report(3.0) == []


def test_an_old_view_is_nothing_new():
    desk = Desk("r")
    desk.version -= 1

    desk.view()

    assert list(desk.gate.endpoints) == ["r"]


def test_a_failed_request_is_sent_to_another_replica():
    desk = Desk("r", "s")
    (first,) = desk.fill()
    desk.board.lost(KEY, "r", 1.0)

    answer = desk.board.failed(first, delivered=True, replayable=True, now=1.0)

    assert answer is desk.gate.endpoints["s"]
    assert desk.gate.endpoints["r"].in_flight == 0


def test_a_failed_request_tries_the_same_replica_where_there_is_no_other():
    """A kept connection that closed in the moment of use says nothing of the replica."""
    desk = Desk("r")
    (first,) = desk.fill()
    desk.hold()

    answer = desk.board.failed(first, delivered=False, replayable=False, now=1.0)

    assert answer is desk.gate.endpoints["r"]
    assert not desk.board.stirred


def test_a_failed_request_goes_before_those_who_wait_with_its_old_deadline():
    desk = Desk(slots=1, hold_limit_s=10.0)
    (first,) = desk.hold()
    desk.view("r")
    desk.board.ready(KEY, "r", 2.0)
    (second,) = desk.hold()
    desk.board.lost(KEY, "r", 3.0)

    answer = desk.board.failed(first, delivered=False, replayable=False, now=3.0)

    assert answer is HELD
    assert list(desk.gate.queue) == [first, second]
    assert first.deadline == 10.0


def test_a_failed_request_whose_hold_is_over_is_not_held_again():
    desk = Desk(slots=1, hold_limit_s=10.0)
    (first,) = desk.hold()
    desk.view("r")
    desk.board.ready(KEY, "r", 2.0)
    desk.board.lost(KEY, "r", 30.0)

    answer = desk.board.failed(first, delivered=False, replayable=False, now=30.0)

    assert isinstance(answer, Reject)
    assert answer.why is Why.EXPIRED


def test_what_was_delivered_and_is_not_replayable_is_not_sent_again():
    desk = Desk("r")
    (first,) = desk.fill()
    (held,) = desk.hold()

    answer = desk.board.failed(first, delivered=True, replayable=False, now=1.0)

    assert isinstance(answer, Reject)
    assert (answer.why, answer.status) == (Why.LOST, 502)
    assert answer.reason == "replica r broke the request off"
    assert desk.board.take() == [Release(held, desk.gate.endpoints["r"])]


def test_a_request_that_breaks_replica_after_replica_is_given_up():
    desk = Desk("r", "s", slots=-1)
    (first,) = desk.fill()
    answers = [
        desk.board.failed(first, delivered=True, replayable=True, now=float(n))
        for n in range(FAILURES)
    ]

    assert [type(each) for each in answers] == [Endpoint] * (FAILURES - 1) + [Reject]
    assert sum(each.in_flight for each in desk.gate.endpoints.values()) == 0


def test_a_failed_request_that_finds_the_queue_full_is_turned_away():
    desk = Desk("r", max_held=1)
    (first,) = desk.fill()
    desk.hold()
    desk.board.lost(KEY, "r", 1.0)

    answer = desk.board.failed(first, delivered=False, replayable=True, now=1.0)

    assert isinstance(answer, Reject)
    assert answer.why is Why.FULL


def test_a_client_that_leaves_gives_its_place_or_its_slot_back():
    desk = Desk("r")
    (first,) = desk.fill()
    second, third = desk.hold(2)

    desk.board.leave(second, 1.0)
    assert not desk.board.stirred
    desk.board.leave(first, 1.0)

    assert desk.board.take() == [Release(third, desk.gate.endpoints["r"])]
    desk.board.leave(first, 2.0)
    desk.board.leave(second, 2.0)
    desk.board.leave(Ticket(None), 2.0)
    assert not desk.board.stirred


def test_what_is_not_in_flight_cannot_end_so():
    desk = Desk("r")
    (first,) = desk.fill()
    (held,) = desk.hold()
    desk.board.depart(first, Outcome.OK, 1.0)
    desk.board.depart(held, Outcome.OK, 1.0)

    with pytest.raises(ValueError, match="ended OK, but it is not in flight"):
        desk.board.depart(first, Outcome.OK, 2.0)
    with pytest.raises(ValueError, match="failed, but it is not in flight"):
        desk.board.failed(Ticket(None), delivered=False, replayable=False, now=2.0)


def test_a_held_body_grows_up_to_the_bound_and_in_flight_as_it_likes():
    desk = Desk("r", max_held_bytes=100)
    (first,) = desk.fill()
    held, _ = desk.arrive(size=10)

    assert desk.board.grew(first, 10_000, 1.0) is Grew.OK
    assert desk.board.grew(held, 40, 1.0) is Grew.OK
    assert desk.board.grew(held, 10, 1.0) is Grew.PAUSE
    answer = desk.board.grew(held, 50, 1.0)

    assert isinstance(answer, Reject)
    assert answer.why is Why.BYTES
    assert (desk.gate.bytes, len(desk.gate.queue)) == (0, 0)


def test_a_full_queue_says_when_to_come_back():
    desk = Desk(max_held=1)
    desk.hold()
    _, answer = desk.arrive(now=7.0)

    assert isinstance(answer, Reject)
    assert answer.status == 429
    assert answer.retry_after_s == 7.0  # it has taken so long, it may take so again

    desk.view("r")
    desk.board.ready(KEY, "r", 9.0)
    assert desk.gate.wake_took_s == 9.0
    assert desk.gate.waking_since is None


def test_a_sample_is_the_mean_over_its_span():
    desk = Desk("r")
    (first,) = desk.fill()
    held, _ = desk.arrive(now=0.5)
    desk.board.depart(first, Outcome.OK, 0.75)

    sample = desk.sample(1.0)

    assert (sample.span_s, sample.concurrency, sample.requests) == (1.0, 1.25, 2)
    assert (sample.held, sample.in_flight) == (0, 1)
    (load,) = sample.replicas
    assert (load.replica, load.in_flight, load.idle_s) == ("r", 1, 0.0)
    desk.board.depart(held, Outcome.OK, 1.5)
    sample = desk.sample(2.0)
    assert (sample.concurrency, sample.requests) == (0.5, 0)
    assert sample.replicas[0].idle_s == 0.5
    assert desk.gate.throughput == 1.0


def test_who_sleeps_and_is_asked_nothing_is_not_reported():
    desk = Desk()
    assert desk.board.report(1.0) == []
    (held,) = desk.hold()
    assert desk.sample(2.0).held == 1

    desk.board.leave(held, 2.5)
    last = desk.sample(3.0)
    assert (last.concurrency, last.held) == (0.5, 0)
    assert desk.board.report(4.0) == []
    assert desk.board.report(4.0) == []


def test_what_a_replica_has_is_reported_after_the_view_forgot_it():
    desk = Desk("r", slots=2)
    first, second = desk.fill(2)
    desk.view()

    sample = desk.sample(1.0)
    assert sample.in_flight == 2
    assert sample.replicas[0].in_flight == 2
    desk.board.depart(first, Outcome.OK, 1.0)
    desk.board.depart(second, Outcome.OK, 1.0)

    assert desk.gate.leaving == {}
    assert desk.sample(2.0).in_flight == 0
    assert desk.board.report(3.0) == []


def test_what_is_kept_of_others_leaves_less_room_for_who_waits():
    desk = Desk("r", max_held_bytes=100)
    desk.fill()

    assert desk.board.keep(desk.gate, 50, 0.0) is Grew.OK
    assert desk.board.keep(desk.gate, 10, 0.0) is Grew.PAUSE
    assert isinstance(desk.board.keep(desk.gate, 41, 0.0), Reject)
    _, turned_away = desk.arrive(size=41)
    assert isinstance(turned_away, Reject)
    desk.board.let_go(desk.gate, 60)

    assert desk.arrive(size=100)[1] is HELD
