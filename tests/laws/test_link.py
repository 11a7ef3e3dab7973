"""A Fleet, its Shares and two Switchboards over a link that loses, repeats and delays.

The Fleet may end at any time and another one take its place, which knows nothing.
Judged from the calls and their answers alone.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import (
    Endpoint,
    Expire,
    Outcome,
    Reject,
    Release,
    Report,
    Ticket,
)
from autoscaler.core.commands import Decided, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import Gone, Uplink, View
from autoscaler.core.shares import Shares

KEY = RevisionKey("ns", "llm")
LIMIT = 2
HOLD_S = 60.0


class World:
    """Everything around the machines, on one heap of what happens next."""

    def __init__(self, seed: int, loss: float) -> None:
        self.random = random.Random(seed)
        self.loss = loss
        self.now = 0.0
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.fleet = Fleet(budget=Budget(), now=0.0)
        self.shares = Shares(rest_s=30.0, now=0.0)
        self.boards = {
            name: Switchboard(name=name, limits=Limits(), now=0.0) for name in "ab"
        }
        self.replicas: dict[str, bool] = {}
        """Alive ones; True once they answer."""
        self.born = itertools.count()
        self.running: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()
        self.arrived = 0
        self.admitted: set[int] = set()
        self.woken = 0
        self.slept = 0
        self.up: set[str] = set()

        self.restarts = 0
        self.spec = RevisionSpec(
            scaling=ScalingSpec(
                total_value=LIMIT,
                min_replicas=0,
                max_replicas=3,
                initial_scale=0,
                stable_window_s=6,
                grace_s=0.0,
            ),
            gate=GateSpec(container_concurrency=LIMIT, hold_limit_s=HOLD_S),
        )
        for name in self.boards:
            self.fleet.joined(name, 0.0)
            self.shares.joined(name, 0.0)
        self.fleet.configure(KEY, self.spec, 0.0)
        # The first view is part of an activator's snapshot: it asks until it has it.
        self.shares.update(self.fleet.view(KEY), 0.0)
        for name, board in self.boards.items():
            board.update(self.shares.personal(name, KEY), 0.0)
        self.commands()
        self.again(1.0, self.report)
        self.again(0.1, self.probe)

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self.now + delay, next(self.order), action))

    def again(self, period: float, action: Callable[[], None]) -> None:
        def act() -> None:
            action()
            self.at(period, act)

        self.at(period, act)

    def send(self, deliver: Callable[[], None]) -> None:
        """Lose it, repeat it or be late with it, as chance has it."""
        for _ in range(2):
            if self.random.random() < self.loss:
                continue
            self.at(self.random.uniform(0.0, 1.5) if self.loss else 0.0, deliver)
            if self.random.random() >= self.loss:
                break

    def run(self, until: float) -> None:
        while self.heap and self.heap[0][0] <= until:
            due = min(
                self.heap[0][0],
                self.fleet.wake_at,
                self.shares.wake_at,
                *(board.wake_at for board in self.boards.values()),
            )
            self.now = max(self.now, due)
            self.fleet.advance(self.now)
            self.commands()
            self.shares.advance(self.now)
            self.grants()
            for name, board in self.boards.items():
                board.advance(self.now)
                self.effects(name)
            while self.heap and self.heap[0][0] <= self.now:
                heapq.heappop(self.heap)[2]()

    # The autoscaler's side.

    def restart(self) -> None:
        """Lose all that the Fleet knew, with commands that nobody has carried out."""
        self.restarts += 1
        self.fleet = Fleet(budget=Budget(), now=self.now)
        for name in self.boards:
            self.fleet.joined(name, self.now)
        self.fleet.configure(KEY, self.spec, self.now)
        self.observe()

    def commands(self) -> None:
        for command in self.fleet.take():
            match command:
                case Tell(message=View() as view):
                    self.shares.update(view, self.now)
                case Tell(message=Gone(key=key)):
                    self.shares.gone(key)
                case Scale(replicas=replicas, stop=stop):
                    self.scale(replicas, stop)
                case Decided():
                    pass
        self.grants()

    def grants(self) -> None:
        for grant in self.shares.take():
            board = self.boards[grant.activator]

            def deliver(
                board: Switchboard = board,
                name: str = grant.activator,
                view: View = grant.view,
            ) -> None:
                board.update(view, self.now)
                self.effects(name)

            self.send(deliver)

    def scale(self, replicas: int, stop: tuple[str, ...]) -> None:
        for replica in stop:
            if replica in self.replicas:
                assert not self.running[replica], f"{replica} was stopped while busy"
                del self.replicas[replica]
                self.slept += 1
        while len(self.replicas) < replicas:
            replica = f"r{next(self.born)}"
            self.replicas[replica] = False
            self.at(self.random.uniform(0.1, 4.0), lambda r=replica: self.listen(r))
        self.observe()

    def listen(self, replica: str) -> None:
        if replica in self.replicas:
            self.replicas[replica] = True

    def observe(self) -> None:
        pictures = tuple(
            Replica(id=replica, host="127.0.0.1", port=9000)
            for replica in self.replicas
        )
        self.fleet.observe(KEY, pictures, self.now)
        self.commands()

    def hear(self, message: Uplink) -> None:
        if hasattr(message, "version"):
            message = self.shares.heard(message, self.now)
            self.grants()
        self.fleet.hear(message, self.now)
        self.commands()

    # The activators' side.

    def probe(self) -> None:
        for name, board in self.boards.items():
            for replica, listening in self.replicas.items():
                if listening and (name + replica) not in self.up:
                    gate = board.gate(KEY)
                    if gate is not None and replica in gate.endpoints:
                        self.up.add(name + replica)
                        board.ready(KEY, replica, self.now)
                        self.effects(name)

    def report(self) -> None:
        for name, board in self.boards.items():
            for sample in board.report(self.now):
                self.send(lambda m=sample: self.hear(m))
            self.effects(name)

    def effects(self, name: str) -> None:
        for effect in self.boards[name].take():
            match effect:
                case Release(ticket=ticket, endpoint=endpoint):
                    self.forward(name, ticket, endpoint)
                case Expire(ticket=ticket):
                    self.end(ticket)
                case Report(message=message):
                    self.send(lambda m=message: self.hear(m))

    def arrive(self, name: str, service_s: float) -> None:
        board = self.boards[name]
        gate = board.gate(KEY)
        assert gate is not None
        self.arrived += 1
        ticket = Ticket((self.arrived, service_s))
        answer = board.arrive(gate, ticket, 0, self.random.random(), self.now)
        if isinstance(answer, Endpoint):
            self.forward(name, ticket, answer)
        elif isinstance(answer, Reject):
            self.end(ticket)
        self.effects(name)

    def forward(self, name: str, ticket: Ticket, endpoint: Endpoint) -> None:
        replica = endpoint.replica
        assert self.replicas.get(replica), f"{replica} is not there to be forwarded to"
        self.running[replica] += 1
        assert self.running[replica] <= LIMIT, f"{replica} has more than its limit"

        def finish() -> None:
            self.running[replica] -= 1
            self.boards[name].depart(ticket, Outcome.OK, self.now)
            self.end(ticket)
            self.effects(name)

        self.at(ticket.owner[1], finish)

    def end(self, ticket: Ticket) -> None:
        self.ends[ticket.owner[0]] += 1


@pytest.mark.parametrize("restarts", [0, 1, 4], ids=lambda n: f"{n} restarts")
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4], ids=lambda loss: f"{loss:.0%} lost")
# 131 and 183: an activator that lost the view of a replica has nothing to report.
@pytest.mark.parametrize("seed", [*range(12), 131, 183])
def test_every_request_ends_once_and_no_replica_has_more_than_its_limit(
    seed: int, loss: float, restarts: int
):
    world = World(seed, loss)
    clock = 0.0
    for _ in range(world.random.randint(1, 40)):
        # Now and then a silence that is long enough to fall asleep.
        clock += world.random.choice([0.0, 0.01, 0.3, 1.0, 5.0, 60.0])
        name, service_s = world.random.choice("ab"), world.random.uniform(0.01, 3.0)
        world.at(clock, lambda n=name, s=service_s: world.arrive(n, s))
    for _ in range(restarts):
        world.at(world.random.uniform(0.0, clock), world.restart)

    world.run(clock + 300.0)

    assert sorted(world.ends) == list(range(1, world.arrived + 1))
    assert set(world.ends.values()) == {1}
    assert not any(world.running.values())
    assert not world.replicas, "idle for minutes, and awake"
    assert world.slept, "nothing ever woke"
