"""Laws of the Switchboard on random histories, judged from calls and answers alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import (
    Endpoint,
    Expire,
    Grew,
    Held,
    Outcome,
    Reject,
    Release,
    Report,
    Ticket,
    Why,
)
from autoscaler.core.domain import Balance, GateSpec, Probe, RevisionKey
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

KEYS = (RevisionKey("ns", "one"), RevisionKey("ns", "two"))
LIMITS = Limits(max_held=6, max_held_bytes=900)
GATES = st.builds(
    GateSpec,
    container_concurrency=st.integers(0, 4),
    max_held=st.integers(0, 5),
    max_held_bytes=st.sampled_from([0, 100, 600]),
    hold_limit_s=st.sampled_from([0.0, 1.0, 5.0]),
    balance=st.sampled_from([*Balance, "header:x", "prompt:9"]),
    slow_start_s=st.sampled_from([0.0, 0.0, 3.0]),
)
NAMES = st.sampled_from("pqr")
CHANCE = st.floats(-1.0, 1.0, exclude_max=True)
"""Below 0: a key."""


@dataclass
class Request:
    """What the test knows of one request."""

    key: RevisionKey
    ticket: Ticket
    size: int
    began: int
    """ns."""
    at: str | None = None
    """The replica it was forwarded to; None: held."""
    endpoint: Endpoint | None = None
    deadline: float | None = None


@dataclass
class Known:
    """What the test has told the Switchboard of one revision, and heard from it."""

    view: View
    ready: set[str] = field(default_factory=set)
    line: list[int] = field(default_factory=list)
    """Held requests, first first."""
    woken: set[int] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    objects: dict[str, Endpoint] = field(default_factory=dict)

    def address(self, replica: str) -> Address | None:
        return next((a for a in self.view.addresses if a.replica == replica), None)

    @property
    def awake(self) -> bool:
        """Say whether there is a replica that is ready and stays."""
        return any(
            a.replica in self.ready and not a.draining for a in self.view.addresses
        )


class Board(RuleBasedStateMachine):
    """A Switchboard beside a model that knows calls and returned values only."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10.0
        self.board = Switchboard(name="a", limits=LIMITS, now=self.now)
        self.known: dict[RevisionKey, Known] = {}
        self.requests: dict[int, Request] = {}
        self.orphans: set[int] = set()
        """Requests of a revision that was removed."""
        self.ends: Counter[int] = Counter()
        self.count = 0
        self.version = 0
        self.spent: Counter[RevisionKey] = Counter()
        """Request-nanoseconds that ended, by revision."""
        self.reported: Counter[RevisionKey] = Counter()
        self.reported_at = self.now
        self.arrived: Counter[RevisionKey] = Counter()
        self.busy: set[RevisionKey] = set()
        """Revisions that had requests at the last report."""

    # What the model knows.

    def at(self, key: RevisionKey, replica: str) -> int:
        return sum(
            r.key == key and r.at == replica
            for n, r in self.requests.items()
            if n not in self.orphans
        )

    def held(self) -> list[Request]:
        return [r for r in self.requests.values() if r.at is None]

    def end(self, number: int) -> None:
        request = self.requests.pop(number)
        self.ends[number] += 1
        if request.at is None and number not in self.orphans:
            self.known[request.key].line.remove(number)
        if number not in self.orphans:
            self.spent[request.key] += round(self.now * 1e9) - request.began

    def forward(self, number: int, endpoint: Endpoint) -> None:
        """Check a forward against all that forbids one."""
        request = self.requests[number]
        known = self.known[request.key]
        assert number not in self.orphans, "forwarded for a revision that is gone"
        address = known.address(endpoint.replica)
        assert address is not None, f"{endpoint.replica} is not in the view"
        assert not address.draining, f"{endpoint.replica} drains"
        assert endpoint.replica in known.ready, f"{endpoint.replica} is not ready"
        assert not known.view.paused
        assert known.view.refusal is None
        assert (endpoint.host, endpoint.port) == (address.host, address.port)
        same = known.objects.setdefault(endpoint.replica, endpoint)
        assert same is endpoint, "another object for the same replica"
        request.at, request.endpoint = endpoint.replica, endpoint
        if address.slots >= 0:
            assert self.at(request.key, endpoint.replica) <= address.slots

    def hold(self, number: int, *, first: bool) -> None:
        request = self.requests[number]
        known = self.known[request.key]
        assert number not in self.orphans
        request.at = request.endpoint = None
        if request.deadline is None:
            request.deadline = self.now + known.view.gate.hold_limit_s
        known.line.insert(0 if first else len(known.line), number)
        self.fits(known)

    def fits(self, known: Known) -> None:
        """Check a gate's bounds where it let something in; a view may lower them."""
        gate = known.view.gate
        assert len(known.line) <= gate.max_held
        self.fits_in_bytes(known)

    def fits_in_bytes(self, known: Known) -> None:
        size = sum(self.requests[n].size for n in known.line)
        assert size <= known.view.gate.max_held_bytes

    def reject(self, number: int, reject: Reject) -> None:
        request = self.requests[number]
        assert reject.reason
        assert reject.retry_after_s >= 0
        if reject.why in (Why.FULL, Why.BYTES):
            assert reject.status == 429
        if number in self.orphans:
            assert reject.why in (Why.GONE, Why.LOST, Why.EXPIRED)
        elif reject.why is Why.REFUSED:
            assert self.known[request.key].view.refusal is not None
        self.end(number)

    def take(self) -> None:
        """Do what the Switchboard asks for, and judge it."""
        stirred, effects = self.board.stirred, self.board.take()
        assert stirred == bool(effects)
        assert not self.board.take()
        assert not self.board.stirred
        for effect in effects:
            match effect:
                case Release(ticket=ticket, endpoint=endpoint):
                    number = ticket.owner
                    known = self.known[self.requests[number].key]
                    assert known.line[0] == number, "not first come first served"
                    known.line.pop(0)
                    self.forward(number, endpoint)
                case Expire(ticket=ticket, reject=reject):
                    assert self.requests[ticket.owner].at is None
                    if reject.why is Why.EXPIRED:
                        assert self.requests[ticket.owner].deadline <= self.now
                    self.reject(ticket.owner, reject)
                case Report(message=message):
                    self.told(message)

    def told(self, message: Wake | Ready | Lost | Drained) -> None:
        assert message.reporter == "a"
        known = self.known[message.key]
        match message:
            case Wake(epoch=epoch, held=held):
                assert held >= 1
                assert epoch not in known.woken, "the same sleep was woken twice"
                known.woken.add(epoch)
            case Drained(replica=replica):
                address = known.address(replica)
                assert address is not None
                assert address.draining
                assert not self.at(message.key, replica)
                assert replica not in known.drained, "drained was said twice"
                known.drained.add(replica)
            case Ready(replica=replica):
                assert replica in known.ready
            case Lost(replica=replica):
                assert replica not in known.ready

    def answer(
        self, number: int, answer: Endpoint | Held | Reject, first: bool
    ) -> None:
        match answer:
            case Endpoint():
                self.forward(number, answer)
            case Held():
                self.hold(number, first=first)
            case Reject():
                self.reject(number, answer)

    # What may happen, in any order.

    @initialize(gate=GATES, slots=st.sampled_from([-1, 1, 2]), up=st.sets(NAMES))
    def begin(self, gate: GateSpec, slots: int, up: set[str]) -> None:
        replicas = [(replica, slots, False, 9000) for replica in "pqr"]
        self.update(KEYS[0], gate, replicas, "", False, False)
        for replica in sorted(up):
            self.known[KEYS[0]].ready.add(replica)
            self.board.ready(KEYS[0], replica, self.now)
        self.take()

    @rule(key=st.sampled_from(KEYS), size=st.sampled_from([0, 10, 90]), pick=CHANCE)
    def arrive(self, key: RevisionKey, size: int, pick: float) -> None:
        gate = self.board.gate(key)
        assert (gate is None) == (key not in self.known)
        if gate is None:
            return
        self.count += 1
        self.arrived[key] += 1
        ticket = Ticket(self.count)
        began = round(self.now * 1e9)
        self.requests[self.count] = Request(key, ticket, size, began)
        waiting = bool(self.known[key].line)
        shut = bool(self.known[key].view.paused or self.known[key].view.refusal)
        free = any(
            a.replica in self.known[key].ready
            and not a.draining
            and (a.slots < 0 or self.at(key, a.replica) < a.slots)
            for a in self.known[key].view.addresses
        )

        answer = self.board.arrive(gate, ticket, size, pick, self.now)

        assert isinstance(answer, Endpoint) == (free and not shut)
        assert not (isinstance(answer, Endpoint) and waiting), "somebody came before"
        if isinstance(answer, Reject):
            full = (
                len(self.known[key].line) >= self.known[key].view.gate.max_held
                or len(self.held()) > LIMITS.max_held
            )
            assert (answer.why is Why.FULL) == (full and answer.why is not Why.REFUSED)
            # A rejected one was never there: it adds nothing to the integral.
            self.requests[self.count].at = "nowhere"
        self.answer(self.count, answer, first=False)
        self.take()

    def some(self, data: st.DataObject, numbers: list[int]) -> int:
        return data.draw(st.sampled_from(sorted(numbers)))

    def in_flight(self) -> list[int]:
        return [n for n, r in self.requests.items() if r.at is not None]

    @precondition(lambda self: self.in_flight())
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def depart(self, data: st.DataObject, outcome: Outcome) -> None:
        number = self.some(data, self.in_flight())
        ticket = self.requests[number].ticket

        self.board.depart(ticket, outcome, self.now)

        self.end(number)
        self.take()
        with pytest.raises(ValueError, match="not in flight"):
            self.board.depart(ticket, outcome, self.now)

    @precondition(lambda self: self.in_flight())
    @rule(data=st.data(), delivered=st.booleans(), replayable=st.booleans())
    def fail(self, data: st.DataObject, delivered: bool, replayable: bool) -> None:
        number = self.some(data, self.in_flight())
        request = self.requests[number]
        request.at = request.endpoint = "nowhere"  # type: ignore[assignment]

        answer = self.board.failed(request.ticket, delivered, replayable, self.now)

        if delivered and not replayable:
            assert isinstance(answer, Reject)
            assert answer.why is Why.LOST
        if isinstance(answer, Reject):
            self.reject(number, answer)
        else:
            self.answer(number, answer, first=True)
        self.take()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        number = self.some(data, list(self.requests))
        ticket = self.requests[number].ticket

        self.board.leave(ticket, self.now)
        self.board.leave(ticket, self.now)

        self.end(number)
        self.take()

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), n=st.sampled_from([1, 60, 400]))
    def grow(self, data: st.DataObject, n: int) -> None:
        number = self.some(data, list(self.requests))
        request = self.requests[number]

        answer = self.board.grew(request.ticket, n, self.now)

        if isinstance(answer, Reject):
            assert answer.why is Why.BYTES
            assert request.at is None
            self.reject(number, answer)
        else:
            request.size += n
            if request.at is not None:
                assert answer is Grew.OK
            else:
                key = request.key
                self.fits_in_bytes(self.known[key])
                mine = sum(r.size for r in self.held() if r.key == key)
                most = self.known[key].view.gate.max_held_bytes
                total = sum(r.size for r in self.held())
                near = 2 * mine > most or 2 * total > LIMITS.max_held_bytes
                assert answer is (Grew.PAUSE if near else Grew.OK)
        self.take()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), up=st.booleans())
    def probe(self, data: st.DataObject, up: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        known = self.known[key]
        replica = data.draw(NAMES)
        if known.address(replica) is not None:
            (known.ready.add if up else known.ready.discard)(replica)

        (self.board.ready if up else self.board.lost)(key, replica, self.now)

        self.take()

    @rule(
        key=st.sampled_from(KEYS),
        gate=GATES,
        replicas=st.lists(
            st.tuples(
                NAMES,
                st.sampled_from([-1, 0, 1, 2, 3]),
                st.booleans(),
                st.sampled_from([0, 9000, 9000, 9000]),
            ),
            unique_by=lambda each: each[0],
        ),
        paused=st.sampled_from(["", "", "", "makes room for ns/three"]),
        refused=st.sampled_from([False, False, False, True]),
        sleep=st.booleans(),
    )
    def update(self, key, gate, replicas, paused, refused, sleep) -> None:
        self.version += 1
        before = self.known.get(key)
        view = View(
            key=key,
            version=self.version,
            epoch=(before.view.epoch if before else 1) + sleep,
            gate=gate,
            probe=Probe(),
            addresses=tuple(
                Address(replica=r, host="h", port=port, slots=slots, draining=draining)
                for r, slots, draining, port in replicas
            ),
            paused=paused,
            refusal=Refusal(reason="exit status 1", retry_after_s=7.0)
            if refused
            else None,
        )
        known = self.known.setdefault(key, Known(view))
        # One that the old view had not is forgotten once it has nothing in flight.
        known.objects = {
            replica: each
            for replica, each in known.objects.items()
            if known.address(replica) or self.at(key, replica)
        }
        moved = {
            a.replica
            for a in known.view.addresses
            if (
                now := next((b for b in view.addresses if b.replica == a.replica), None)
            )
            and now.port != a.port
        }
        known.view = view
        known.ready &= {a.replica for a in view.addresses} - moved
        known.drained &= {a.replica for a in view.addresses if a.draining}

        self.board.update(view, self.now)

        self.take()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def hear_an_old_view(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        old = replace(
            self.known[key].view,
            version=data.draw(st.integers(0, self.known[key].view.version)),
            refusal=Refusal(reason="old", retry_after_s=1.0),
            addresses=(),
        )

        self.board.update(old, self.now)

        assert not self.board.stirred

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        gate = self.board.gate(key)

        self.board.remove(key, self.now)

        assert self.board.gate(key) is None
        self.take()
        assert not self.known[key].line, "somebody waits at a gate that is gone"
        late = Ticket(None)
        answer = self.board.arrive(gate, late, 0, 0.0, self.now)
        assert isinstance(answer, Reject)
        assert answer.why is Why.GONE
        self.orphans |= {n for n, r in self.requests.items() if r.key == key}
        del self.known[key]
        self.spent.pop(key, None)
        self.reported.pop(key, None)
        self.arrived.pop(key, None)
        self.busy.discard(key)

    @rule(seconds=st.sampled_from([0.0, 1e-9, 0.1, 0.3, 1.0, 4.7]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

        self.board.advance(self.now)

        self.take()

    @rule()
    def report(self) -> None:
        span = round(self.now * 1e9) - round(self.reported_at * 1e9)
        samples = self.board.report(self.now)
        assert span or not samples
        if not span:
            return
        assert len({sample.key for sample in samples}) == len(samples)
        for sample in samples:
            assert sample.span_s == self.now - self.reported_at
            self.reported[sample.key] += round(sample.concurrency * span)
            self.check(sample)
        told = {sample.key for sample in samples}
        for key, known in self.known.items():
            there, told_of = self.there(key), key in told
            must = known.view.addresses or there or self.arrived[key]
            assert told_of or not must
            assert must or key in self.busy or not told_of
            lives = sum(round(self.now * 1e9) - r.began for r in there)
            assert self.reported[key] == self.spent[key] + lives
        self.busy = {key for key in self.known if self.there(key)}
        self.arrived.clear()
        self.reported_at = self.now

    def there(self, key: RevisionKey) -> list[Request]:
        return [
            r
            for n, r in self.requests.items()
            if r.key == key and n not in self.orphans
        ]

    def check(self, sample: Sample) -> None:
        key = sample.key
        known = self.known[key]
        there = self.there(key)
        assert sample.held == len(known.line)
        assert sample.in_flight == len(there) - len(known.line)
        assert sample.requests == self.arrived[key]
        assert (sample.epoch, sample.version) == (known.view.epoch, known.view.version)
        loads = {load.replica: load for load in sample.replicas}
        assert {r for r, load in loads.items() if load.ready} == known.ready
        assert set(loads) >= {a.replica for a in known.view.addresses}
        for replica, load in loads.items():
            assert load.in_flight == self.at(key, replica)
            assert load.idle_s >= 0
            assert not (load.in_flight and load.idle_s)

    # What holds at any time.

    @invariant()
    def nobody_ends_twice(self) -> None:
        assert set(self.ends.values()) <= {1}
        assert set(self.ends) | set(self.requests) == set(range(1, self.count + 1))

    @invariant()
    def bounds_are_kept(self) -> None:
        held = self.held()
        assert len(held) <= LIMITS.max_held
        assert sum(r.size for r in held) <= LIMITS.max_held_bytes

    @invariant()
    def who_waits_could_not_be_forwarded_and_has_woken(self) -> None:
        for key, known in self.known.items():
            if not known.line:
                continue
            assert known.view.refusal is None
            if not known.awake:
                assert known.view.epoch in known.woken, "nobody was told to wake it"
            if not known.view.paused:
                for a in known.view.addresses:
                    if a.replica in known.ready and not a.draining:
                        assert 0 <= a.slots <= self.at(key, a.replica)

    @invariant()
    def who_drains_and_is_empty_was_said_to_be(self) -> None:
        for key, known in self.known.items():
            for a in known.view.addresses:
                if a.draining and not self.at(key, a.replica):
                    assert a.replica in known.drained

    @invariant()
    def what_has_an_address_and_is_not_ready_is_probed(self) -> None:
        wanted = {
            (key, a.replica)
            for key, known in self.known.items()
            for a in known.view.addresses
            if a.port and not a.draining and a.replica not in known.ready
        }
        assert {(k, e.replica) for k, e in self.board.probing()} == wanted

    @invariant()
    def it_wants_to_be_asked_when_the_first_hold_ends(self) -> None:
        ends = [r.deadline for r in self.held()]
        assert self.board.wake_at == min(ends, default=float("inf"))

    def teardown(self) -> None:
        """Let everybody end: nothing is left, and the integral is the sum."""
        for number in list(self.requests):
            self.board.leave(self.requests[number].ticket, self.now)
            self.end(number)
            self.take()
        self.now += 1.0
        self.report()
        assert set(self.ends.values()) <= {1}
        assert len(self.ends) == self.count


def test_the_laws_hold_in_every_order_of_calls():
    run_state_machine_as_test(
        Board, settings=settings(stateful_step_count=60, max_examples=200)
    )
