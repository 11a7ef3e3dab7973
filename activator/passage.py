"""One request's way: found, held, sent to a replica, answered; its ticket's owner."""

from __future__ import annotations

from math import inf

from activator.answers import STOPPING, Own, error, retry_after, waited
from activator.checks import LIMIT_S
from activator.core.exchange import Exchange
from activator.core.framing import Fault
from activator.core.gate import Gate
from activator.core.routes import Found, choose
from activator.core.ticket import Endpoint, Grew, Held, Outcome, Reject, Ticket
from activator.hold import Hold
from activator.keys import keyed
from activator.lobby import at_rest
from activator.phase import HELD, OVER, ROUTING, SENT, TUNNEL, Fate, is_blameless
from activator.plane import Plane
from activator.pool import READ_AT_ONCE
from activator.search import Search
from activator.sides import Connection, Link
from activator.telemetry import Counts
from activator.watcher import Finished
from autoscaler.core.domain import RevisionKey, Route


class Passage:
    """One request; made when its head was read."""

    __slots__ = (
        "_counts", "_gate", "_plane", "_route", "_search", "_ticket",
        "answered_at", "arrived", "connect_s", "connection", "dispatched", "endpoint",
        "exchange", "hold", "key", "limit", "link", "outcome", "path", "peer", "phase",
        "retries", "send",
    )  # fmt: skip

    answered_at: float
    endpoint: Endpoint
    _counts: Counts
    _gate: Gate
    _route: Route

    def __init__(self, plane: Plane, connection: Connection, exchange: Exchange):
        self.path = exchange.target  # As the replica sees it.
        self.peer = connection.peer
        self.send = connection.write
        self.phase = ROUTING
        self.limit = inf  # When all of it must be over.
        self._plane = plane
        self.connection = connection
        self.exchange = exchange
        self.arrived = connection.heard
        self._ticket: Ticket | None = None  # A check has none: it is not metered.
        self.link: Link | None = None
        self.dispatched = inf  # When it last went to a replica; inf: it never did.
        self.hold: Hold | None = None
        self._search: Search | None = None
        self.outcome: Outcome | None = None
        self.key: RevisionKey | None = None
        self.retries, self.connect_s = 0, 0.0

    # What the client's connection says.

    def start(self) -> None:
        """Find out who it is for, and go on to it."""
        exchange, plane, opening = self.exchange, self._plane, self.connection.opening
        if opening is not None:
            self._enter(plane.routes.of(opening.key), opening.key)
            return
        found = plane.routes.find(
            exchange.host, exchange.isvc, exchange.namespace, exchange.target
        )
        if isinstance(found, Found):
            if found.cut:
                self.path = found.path(exchange.target)
            self._enter(found.route, choose(found.route, plane.chance()))
            return
        self._search = plane.search(exchange, found.reason)
        self._searched(self._search.begin(plane.is_check))

    def more(self) -> None:
        """Pass on what has come of its body, and whether that was all."""
        exchange, link = self.exchange, self.link
        if link is not None:
            data = exchange.upload()
            if data:
                link.push(data)
            if exchange.kept:
                self._keep()
        elif self.phase is HELD:
            self._grow()
        elif self._search is not None:
            self._searched(self._search.go_on())
        elif self.phase is ROUTING:
            self._enter(self._route, self._gate.key)
        elif exchange.received > self._plane.settings.ahead:
            self.connection.pause()

    def say(self, data: bytes) -> None:
        """Pass on what the client says in a tunnel."""
        if self.link is not None:
            self.link.push(data)

    def left(self) -> None:
        """Know that the client has gone: the replica need not go on."""
        self._break_off()
        self._end(Outcome.LEFT, self.exchange.status, self._plane.clock())

    def spoiled(self, fault: Fault) -> None:
        """Know that the rest of the request makes no sense, or does not come."""
        self._fail(fault.status, fault.reason, Outcome.LEFT)

    def timed_out(self, reason: str) -> None:
        """Know that it took longer than it may."""
        self._fail(504, reason, Outcome.FAILED)

    def retire(self) -> None:
        """Know that the activator stops: what waits need not, what runs may end."""
        if self.phase in (HELD, ROUTING):
            self._fail(503, STOPPING, Outcome.FAILED, retry_after(1.0))

    def throttle(self, *, full: bool) -> None:
        """Take no more of the answer than the client does."""
        if self.link is not None:
            (self.link.pause if full else self.link.resume)()

    # What the plane says.

    def released(self, endpoint: Endpoint) -> None:
        now = self._plane.clock()
        if self.hold is not None:
            self.hold.end(now)
        self._send(endpoint, now)

    def connected(self, link: Link) -> bool:
        if self.phase is not SENT or self.link is not None:
            return False
        if self._ticket is not None:
            self._counts.connects.add(link.since - self.dispatched)
        self.connect_s += link.since - self.dispatched
        self._begin(link)
        return True

    def unreachable(self, reason: str) -> None:
        if self.phase is not SENT or self.link is not None:
            return
        ticket = self._ticket
        if ticket is None:
            self._reply(at_rest(self._route, self.path))
            return
        self._plane.lost(self._gate.key, self.endpoint, self.connection.opening)
        self._try_again(ticket, delivered=False)

    # What the replica's connection says.

    def answering(self) -> bytes:
        exchange, plane, opening = self.exchange, self._plane, self.connection.opening
        last = opening is not None and opening.last
        if last or plane.draining or not exchange.complete:
            exchange.stays = False
        self.answered_at = now = plane.clock()
        if self._ticket is None:
            return b""
        self._counts.first_byte.add(now - self.arrived)
        self._counts.replica_first_byte.add(now - self.dispatched)
        if self.hold is None:
            return b""
        if plane.watcher is not None:
            plane.watcher.answered(self._gate.key, now)
        return waited(self.hold.took_s)

    def answered(self, now: float) -> None:
        if self._ticket is not None and self.phase is not TUNNEL:
            self._counts.bodies.add(now - self.answered_at)
        self._end(Outcome.OK, self.exchange.status, now)
        self.connection.over(now, stays=self.exchange.stays)

    def switched(self) -> None:
        self.phase = TUNNEL
        self.limit = inf
        self.connection.tunnel()

    def broken(self, reason: str, fate: Fate) -> None:
        self.link = None
        exchange, ticket = self.exchange, self._ticket
        now = self._plane.clock()
        if self.phase is TUNNEL:
            exchange.stays = False
            self.answered(now)
        elif exchange.answered:
            self._cut(Outcome.FAILED, now)
        elif ticket is None:
            self._reply(at_rest(self._route, self.path))
        elif fate is Fate.HEARD:
            self._fail(502, f"the replica {reason}", Outcome.FAILED)
        elif self.endpoint.open and is_blameless(fate, exchange):
            exchange.rewind()
            self._counts.retries += 1
            self.retries += 1
            self._send(self.endpoint, now, fresh=True)
        else:
            self._try_again(ticket, delivered=fate is not Fate.UNREAD)

    # Ways in.

    def _searched(self, found: Route | Own | None) -> None:
        if found is None:
            self._invite()
            return
        search, self._search = self._search, None
        if search is not None:
            search.close()
        if isinstance(found, Own):
            self._reply(found)
        else:
            self._enter(found, choose(found, self._plane.chance()))

    def _enter(self, route: Route, key: RevisionKey) -> None:
        plane, exchange = self._plane, self.exchange
        self._route, self.key = route, key
        gate = plane.board.gate(key)
        if gate is None:
            own = error(self.path, 503, f"nothing is known of revision {key} yet")
            self._reply(own, retry_after(1.0))
            return
        if exchange.method != b"POST" and plane.is_check(exchange, self.path):
            self._check(gate)
            return
        self._gate = gate
        pick = plane.chance()
        if gate.affinity is not None:
            found = keyed(gate.affinity, exchange, pick)
            if found is None:
                self._invite()
                return
            pick = found
        self._counts = plane.telemetry.counts(key)
        self._ticket = ticket = Ticket(self)
        now = self.arrived
        answer = plane.board.arrive(gate, ticket, exchange.received, pick, now)
        if isinstance(answer, Endpoint):
            self._send(answer, now)
        else:
            self._go_on(answer, now)

    def _check(self, gate: Gate) -> None:
        """Pass a check on to a replica that is there; none is woken, none counts it."""
        endpoint = gate.least_busy
        if endpoint is None:
            self._reply(at_rest(self._route, self.path))
            return
        self._gate = gate
        self.limit = self.arrived + LIMIT_S
        self.connection.limit(self.limit)
        self._send(endpoint, self.arrived)

    def _go_on(self, answer: Endpoint | Held | Reject, now: float) -> None:
        if isinstance(answer, Endpoint):
            self._send(answer, now)
        elif isinstance(answer, Reject):
            self.expired(answer)
        else:
            self.phase = HELD
            if self.hold is None:
                self.hold = Hold(self._counts.holds)
            self.hold.begin(now)
            self._invite()
            self._plane.settle()

    def _grow(self) -> None:
        ticket = self._ticket
        assert ticket is not None
        more = self.exchange.received - ticket.size
        answer = self._plane.board.grew(ticket, more, self.connection.heard)
        if isinstance(answer, Reject):
            self.expired(answer)
        elif answer is Grew.PAUSE:
            self.connection.pause()

    # To a replica.

    def _send(self, endpoint: Endpoint, now: float, *, fresh: bool = False) -> None:
        plane = self._plane
        self.phase = SENT
        self.endpoint = endpoint
        self.dispatched = now
        timeout_s = self._gate.spec.timeout_s
        if timeout_s and self.limit == inf:
            self.limit = now + timeout_s
            self.connection.limit(self.limit)
        pool = plane.pool(endpoint, self.connection.opening)
        link = None if fresh else pool.take(self.exchange, now)
        if link is None:
            plane.dial(self, pool)
        else:
            self._begin(link)

    def _begin(self, link: Link) -> None:
        exchange = self.exchange
        self.link = link
        if not exchange.complete:
            self.connection.resume()
            self._invite()
        link.begin(self, exchange)
        if exchange.received > READ_AT_ONCE and exchange.kept:
            self._keep()

    def _keep(self) -> None:
        """Keep what was sent only as long as it may have to be sent again."""
        exchange = self.exchange
        bound = self._plane.settings.ahead if exchange.repeatable else READ_AT_ONCE
        if exchange.received > bound:
            exchange.forget()

    def _try_again(self, ticket: Ticket, *, delivered: bool) -> None:
        exchange, board = self.exchange, self._plane.board
        now = self._plane.clock()
        board.grew(ticket, exchange.received - ticket.size, now)
        delivered = delivered or not exchange.kept
        answer = board.failed(ticket, delivered, exchange.replayable, now)
        exchange.rewind()
        if not isinstance(answer, Reject):
            self._counts.retries += 1
            self.retries += 1
        self._go_on(answer, now)
        self._plane.settle()

    def _invite(self) -> None:
        """Let a client that waits for it send its body."""
        if self.exchange.expects and not self.exchange.complete:
            self.exchange.expects = False
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Ends.

    def expired(self, reject: Reject) -> None:
        """Answer with the Switchboard's no, which has ended the ticket."""
        now = self._plane.clock()
        if self.hold is not None:
            self.hold.end(now)
        self._ticket, self.outcome = None, Outcome.FAILED
        self._account(Outcome.FAILED, reject.status, now)
        lines = retry_after(reject.retry_after_s) if reject.retry_after_s else b""
        self._reply(error(self.path, reject.status, reject.reason), lines)

    def _fail(
        self, status: int, reason: str, outcome: Outcome, lines: bytes = b""
    ) -> None:
        """End it with an error, or in the middle of its answer."""
        self._break_off()
        now = self._plane.clock()
        if self.exchange.answered:
            self._cut(outcome, now)
        else:
            self._end(outcome, status, now)
            self._reply(error(self.path, status, reason), lines)

    def _cut(self, outcome: Outcome, now: float) -> None:
        self._end(outcome, self.exchange.status, now)
        self.connection.cut(seen=self.exchange.ends_seen)

    def _break_off(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            link.close()

    def _end(self, outcome: Outcome, status: int, now: float) -> None:
        """Let the Switchboard and whoever counts know that it is over."""
        self.phase, self.outcome = OVER, outcome
        if self._search is not None:
            self._search.close()
        if self.hold is not None:
            self.hold.end(now)
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        board = self._plane.board
        if ticket.held:
            board.leave(ticket, now)
        else:
            board.depart(ticket, outcome, now)
        self._account(outcome, status, now)
        if board.stirred:
            self._plane.settle()

    def _account(self, outcome: Outcome, status: int, now: float) -> None:
        self._counts.codes[status // 100] += 1
        watcher, link = self._plane.watcher, self.link
        if watcher is not None:
            tail, key = b"" if link is None else link.tail, self._gate.key
            moments = self.arrived, self.dispatched, now
            ended = Finished(key, self._route, *moments, status, outcome, tail)
            watcher.finished(ended)

    def _reply(self, own: Own, lines: bytes = b"") -> None:
        """Answer in a replica's stead."""
        self.phase = OVER
        if self.hold is not None:
            lines += waited(self.hold.took_s)
        self._plane.answer(self.connection, self.exchange, own, lines)
