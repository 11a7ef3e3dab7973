"""Who waits, over all gates: bounds in requests and bytes, and deadlines."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from activator.core.gate import Gate
from activator.core.ticket import Grew, Reject, Ticket, Why

_STALE: Final = 64
"""Deadlines of requests that wait no more are swept out when they are more than this
and more than half of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be held over all gates."""

    max_held: int = 10_000
    max_held_bytes: int = 256 << 20


class Holds:
    """The sums that bound all gates together, and one heap of deadlines."""

    __slots__ = ("_bytes", "_deadlines", "_held", "_limits", "_pushed")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self._bytes = 0
        self._deadlines: list[tuple[float, int, Ticket, Gate]] = []
        """Who was released or left is still in it for a while."""
        self._pushed = 0

    @property
    def wake_at(self) -> float:
        """When the first hold ends."""
        deadlines = self._deadlines
        while deadlines and not deadlines[0][2].held:
            heappop(deadlines)
        return deadlines[0][0] if deadlines else inf

    @property
    def first(self) -> tuple[Gate, Ticket]:
        """Return whose hold ends first; there is one where `wake_at` is finite."""
        _, _, ticket, gate = self._deadlines[0]
        return gate, ticket

    def refusal(self, gate: Gate, ticket: Ticket, now: float) -> Reject | None:
        """Say why *ticket* cannot be held, if it cannot."""
        if gate.gone or gate.refusal is not None:
            return turned_away(gate)
        spec, limits = gate.spec, self._limits
        if len(gate.queue) >= spec.max_held:
            reason = f"{len(gate.queue)} requests wait for {gate.key}, the most allowed"
        elif self._held >= limits.max_held:
            reason = f"{self._held} requests wait at this activator, the most allowed"
        elif self._fits(gate, ticket.size):
            return None
        else:
            return _overweight(gate, now)
        return reject(gate, Why.FULL, reason, now)

    def add(self, gate: Gate, ticket: Ticket, now: float, *, first: bool) -> None:
        """Let *ticket* wait, before all others or after them."""
        if ticket.deadline == inf:
            ticket.deadline = now + gate.spec.hold_limit_s
        ticket.held = True
        gate.queue[ticket] = None
        if first:
            gate.queue.move_to_end(ticket, last=False)
        self._count(gate, 1, ticket.size)
        if len(self._deadlines) > max(_STALE, 2 * self._held):
            self._deadlines = [each for each in self._deadlines if each[2].held]
            heapify(self._deadlines)
        self._pushed += 1
        heappush(self._deadlines, (ticket.deadline, self._pushed, ticket, gate))

    def drop(self, gate: Gate, ticket: Ticket) -> None:
        """Let *ticket* wait no more."""
        ticket.held = False
        del gate.queue[ticket]
        self._count(gate, -1, -ticket.size)

    def grew(self, gate: Gate, ticket: Ticket, n: int, now: float) -> Grew | Reject:
        """Add *n* bytes to what waits, if they fit.

        Bodies that grow fill half of a bound at most: a few of them must not take all
        the room from those who come. The read that was under way may still go over.
        """
        answer = self.keep(gate, n, now)
        if not isinstance(answer, Reject):
            ticket.size += n
        return answer

    def keep(self, gate: Gate, n: int, now: float) -> Grew | Reject:
        """Count *n* bytes of who waits or not, if they fit; until they are `let_go`."""
        if not self._fits(gate, n):
            return _overweight(gate, now)
        self._count(gate, 0, n)
        near = (
            2 * gate.bytes > gate.spec.max_held_bytes
            or 2 * self._bytes > self._limits.max_held_bytes
        )
        return Grew.PAUSE if near else Grew.OK

    def let_go(self, gate: Gate, n: int) -> None:
        """Count *n* bytes that were kept no more."""
        self._count(gate, 0, -n)

    def _fits(self, gate: Gate, size: int) -> bool:
        return (
            gate.bytes + size <= gate.spec.max_held_bytes
            and self._bytes + size <= self._limits.max_held_bytes
        )

    def _count(self, gate: Gate, requests: int, size: int) -> None:
        gate.bytes += size
        self._held += requests
        self._bytes += size


def reject(gate: Gate, why: Why, reason: str, now: float) -> Reject:
    """Turn away with the gate's estimate of when to try again."""
    return Reject(why=why, reason=reason, retry_after_s=gate.patience_s(now))


def expired(gate: Gate, now: float) -> Reject:
    """Turn away a request that waited for as long as its gate lets wait."""
    reason = f"waited {gate.spec.hold_limit_s:g} s for {gate.key}, the longest allowed"
    return reject(gate, Why.EXPIRED, reason, now)


def turned_away(gate: Gate) -> Reject:
    """Turn away whoever waits at a gate whose starts fail, or that was removed."""
    refusal = gate.refusal
    if refusal is None:
        return Reject(why=Why.GONE, reason=f"{gate.key} was removed", retry_after_s=0.0)
    return Reject(
        why=Why.REFUSED, reason=refusal.reason, retry_after_s=refusal.retry_after_s
    )


def _overweight(gate: Gate, now: float) -> Reject:
    reason = "the bodies of waiting requests fill all the bytes allowed"
    return reject(gate, Why.BYTES, reason, now)
