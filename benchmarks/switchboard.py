"""What a request costs in the Switchboard while capacity is free, beside plain Python.

    python -m benchmarks.switchboard [--rounds N]

Each line is one request that arrives and departs. They are compared with what nothing
can undercut: two method calls that each look up and change one counter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import Endpoint, Outcome, Ticket
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, View

KEY = RevisionKey("default", "llm")
BEST_OF = 5


class Counters:
    """The least that a proxy must do: count what is in flight, by name."""

    def __init__(self) -> None:
        self.in_flight = {"a": 0}

    def arrive(self, name: str, ticket: object, size: int, pick: float, now: float):
        self.in_flight[name] += 1

    def depart(self, name: str, outcome: object, now: float) -> None:
        self.in_flight[name] -= 1


def board_of(replicas: int, slots: int) -> Switchboard:
    """Return a Switchboard with one gate and so many ready replicas."""
    board = Switchboard(name="activator-1", limits=Limits(), now=0.0)
    view = View(
        key=KEY,
        version=1,
        epoch=1,
        gate=GateSpec(container_concurrency=max(slots, 0)),
        probe=Probe(),
        addresses=tuple(
            Address(replica=f"r{n}", host="127.0.0.1", port=9000 + n, slots=slots)
            for n in range(replicas)
        ),
    )
    board.update(view, 0.0)
    for address in view.addresses:
        board.ready(KEY, address.replica, 0.0)
    board.take()
    return board


def best(run: Callable[[], None], requests: int) -> float:
    """Return µs a request, of the quickest of some runs."""
    times = []
    for _ in range(BEST_OF):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return min(times) / requests * 1e6


def through_counters(rounds: int) -> float:
    counters = Counters()

    def run() -> None:
        arrive, depart = counters.arrive, counters.depart
        for n in range(rounds):
            now = n * 1e-5
            ticket = Ticket(n)
            arrive("a", ticket, 0, 0.5, now)
            depart("a", Outcome.OK, now)

    return best(run, rounds)


def through_board(rounds: int, *, replicas: int, slots: int, busy: int) -> float:
    """Time requests while *busy* others are in flight."""
    board = board_of(replicas, slots)
    gate = board.gate(KEY)
    assert gate is not None
    for n in range(busy):
        answer = board.arrive(gate, Ticket(n), 0, n / busy, 0.0)
        assert isinstance(answer, Endpoint)

    def run() -> None:
        arrive, depart, ok = board.arrive, board.depart, Outcome.OK
        for n in range(rounds):
            now = n * 1e-5
            ticket = Ticket(n)
            arrive(gate, ticket, 0, (n % 997) / 997, now)
            depart(ticket, ok, now)

    return best(run, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200_000)
    rounds = parser.parse_args().rounds
    floor = through_counters(rounds)
    print(f"{'two bare calls and a counter':<44} {floor:6.3f} µs a request")
    for replicas, slots, busy in (
        (1, -1, 0), (4, 8, 4), (1000, 8, 3000), (4, 1, 2), (1000, 1, 500),
    ):  # fmt: skip
        cost = through_board(rounds, replicas=replicas, slots=slots, busy=busy)
        limit = "no limit" if slots < 0 else f"limit {slots}"
        what = f"arrive and depart, {replicas} replicas, {limit}"
        print(f"{what:<44} {cost:6.3f} µs a request, {cost / floor:4.1f} times")


if __name__ == "__main__":
    main()
