"""Every request's way to a replica: gates, holds, releases, and what to report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from activator.core.gate import Gate
from activator.core.holds import Holds, Limits, expired, reject, turned_away
from activator.core.meter import nanoseconds
from activator.core.ticket import (
    HELD,
    Effect,
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
from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import (
    Drained,
    Lost,
    Ready,
    Sample,
    View,
    Wake,
)

__all__ = ["FAILURES", "Limits", "Switchboard"]

FAILURES: Final = 3
"""A request that so many endpoints broke off is not sent again: it may be the cause."""


class Switchboard:
    """All gates of one activator; a driver calls it and then does what it `take`s.

    Each ticket ends once: by `depart`, by `leave`, or by a Reject, which is an answer
    or comes in an Expire. An ended ticket is forgotten.
    """

    __slots__ = (
        "_awake",
        "_effects",
        "_gates",
        "_holds",
        "_reported_at",
        "_unready",
        "name",
        "stirred",
    )

    def __init__(self, *, name: str, limits: Limits, now: float) -> None:
        self.name = name
        self.stirred = False
        """There are effects to take."""
        self._holds = Holds(limits)
        self._gates: dict[RevisionKey, Gate] = {}
        self._awake: dict[RevisionKey, Gate] = {}
        """Gates that may have something to report."""
        self._unready: dict[Endpoint, RevisionKey] = {}
        self._reported_at = now
        self._effects: list[Effect] = []

    @property
    def wake_at(self) -> float:
        """When `advance` has something to do: the first deadline of a held request."""
        return self._holds.wake_at

    def gate(self, key: RevisionKey) -> Gate | None:
        """Return the gate of *key*: the same one until the revision is removed."""
        return self._gates.get(key)

    # What happens to requests.

    def arrive(
        self, gate: Gate, ticket: Ticket, size: int, pick: float, now: float
    ) -> Endpoint | Held | Reject:
        """Let a new request in: forward it, hold it or turn it away.

        *size* is how much of its body was read, *pick* a uniform in [0, 1) or its key.
        """
        meter = gate.meter
        meter.arrived += 1
        ticket.gate = gate
        ticket.size = size
        ticket.pick = pick
        free = gate.free
        if not free:
            return self._admit(gate, ticket, now)
        endpoint = free[0] if len(free) == 1 else gate.choose(free, pick, now)
        ticket.endpoint = endpoint
        endpoint.in_flight = in_flight = endpoint.in_flight + 1
        if in_flight == endpoint.slots:
            gate.drop(endpoint)
        meter.level += 1
        meter.moments -= round(now * 1e9)
        return endpoint

    def depart(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """End a request that was forwarded; its slot goes to who waits longest."""
        endpoint, gate = ticket.endpoint, ticket.gate
        if endpoint is None or gate is None:
            raise ValueError(f"a ticket ended {outcome.name}, but it is not in flight")
        ticket.endpoint = None
        meter = gate.meter
        meter.level -= 1
        meter.moments += round(now * 1e9)
        endpoint.used = now
        endpoint.in_flight -= 1
        if endpoint.place < 0:
            self._vacated(gate, endpoint, now)

    def failed(
        self, ticket: Ticket, delivered: bool, replayable: bool, now: float
    ) -> Endpoint | Held | Reject:
        """Find another way for a request that its endpoint broke off.

        *delivered*: the replica may have begun to act on it; *replayable*: to act on it
        twice does no harm, and the driver still has all of it.
        """
        endpoint, gate = ticket.endpoint, ticket.gate
        if endpoint is None or gate is None:
            raise ValueError("a ticket failed, but it is not in flight")
        ticket.endpoint = None
        ticket.failures += 1
        endpoint.used = now
        endpoint.in_flight -= 1
        answer: Endpoint | Held | Reject
        if delivered and not replayable:
            reason = f"replica {endpoint.replica} broke the request off"
            answer = reject(gate, Why.LOST, reason, now)
        elif ticket.failures >= FAILURES:
            reason = f"{ticket.failures} replicas in turn broke the request off"
            answer = reject(gate, Why.LOST, reason, now)
        else:
            answer = self._again(gate, ticket, endpoint, now)
        if isinstance(answer, Reject):
            gate.meter.end(nanoseconds(now))
        if endpoint.place < 0:
            self._vacated(gate, endpoint, now)
        return answer

    def leave(self, ticket: Ticket, now: float) -> None:
        """End a request whose client has gone; one that has ended already may too."""
        if ticket.endpoint is not None:
            self.depart(ticket, Outcome.LEFT, now)
        elif ticket.held and ticket.gate is not None:
            self._end_hold(ticket.gate, ticket, now)

    def grew(self, ticket: Ticket, n: int, now: float) -> Grew | Reject:
        """Know of *n* bytes more of a request's body."""
        gate = ticket.gate
        if not ticket.held or gate is None:
            ticket.size += n
            return Grew.OK
        answer = self._holds.grew(gate, ticket, n, now)
        if isinstance(answer, Reject):
            self._end_hold(gate, ticket, now)
        return answer

    def keep(self, gate: Gate, n: int, now: float) -> Grew | Reject:
        """Count *n* bytes of who is not held as if it were; a Reject ends no ticket."""
        return self._holds.keep(gate, n, now)

    def let_go(self, gate: Gate, n: int) -> None:
        """Count *n* bytes that were kept no more."""
        self._holds.let_go(gate, n)

    # What happens to replicas and revisions.

    def ready(self, key: RevisionKey, replica: str, now: float) -> None:
        """Know that a probe of *replica* succeeded."""
        gate = self._gates.get(key)
        endpoint = gate.endpoints.get(replica) if gate is not None else None
        if gate is None or endpoint is None or endpoint.ready:
            return
        endpoint.ready = True
        endpoint.ready_at = endpoint.used = now
        self._unready.pop(endpoint, None)
        self._report(Ready(key=key, reporter=self.name, replica=replica))
        if gate.waking_since is not None:
            gate.wake_took_s = now - gate.waking_since
            gate.waking_since = None
        gate.sort()
        self._pump(gate, now)

    def lost(self, key: RevisionKey, replica: str, now: float) -> None:
        """Know that *replica* cannot be connected to, or has died."""
        gate = self._gates.get(key)
        endpoint = gate.endpoints.get(replica) if gate is not None else None
        if gate is None or endpoint is None or not endpoint.ready:
            return
        endpoint.ready = False
        self._report(Lost(key=key, reporter=self.name, replica=replica))
        gate.sort()
        self._look_for(gate)
        self._wake(gate, now)

    def update(self, view: View, now: float) -> None:
        """Know a revision by *view* from now on, unless a newer one is known."""
        key = view.key
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(key)
        elif view.version <= gate.version:
            return
        for endpoint in gate.endpoints.values():
            self._unready.pop(endpoint, None)
        if view.refusal is not None or view.epoch != gate.epoch:
            gate.waking_since = None
        gate.see(view, now)
        if view.addresses:
            self._awake[key] = gate
        self._look_for(gate)
        for endpoint in gate.endpoints.values():
            self._drained(gate, endpoint)
        if view.refusal is not None:
            self._turn_away(gate, now)
        self._pump(gate, now)
        self._wake(gate, now)

    def remove(self, key: RevisionKey, now: float) -> None:
        """Forget a revision; what it has in flight may end as if it were there."""
        gate = self._gates.pop(key, None)
        if gate is None:
            return
        self._awake.pop(key, None)
        for endpoint in gate.endpoints.values():
            self._unready.pop(endpoint, None)
        gate.close()
        self._turn_away(gate, now)

    def probing(self) -> Iterable[tuple[RevisionKey, Endpoint]]:
        """Return what to probe: endpoints that have an address and are not ready."""
        return [(key, endpoint) for endpoint, key in self._unready.items()]

    # What is due, and what is to be told.

    def advance(self, now: float) -> None:
        """Turn away whoever was held for long enough."""
        while self._holds.wake_at <= now:
            gate, ticket = self._holds.first
            self._expire(gate, ticket, expired(gate, now), now)

    def report(self, now: float) -> list[Sample]:
        """Return the load since the last report, of each gate that has any to tell."""
        at, since = nanoseconds(now), nanoseconds(self._reported_at)
        if at <= since:
            return []
        span_s = now - self._reported_at
        self._reported_at = now
        samples = []
        for key, gate in list(self._awake.items()):
            reading = gate.meter.read(at)
            level, held = gate.meter.level, len(gate.queue)
            gate.throughput = reading.finished / span_s
            if not (gate.endpoints or level or reading.arrived or reading.finished):
                del self._awake[key]
                continue
            sample = Sample(
                key=key,
                reporter=self.name,
                span_s=span_s,
                concurrency=reading.integral / (at - since),
                requests=reading.arrived,
                held=held,
                in_flight=level - held,
                epoch=gate.epoch,
                version=gate.version,
                replicas=gate.loads(now),
            )
            samples.append(sample)
        return samples

    def take(self) -> list[Effect]:
        """Return the effects since the last take, in order."""
        effects = self._effects
        if effects:
            self._effects = []
            self.stirred = False
        return effects

    # Holding and letting go.

    def _admit(self, gate: Gate, ticket: Ticket, now: float) -> Held | Reject:
        """Hold a new request or turn it away: nobody can have it now."""
        if not gate.gone:
            self._awake[gate.key] = gate
        refusal = self._holds.refusal(gate, ticket, now)
        if refusal is not None:
            gate.meter.turned_away += 1
            return refusal
        gate.meter.begin(nanoseconds(now))
        self._holds.add(gate, ticket, now, first=False)
        self._wake(gate, now)
        return HELD

    def _again(
        self, gate: Gate, ticket: Ticket, endpoint: Endpoint, now: float
    ) -> Endpoint | Held | Reject:
        """Forward a request that *endpoint* failed, or hold it before all others."""
        other = gate.another(endpoint, ticket.pick, now)
        if other is not None:
            _forward(gate, ticket, other)
            return other
        if ticket.deadline <= now:
            return expired(gate, now)
        refusal = self._holds.refusal(gate, ticket, now)
        if refusal is not None:
            return refusal
        self._holds.add(gate, ticket, now, first=True)
        self._wake(gate, now)
        return HELD

    def _pump(self, gate: Gate, now: float) -> None:
        """Release held requests, first come first, as far as there are free slots."""
        queue, free = gate.queue, gate.free
        while queue and free:
            ticket = next(iter(queue))
            self._holds.drop(gate, ticket)
            endpoint = gate.choose(free, ticket.pick, now)
            _forward(gate, ticket, endpoint)
            self._say(Release(ticket, endpoint))

    def _turn_away(self, gate: Gate, now: float) -> None:
        """End all holds of a gate that was refused or removed."""
        while gate.queue:
            self._expire(gate, next(iter(gate.queue)), turned_away(gate), now)

    def _expire(self, gate: Gate, ticket: Ticket, why: Reject, now: float) -> None:
        self._end_hold(gate, ticket, now)
        self._say(Expire(ticket, why))

    def _end_hold(self, gate: Gate, ticket: Ticket, now: float) -> None:
        self._holds.drop(gate, ticket)
        gate.meter.end(nanoseconds(now))

    def _vacated(self, gate: Gate, endpoint: Endpoint, now: float) -> None:
        """Give a slot that became free to who waits longest, or to nobody."""
        if endpoint.open and endpoint.vacant:
            gate.join(endpoint)
            if gate.queue:
                self._pump(gate, now)
        elif not endpoint.in_flight:
            gate.leaving.pop(endpoint.replica, None)
            self._drained(gate, endpoint)

    # Telling.

    def _wake(self, gate: Gate, now: float) -> None:
        """Ask for a replica, once for each sleep; samples repeat it."""
        if not gate.queue or gate.awake:
            return
        if gate.waking_since is None:
            gate.waking_since = now
        if gate.woken != gate.epoch:
            gate.woken = gate.epoch
            self._report(
                Wake(
                    key=gate.key,
                    reporter=self.name,
                    epoch=gate.epoch,
                    held=len(gate.queue),
                )
            )

    def _look_for(self, gate: Gate) -> None:
        for endpoint in gate.endpoints.values():
            if endpoint.port and not endpoint.ready and not endpoint.draining:
                self._unready[endpoint] = gate.key

    def _drained(self, gate: Gate, endpoint: Endpoint) -> None:
        if endpoint.draining and not endpoint.drained and not endpoint.in_flight:
            endpoint.drained = True
            replica = endpoint.replica
            self._report(Drained(key=gate.key, reporter=self.name, replica=replica))

    def _report(self, message: Wake | Ready | Lost | Drained) -> None:
        self._say(Report(message))

    def _say(self, effect: Effect) -> None:
        self._effects.append(effect)
        self.stirred = True


def _forward(gate: Gate, ticket: Ticket, endpoint: Endpoint) -> None:
    ticket.endpoint = endpoint
    endpoint.in_flight += 1
    if endpoint.in_flight == endpoint.slots:
        gate.drop(endpoint)
