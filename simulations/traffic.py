"""Requests on their way: through a Switchboard to a replica, and to their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappush
from math import inf
from typing import assert_never

from activator.core.gate import Gate
from activator.core.switchboard import Switchboard
from activator.core.ticket import Endpoint, Held, Outcome, Reject, Ticket
from autoscaler.core.domain import RevisionKey
from simulations.chance import uniforms
from simulations.cluster import Cluster, Machine, Part
from simulations.engine import Engine, Rank
from simulations.retries import pause_s
from simulations.run import End, Run
from simulations.workload import Requests, Workload

Departing = tuple[Ticket, int, Machine, "Door"]
"""A request at a replica: its ticket, its index, where it is, how it came in."""


class Door:
    """One revision's gate at one activator."""

    __slots__ = (
        "board",
        "gate",
        "key",
        "patience_s",
        "replayable",
        "retries",
        "size",
    )

    def __init__(self, board: Switchboard, load: Workload) -> None:
        self.board = board
        self.gate: Gate | None = None
        self.key = load.key
        self.patience_s = load.patience_s
        self.replayable = load.replayable
        self.retries = load.retries
        self.size = load.size


class Traffic:
    """All requests of a run; what a Switchboard says besides is taken by *settle*."""

    def __init__(
        self,
        engine: Engine,
        cluster: Cluster,
        boards: Sequence[Switchboard],
        run: Run,
        begin: Callable[[float], None],
        settle: Callable[[float], None],
    ) -> None:
        self.quiet = True
        """Nobody samples: *begin* is called before the next request arrives."""
        self._engine = engine
        self._cluster = cluster
        self._boards = boards
        self._run = run
        self._begin = begin
        self._settle = settle
        self._requests = run.requests
        self._via = _ways(run.requests, len(boards), run.seed)
        self._doors = [
            Door(board, load) for load in run.requests.workloads for board in boards
        ]
        self._open = _Open()
        self._attempts: dict[int, int] = {}
        """How many failed, of each request that was tried again or will be."""
        self._tickets: dict[int, Ticket | None] = {}
        """The newest of each of these; None: its client waits to try again."""
        self._depart = self._departures()

    def find_doors(self, key: RevisionKey) -> None:
        """Look the gates of *key* up again: a view of it has come, or gone."""
        for door in self._doors:
            if door.key == key:
                door.gate = door.board.gate(key)

    def opened(self, machine: Machine) -> None:
        """Expect requests at a replica from now on."""
        self._open[machine.id] = machine

    def closed(self, machine: Machine) -> None:
        """Expect none any more."""
        self._open.pop(machine.id, None)

    def walk(self) -> None:
        """Let the requests come, when the engine runs."""
        self._engine.walk(self._requests.arrivals, self._arrivals())

    def broke(self, machine: Machine) -> None:
        """Break each connection to a replica that is there no more."""
        now = self._engine.now
        self.closed(machine)
        for board in self._boards:
            board.lost(machine.key, machine.id, now)
        cut: list[Departing] = self._engine.withdraw(
            self._depart, lambda subject: subject[2] is machine
        )
        for ticket, index, _, door in cut:
            machine.in_flight -= 1
            answer = door.board.failed(
                ticket, delivered=True, replayable=door.replayable, now=now
            )
            self._go_on(ticket, index, door, answer, End.LOST)

    def released(self, ticket: Ticket, endpoint: Endpoint) -> None:
        """Send a request that was held to its replica."""
        index = _index(ticket)
        self._go_on(ticket, index, self._doors[self._via[index]], endpoint, End.LOST)

    def expired(self, ticket: Ticket, reject: Reject) -> None:
        """End a request that was held."""
        self._turn_away(_index(ticket), End.EXPIRED, reject)

    # Every name that a request needs is bound once: what these two functions do is done
    # millions of times.

    def _arrivals(self) -> Callable[[int, float], None]:
        requests, settle, depart = self._requests, self._settle, self._depart
        begin = self._begin
        via, doors, opened = self._via, self._doors, self._open
        picks, services = requests.picks, requests.services
        heap, following = self._engine.heap, self._engine.following
        busy, rank = Part.BUSY, int(Rank.DEPARTURE)

        def arrive(index: int, now: float) -> None:
            if self.quiet:
                begin(now)
            door = doors[via[index]]
            gate = door.gate
            if gate is None:
                self._unrouted(index, door)
                return
            ticket = Ticket(index)
            answer = door.board.arrive(gate, ticket, door.size, picks[index], now)
            if answer.__class__ is not Endpoint or door.patience_s != inf:
                self._arrived(ticket, index, door, answer)
                settle(now)
                return
            machine = opened[answer.replica]
            machine.in_flight = in_flight = machine.in_flight + 1
            if in_flight > machine.peak:
                machine.peak = in_flight
            if in_flight == 1:
                machine.seconds[machine.part] += now - machine.since
                machine.part = busy
                machine.since = now
            subject = (ticket, index, machine, door)
            took = services[index]
            if machine.slowing:
                took *= 1.0 + machine.slowing * (in_flight - 1)
            heappush(heap, (now + took, rank, following(), depart, subject))

        return arrive

    def _departures(self) -> Callable[[Departing, float], None]:
        settle, ends = self._settle, self._run.ends
        answered, well = int(End.ANSWERED), Outcome.OK
        busy, idle = Part.BUSY, Part.IDLE

        def depart(subject: Departing, now: float) -> None:
            ticket, index, machine, door = subject
            board = door.board
            board.depart(ticket, well, now)
            ends[index] = answered
            machine.in_flight = in_flight = machine.in_flight - 1
            if not in_flight and machine.part is busy:
                machine.seconds[busy] += now - machine.since
                machine.part = idle
                machine.since = now
            if board.stirred:
                settle(now)

        return depart

    def _arrived(
        self, ticket: Ticket, index: int, door: Door, answer: Endpoint | Held | Reject
    ) -> None:
        if door.patience_s < inf:
            at = self._engine.now + door.patience_s
            self._engine.at(at, Rank.DEPARTURE, self._leave, (ticket, index, door))
        if isinstance(answer, Endpoint):
            if index in self._attempts:
                begun = self._requests.arrivals[index]
                self._run.waits[index] = self._engine.now - begun
            self._dispatch(ticket, index, door, answer)
            return
        if not any(m.id in self._open for m in self._cluster.living(door.key)):
            self._run.cold[index] = 1
        self._go_on(ticket, index, door, answer, End.REJECTED)

    def _go_on(
        self,
        ticket: Ticket,
        index: int,
        door: Door,
        answer: Endpoint | Held | Reject,
        end: End,
    ) -> None:
        """Do what a Switchboard answered; *end* is what its rejection means."""
        match answer:
            case Endpoint():
                begun = self._requests.arrivals[index]
                self._run.waits[index] = self._engine.now - begun
                self._dispatch(ticket, index, door, answer)
            case Reject():
                self._turn_away(index, end, answer)
            case Held():
                pass
            case _:
                assert_never(answer)

    def _dispatch(
        self, ticket: Ticket, index: int, door: Door, endpoint: Endpoint
    ) -> None:
        now = self._engine.now
        machine = self._open[endpoint.replica]
        machine.in_flight += 1
        machine.peak = max(machine.peak, machine.in_flight)
        if machine.in_flight == 1:
            machine.turn(Part.BUSY, now)
        others = machine.in_flight - 1
        took = self._requests.services[index] * (1.0 + machine.slowing * others)
        self._engine.at(
            now + took, Rank.DEPARTURE, self._depart, (ticket, index, machine, door)
        )

    def _leave(self, subject: tuple[Ticket, int, Door], now: float) -> None:
        ticket, index, door = subject
        if self._run.ends[index] != End.PENDING:
            return
        if self._tickets.get(index, ticket) is not ticket:
            return  # That attempt has failed since.
        door.board.leave(ticket, now)
        served: list[Departing] = self._engine.withdraw(
            self._depart, lambda departing: departing[1] == index
        )
        for _, _, machine, _ in served:
            machine.in_flight -= 1
            if not machine.in_flight and machine.part is Part.BUSY:
                machine.turn(Part.IDLE, now)
        self._end(index, door, End.LEFT, 0.0)
        self._settle(now)

    def _turn_away(self, index: int, end: End, reject: Reject) -> None:
        door = self._doors[self._via[index]]
        self._run.refusals[door.key, f"{reject.why}: {reject.reason}"] += 1
        self._end(index, door, end, reject.retry_after_s)

    def _unrouted(self, index: int, door: Door) -> None:
        self._run.refusals[door.key, "no route"] += 1
        self._end(index, door, End.REJECTED, 0.0)

    def _end(self, index: int, door: Door, end: End, told_s: float) -> None:
        """End a request that was not answered, unless its client tries again."""
        failed = self._attempts.get(index, 0) + 1
        if failed > door.retries:
            self._run.ends[index] = end
            return
        self._attempts[index] = failed
        self._tickets[index] = None
        self._run.retries[door.key, end] += 1
        number = self._requests.numbers[index]
        pause = pause_s(self._run.seed, door.key, number, failed, told_s)
        self._engine.at(self._engine.now + pause, Rank.ARRIVAL, self._retry, index)

    def _retry(self, index: int, now: float) -> None:
        if self.quiet:
            self._begin(now)
        door = self._doors[self._via[index]]
        gate = door.gate
        if gate is None:
            self._unrouted(index, door)
            return
        ticket = self._tickets[index] = Ticket(index)
        pick = self._requests.picks[index]
        answer = door.board.arrive(gate, ticket, door.size, pick, now)
        self._arrived(ticket, index, door, answer)
        self._settle(now)


class _Open(dict[str, Machine]):
    """Replicas that may be given requests: listening, and not about to go."""

    def __missing__(self, replica: str) -> Machine:
        raise RuntimeError(f"a request was sent to {replica}, which takes none")


def _ways(requests: Requests, activators: int, seed: int) -> Sequence[int]:
    """Choose each request's door: its workload's, at one of the activators."""
    if activators == 1:
        return requests.sources
    chances = [
        uniforms(seed, f"{load.key}/activator", len(load.arrivals))
        for load in requests.workloads
    ]
    return [
        source * activators + int(chances[source][number] * activators)
        for source, number in zip(requests.sources, requests.numbers, strict=True)
    ]


def _index(ticket: Ticket) -> int:
    assert isinstance(ticket.owner, int)
    return ticket.owner
