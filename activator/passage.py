"""One request's way: found, held, sent to a replica, answered; its ticket's owner."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import Final, Protocol

from activator.answers import Own, error, head, is_openai, retry_after, waited
from activator.bodies import model_of, tokens_of
from activator.core.exchange import Exchange
from activator.core.framing import UNTIL_CLOSE, Fault
from activator.core.gate import Gate
from activator.core.routes import Miss, choose
from activator.core.ticket import Endpoint, Grew, Held, Outcome, Reject, Ticket
from activator.lobby import at_rest, for_nobody, not_served
from activator.plane import Plane
from activator.telemetry import Counts
from activator.upstream import Upstream
from activator.watcher import Finished
from autoscaler.core.domain import Route

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHECK_S: Final = 10.0
"""Limit of a health check that was passed on."""
_FIRST_LOOK: Final = 4096
"""Bytes of a body in which `model` is looked for first; then in twice as many."""


class Connection(Protocol):
    """The client's connection, as far as a request asks of it."""

    peer: bytes
    heard: float
    """When bytes came last."""
    write: Callable[[bytes], None]

    def pause(self) -> None:
        """Read nothing."""

    def resume(self) -> None:
        """Read on."""

    def limit(self, at: float) -> None:
        """Look at the request's limits at *at*."""

    def over(self, now: float, *, stays: bool) -> None:
        """Go on to the next request, or close."""

    def cut(self, *, seen: bool) -> None:
        """Break off an answer; *seen*: its framing tells the client so."""

    def tunnel(self) -> None:
        """Pass on what comes, as it is."""


class Phase(Enum):
    """Where a request is."""

    ROUTING = auto()
    """Its body is read to find out which model it is for."""
    HELD = auto()
    SENT = auto()
    """A replica has it, or a connection to one is being opened."""
    TUNNEL = auto()
    OVER = auto()


class Passage:
    """One request; made when its head was read."""

    __slots__ = (
        "_arrived",
        "_connection",
        "_counts",
        "_dispatched",
        "_endpoint",
        "_exchange",
        "_held_at",
        "_held_s",
        "_looked",
        "_plane",
        "_route",
        "_ticket",
        "_upstream",
        "limit",
        "path",
        "peer",
        "phase",
        "send",
    )

    _counts: Counts
    _endpoint: Endpoint
    _route: Route

    def __init__(
        self, plane: Plane, connection: Connection, exchange: Exchange
    ) -> None:
        self.path = exchange.target
        """The target as the replica sees it."""
        self.peer = connection.peer
        self.send = connection.write
        self.phase = Phase.ROUTING
        self.limit = inf
        """When all of it must be over."""
        self._plane = plane
        self._connection = connection
        self._exchange = exchange
        self._arrived = connection.heard
        self._ticket: Ticket | None = None
        """None also for a check, which is not metered."""
        self._upstream: Upstream | None = None
        self._dispatched: float | None = None
        self._held_at = inf
        self._held_s = -1.0
        """How long it was held; below 0: it was not."""
        self._looked = 0
        """Bytes of body in which `model` was looked for in vain."""

    # What the client's connection says.

    def start(self) -> None:
        """Find out who it is for, and go there."""
        exchange, routes = self._exchange, self._plane.routes
        found = routes.find(
            exchange.host, exchange.isvc, exchange.namespace, exchange.target
        )
        if not isinstance(found, Miss):
            if found.cut:
                self.path = found.path(exchange.target)
            self._enter(found.route)
        elif exchange.method == b"POST" and is_openai(exchange.target):
            self._invite()
            self._look()
        else:
            own = None
            if exchange.method in (b"GET", b"HEAD") and self._plane.is_check(
                exchange, exchange.target
            ):
                own = for_nobody(routes, exchange.target)
            self._reply(own or not_served(routes, exchange.target, found.reason))

    def more(self) -> None:
        """Pass on what has come of its body, and whether that was all."""
        exchange, upstream = self._exchange, self._upstream
        if upstream is not None:
            data = exchange.upload()
            if data:
                upstream.push(data)
            if exchange.kept and exchange.received > self._plane.settings.ahead:
                exchange.forget()
        elif self.phase is Phase.HELD:
            self._grow()
        elif self.phase is Phase.ROUTING:
            self._look()
        elif exchange.received > self._plane.settings.ahead:
            self._connection.pause()

    def say(self, data: bytes) -> None:
        """Pass on what the client says in a tunnel."""
        if self._upstream is not None:
            self._upstream.push(data)

    def left(self) -> None:
        """Know that the client has gone: the replica need not go on."""
        self._break_off()
        self._end(Outcome.LEFT)

    def spoiled(self, fault: Fault) -> None:
        """Know that the rest of the request makes no sense, or does not come."""
        self._fail(fault.status, fault.reason, Outcome.LEFT)

    def timed_out(self) -> None:
        """Know that its limit has passed."""
        self._fail(504, "the request took longer than it may", Outcome.FAILED)

    def retire(self) -> None:
        """Know that the activator stops: what waits need not, what runs may end."""
        if self.phase in (Phase.HELD, Phase.ROUTING):
            self._end(Outcome.FAILED, 503)
            own = error(self.path, 503, "this activator is stopping: try again")
            self._reply(own, retry_after(1.0))

    def throttle(self, *, full: bool) -> None:
        """Take no more of the answer than the client does."""
        if self._upstream is None:
            return
        if full:
            self._upstream.pause()
        else:
            self._upstream.resume()

    # What the plane says.

    def released(self, endpoint: Endpoint) -> None:
        now = self._plane.clock()
        self._unheld(now)
        self._forward(endpoint, now)

    def expired(self, reject: Reject) -> None:
        self._refuse(reject)

    def connected(self, upstream: Upstream) -> bool:
        if self.phase is not Phase.SENT or self._upstream is not None:
            return False
        self._begin(upstream)
        return True

    def unreachable(self, reason: str) -> None:
        if self.phase is not Phase.SENT or self._upstream is not None:
            return
        ticket = self._ticket
        if ticket is None:
            self._reply(at_rest(self._route, self.path))
            return
        assert ticket.gate is not None
        self._plane.lost(ticket.gate.key, self._endpoint)
        self._try_again(ticket, delivered=False)

    # What the replica's connection says.

    def answering(self) -> bytes:
        exchange, plane = self._exchange, self._plane
        if not exchange.complete or plane.draining:
            exchange.stays = False
        ticket = self._ticket
        if ticket is None:
            return b""
        now = plane.clock()
        self._counts.first_byte.add(now - self._arrived)
        if self._held_s < 0:
            return b""
        if plane.watcher is not None and ticket.gate is not None:
            plane.watcher.answered(ticket.gate.key, now)
        return waited(self._held_s)

    def answered(self) -> None:
        exchange = self._exchange
        now = self._end(Outcome.OK)
        self._connection.over(now, stays=exchange.stays and exchange.complete)

    def switched(self) -> None:
        self.phase = Phase.TUNNEL
        self.limit = inf
        self._connection.tunnel()

    def broken(self, reason: str, *, heard: bool, stale: bool) -> None:
        self._upstream = None
        exchange, ticket = self._exchange, self._ticket
        if self.phase is Phase.TUNNEL:
            self._connection.over(self._end(Outcome.OK), stays=False)
        elif exchange.answered:
            self._end(Outcome.FAILED)
            self._connection.cut(seen=exchange.answer_length != UNTIL_CLOSE)
        elif ticket is None:
            self._reply(at_rest(self._route, self.path))
        elif stale and exchange.replayable and self._endpoint.open:
            # It closed an unused connection just as this one came: no fault of its own.
            exchange.rewind()
            self._counts.retries += 1
            self._plane.dial(self, self._endpoint)
        elif heard:
            self._end(Outcome.FAILED, 502)
            self._reply(error(self.path, 502, f"the replica {reason}"))
        else:
            self._try_again(ticket, delivered=True)

    def hold(self) -> None:
        self._connection.pause()

    def resume(self) -> None:
        self._connection.resume()

    # Ways in.

    def _look(self) -> None:
        """Look for the model that the body names, as soon as it may be there."""
        exchange, plane = self._exchange, self._plane
        bound = plane.settings.ahead
        full = exchange.received >= bound
        enough = max(_FIRST_LOOK, 2 * self._looked)
        if not exchange.complete and not full and exchange.received < enough:
            return
        self._looked = exchange.received
        name = model_of(b"".join(exchange.pieces))
        if name is not None:
            route = plane.routes.by_model(name)
            if route is not None:
                self._enter(route)
            else:
                reason = f"there is no model {name[:100]!r}"
                self._reply(not_served(plane.routes, self.path, reason))
        elif exchange.complete:
            reason = "neither the host nor a field `model` of the body says which model"
            self._reply(not_served(plane.routes, self.path, reason))
        elif full:
            reason = f"no field `model` in the first {bound} bytes of the body"
            self._reply(error(self.path, 413, reason))

    def _enter(self, route: Route) -> None:
        plane, exchange = self._plane, self._exchange
        self._route = route
        key = choose(route, plane.chance())
        gate = plane.board.gate(key)
        if gate is None:
            own = error(self.path, 503, f"nothing is known of revision {key} yet")
            self._reply(own, retry_after(1.0))
            return
        if exchange.method != b"POST" and plane.is_check(exchange, self.path):
            self._check(gate)
            return
        self._counts = plane.telemetry.counts(key)
        self._ticket = ticket = Ticket(self)
        now = self._arrived
        answer = plane.board.arrive(
            gate, ticket, exchange.received, plane.chance(), now
        )
        self._go_on(answer, now)

    def _check(self, gate: Gate) -> None:
        """Pass a check on to a replica that is there; none is woken, none counts it."""
        open_ones = [each for each in gate.endpoints.values() if each.open]
        if not open_ones:
            self._reply(at_rest(self._route, self.path))
            return
        self.limit = self._arrived + _CHECK_S
        self._connection.limit(self.limit)
        self._send(min(open_ones, key=lambda each: each.in_flight), self._arrived)

    def _go_on(self, answer: Endpoint | Held | Reject, now: float) -> None:
        if isinstance(answer, Endpoint):
            self._forward(answer, now)
        elif isinstance(answer, Reject):
            self._refuse(answer)
        else:
            self.phase = Phase.HELD
            self._held_at = now
            self._invite()
            self._plane.settle()

    def _grow(self) -> None:
        ticket = self._ticket
        assert ticket is not None
        more = self._exchange.received - ticket.size
        answer = self._plane.board.grew(ticket, more, self._connection.heard)
        if isinstance(answer, Reject):
            self._refuse(answer)
        elif answer is Grew.PAUSE:
            self._connection.pause()

    # To a replica.

    def _forward(self, endpoint: Endpoint, now: float) -> None:
        ticket = self._ticket
        assert ticket is not None
        assert ticket.gate is not None
        timeout_s = ticket.gate.spec.timeout_s
        if timeout_s and self.limit == inf:
            self.limit = now + timeout_s
            self._connection.limit(self.limit)
        self._send(endpoint, now)

    def _send(self, endpoint: Endpoint, now: float) -> None:
        self.phase = Phase.SENT
        self._endpoint = endpoint
        self._dispatched = now
        careful = not self._exchange.repeatable
        upstream = self._plane.pool(endpoint).take(now, careful=careful)
        if upstream is None:
            self._plane.dial(self, endpoint)
        else:
            self._begin(upstream)

    def _begin(self, upstream: Upstream) -> None:
        exchange = self._exchange
        self._upstream = upstream
        if not exchange.complete:
            self._connection.resume()
            self._invite()
        upstream.begin(self, exchange)
        if exchange.kept and exchange.received:
            large = exchange.received > self._plane.settings.ahead
            if large or not exchange.repeatable:
                exchange.forget()

    def _try_again(self, ticket: Ticket, *, delivered: bool) -> None:
        exchange, board = self._exchange, self._plane.board
        now = self._plane.clock()
        board.grew(ticket, exchange.received - ticket.size, now)
        delivered = delivered or not exchange.kept
        answer = board.failed(ticket, delivered, exchange.replayable, now)
        exchange.rewind()
        if not isinstance(answer, Reject):
            self._counts.retries += 1
        self._go_on(answer, now)
        self._plane.settle()

    def _invite(self) -> None:
        """Let a client that waits for it send its body."""
        exchange = self._exchange
        if exchange.expects and not exchange.complete:
            exchange.expects = False
            self.send(_CONTINUE)

    # Ends.

    def _refuse(self, reject: Reject) -> None:
        """Answer with the Switchboard's no, which has ended the ticket."""
        ticket, self._ticket = self._ticket, None
        now = self._plane.clock()
        self._unheld(now)
        if ticket is not None:
            self._account(ticket, reject.status, Outcome.FAILED, now)
        lines = retry_after(reject.retry_after_s) if reject.retry_after_s else b""
        self._reply(error(self.path, reject.status, reject.reason), lines)

    def _fail(self, status: int, reason: str, outcome: Outcome) -> None:
        """End it with an error, or in the middle of its answer."""
        exchange = self._exchange
        self._break_off()
        if exchange.answered:
            self._end(outcome)
            self._connection.cut(seen=exchange.answer_length != UNTIL_CLOSE)
        else:
            self._end(outcome, status)
            self._reply(error(self.path, status, reason))

    def _break_off(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    def _end(self, outcome: Outcome, status: int = 0) -> float:
        """Let the Switchboard and whoever counts know that it is over; return when."""
        now = self._plane.clock()
        self._unheld(now)
        self.phase = Phase.OVER
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            board = self._plane.board
            if ticket.held:
                board.leave(ticket, now)
            else:
                board.depart(ticket, outcome, now)
            self._account(ticket, status or self._exchange.status, outcome, now)
            if board.stirred:
                self._plane.settle()
        return now

    def _account(
        self, ticket: Ticket, status: int, outcome: Outcome, now: float
    ) -> None:
        self._counts.codes[status // 100] += 1
        watcher = self._plane.watcher
        if watcher is None or ticket.gate is None:
            return
        route = self._route
        tail = self._upstream.tail if self._upstream is not None else b""
        watcher.finished(
            Finished(
                ticket.gate.key,
                f"{route.namespace}/{route.service}",
                self._arrived,
                self._dispatched,
                now,
                status,
                outcome,
                tokens_of(tail) if tail else (None, None),
            )
        )

    def _unheld(self, now: float) -> None:
        if self._held_at != inf:
            held_s = now - self._held_at
            self._held_at = inf
            self._held_s = max(0.0, self._held_s) + held_s
            self._counts.holds.add(held_s)

    def _reply(self, own: Own, lines: bytes = b"") -> None:
        """Answer in a replica's stead."""
        exchange, plane = self._exchange, self._plane
        self.phase = Phase.OVER
        plane.telemetry.own[own.status] += 1
        if self._held_s >= 0:
            lines += waited(self._held_s)
        stays = exchange.stays and exchange.complete and not exchange.old
        stays = stays and not plane.draining
        answer = head(own, lines, stays=stays)
        self.send(answer if exchange.method == b"HEAD" else answer + own.body)
        self._connection.over(plane.clock(), stays=stays)
