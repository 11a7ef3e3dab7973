"""What connections share: effects in order, one timer, dials, hang-ups, an end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from activator.core.ticket import HELD, Endpoint, Outcome, Reject, Ticket, Why
from activator.plane import Plane
from activator.pool import Pool
from activator.settings import ActivatorSettings, Patience
from activator.sides import Link
from autoscaler.clock import monotonic
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, Uplink, View, Wake
from tests.activator.rig import Peer, play, replica

KEY = RevisionKey("ns", "iris-predictor-00001")


@dataclass
class Asker:
    """A request: notes what it is told."""

    wants: bool = True
    told: list[object] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    then: Callable[[], object] = str

    def released(self, endpoint: Endpoint) -> None:
        self._note(endpoint)

    def expired(self, reject: Reject) -> None:
        self._note(reject)

    def connected(self, link: Link) -> bool:
        self._note(link)
        return self.wants

    def unreachable(self, reason: str) -> None:
        self._note(reason)

    def _note(self, what: object) -> None:
        self.told.append(what)
        self.heard.set()
        self.then()


class Visitor:
    """A client's connection, of which nothing is read."""

    def __init__(self) -> None:
        self.gone = 0

    @property
    def active(self) -> bool:
        return False

    def hung_up(self) -> None:
        self.gone += 1

    def drain(self) -> None:
        pass

    def abort(self) -> None:
        self.gone += 1


def plane(
    uplink: Callable[[Uplink], object] = str, patience: Patience | None = None
) -> Plane:
    settings = ActivatorSettings(seed=1, patience=patience or Patience())
    return Plane(settings, uplink, CollectorRegistry(), None, monotonic)


@asynccontextmanager
async def running(made: Plane):
    async with asyncio.TaskGroup() as tasks:
        made.open(tasks)
        try:
            yield made
        finally:
            made.close()
    await until(lambda: not made.upstreams)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is to come true; it is looked at after each turn."""
    while not holds():  # noqa: ASYNC110 - it may be anything
        await asyncio.sleep(0)


def see(made: Plane, *ports: int, version: int = 1, gate: GateSpec | None = None):
    """Have replicas at *ports*, ready."""
    addresses = tuple(
        Address(replica=f"r{port}", host="127.0.0.1", port=port, slots=1)
        for port in ports
    )
    view = View(
        key=KEY, version=version, epoch=0, gate=gate or GateSpec(container_concurrency=1),
        probe=Probe(), addresses=addresses,
    )  # fmt: skip
    made.board.update(view, made.clock())
    for port in ports:
        made.board.ready(KEY, f"r{port}", made.clock())
    gate_of = made.board.gate(KEY)
    assert gate_of is not None
    return gate_of


def endpoint(port: int) -> Endpoint:
    made = Endpoint(f"r{port}", 0.0)
    made.host, made.port = "127.0.0.1", port
    return made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def silent(peer: Peer) -> None:
    await peer.rest()


def test_who_waited_longest_is_released_first_even_if_each_release_ends_at_once():
    """A request may end while it is released, and its end releases the next."""
    order: list[int] = []

    async def scene() -> None:
        async with running(plane()) as made:
            gate = see(made)
            tickets = []
            for number in range(50):
                asker = Asker()
                ticket = Ticket(asker)
                tickets.append(ticket)

                def end(number: int = number, ticket: Ticket = ticket) -> None:
                    order.append(number)
                    made.board.depart(ticket, Outcome.OK, made.clock())
                    made.settle()

                asker.then = end
                answer = made.board.arrive(gate, ticket, 0, 0.5, made.clock())
                assert answer is HELD
            made.settle()

            see(made, 1, version=2)
            made.settle()

            assert order == list(range(50))
            assert gate.meter.level == 0

    play(scene())


def test_reports_go_up_and_there_may_be_more_to_probe():
    said: list[Uplink] = []
    looked: list[int] = []

    async def scene() -> None:
        async with running(plane(said.append)) as made:
            gate = see(made)
            made.changed = lambda: looked.append(len(said))
            made.board.arrive(gate, Ticket(Asker()), 0, 0.5, made.clock())

            made.settle()

            assert [type(message) for message in said] == [Wake]
            assert looked == [1]

    play(scene())


def test_an_uplink_that_fails_stops_no_request(caplog):
    def fails(message: Uplink) -> None:
        raise RuntimeError("no way up")

    async def scene() -> None:
        async with running(plane(fails)) as made:
            gate = see(made)
            asker = Asker()
            made.board.arrive(gate, Ticket(asker), 0, 0.5, made.clock())
            made.settle()

            gate = see(made, 1, version=2)
            made.settle()

            assert asker.told == [gate.endpoints["r1"]]

    with caplog.at_level(logging.ERROR):
        play(scene())

    assert f"failed to report revision={KEY}" in caplog.text


def test_holds_end_when_they_should_though_nothing_else_happens():
    async def scene() -> None:
        async with running(plane()) as made:
            gate = see(made, gate=GateSpec(hold_limit_s=0.05))
            askers = [Asker() for _ in range(5)]
            for asker in askers:
                made.board.arrive(gate, Ticket(asker), 0, 0.5, made.clock())
                made.settle()

            for asker in askers:
                await asker.heard.wait()

            for asker in askers:
                (reject,) = asker.told
                assert isinstance(reject, Reject)
                assert reject.why is Why.EXPIRED

    play(scene())


def test_who_dials_gets_a_connection():
    async def scene() -> None:
        async with replica(silent) as port, running(plane()) as made:
            asker = Asker()
            made.dial(asker, made.pool(endpoint(port), None))
            await asker.heard.wait()

            assert asker.told == list(made.upstreams)

    play(scene())


def test_a_connection_that_came_too_late_is_kept_for_the_next():
    async def scene() -> None:
        async with replica(silent) as port, running(plane()) as made:
            asker, where = Asker(wants=False), endpoint(port)
            pool = made.pool(where, None)
            made.dial(asker, made.pool(where, None))
            await asker.heard.wait()
            await until(lambda: bool(pool._idle))

            assert pool._idle == asker.told

            made.forget(where)

            await until(lambda: not made.upstreams)
            assert made.pool(where, None) is not pool

    play(scene())


def test_who_cannot_be_connected_to_is_told_why():
    async def scene() -> None:
        async with running(plane()) as made:
            asker = Asker()
            made.dial(asker, made.pool(endpoint(free_port()), None))
            await asker.heard.wait()

            (reason,) = asker.told
            assert "refused" in str(reason)

    play(scene())


def test_who_does_not_answer_a_connection_is_not_waited_for():
    async def scene() -> None:
        with socket.socket() as full:
            # A listener whose queue is full drops what comes.
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            async with running(plane(patience=Patience(connect_s=0.2))) as made:
                with socket.socket() as one, socket.socket() as two:
                    for each in (one, two):
                        each.setblocking(False)
                        each.connect_ex(address)
                    asker = Asker()
                    made.dial(asker, made.pool(endpoint(address[1]), None))
                    await asker.heard.wait()

                    assert asker.told == ["no answer to connecting"]

    play(scene())


def test_a_connection_that_comes_after_the_end_is_closed():
    async def scene() -> None:
        async with replica(silent) as port:
            made, asker = plane(), Asker(wants=False)
            async with asyncio.TaskGroup() as tasks:
                made.open(tasks)
                made.dial(asker, made.pool(endpoint(port), None))
                await asyncio.sleep(0)
                made.close()

            await until(lambda: not made.upstreams)

    play(scene(), 5.0)


def test_after_the_end_nobody_dials():
    async def scene() -> None:
        async with replica(silent) as port:
            made, asker = plane(), Asker()
            async with running(made):
                pass
            made.dial(asker, made.pool(endpoint(port), None))
            await asyncio.sleep(0)

            assert asker.told == []

    play(scene())


def test_the_connections_to_a_replica_are_its_own():
    made = plane()
    one, other = endpoint(1), endpoint(2)

    pool = made.pool(one, None)

    assert isinstance(pool, Pool)
    assert made.pool(one, None) is pool
    assert made.pool(other, None) is not pool
    made.forget(other)
    assert other.pools == {}


def test_a_client_that_hangs_up_is_told_so_though_nothing_is_read_of_it():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ends = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        served = [listener.accept()[0] for _ in range(3)]
    made, visitors = plane(), [Visitor() for _ in range(3)]
    for visitor, sock in zip(visitors, served, strict=True):
        made.watch(visitor, sock.fileno())
    made.sweep(made.clock())
    assert [visitor.gone for visitor in visitors] == [0, 0, 0]

    made.unwatch(served[1].fileno())
    made.unwatch(served[1].fileno())
    for end in ends[:2]:
        end.sendall(b"last words")
        end.close()
    made.sweep(made.clock())
    made.sweep(made.clock())

    assert [visitor.gone for visitor in visitors] == [1, 0, 0]
    for sock in (*served, *ends):
        sock.close()
