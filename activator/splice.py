"""A connection that is held, then passed on byte by byte: one ticket for all of it."""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

from activator.answers import STOPPING
from activator.core.gate import Gate
from activator.core.ticket import Endpoint, Grew, Held, Outcome, Reject, Ticket
from activator.dial import dial
from activator.far import Far
from activator.hold import Hold
from activator.opening import Opening
from activator.phase import HELD, OVER, ROUTING, SENT, TUNNEL
from activator.plane import Plane
from activator.prologue import Prologue
from activator.surplus import turn_away
from activator.telemetry import Counts
from activator.transport import reset


class Splice(asyncio.Protocol):
    """The client's side. A connection on which nothing was said is no request yet."""

    __slots__ = (
        "_counts", "_ended", "_endpoint", "_far", "_fd", "_gate", "_hold", "_kept",
        "_opening", "_paused", "_phase", "_plane", "_prologue", "_since", "_stalled",
        "_ticket", "_transport", "clock", "spoke",
    )  # fmt: skip

    _transport: asyncio.Transport
    _gate: Gate
    _endpoint: Endpoint
    _counts: Counts

    def __init__(self, plane: Plane, opening: Opening) -> None:
        self.spoke = 0
        self.clock = plane.clock
        self._plane = plane
        self._opening = opening
        self._phase = ROUTING
        self._ticket: Ticket | None = None
        self._far: Far | None = None
        self._hold: Hold | None = None
        self._kept = 0
        """Bytes that count as held ones though it is not: the replica took none yet."""
        self._prologue = Prologue()
        self._ended = False
        """The client will say no more, but this is not passed on yet."""
        self._paused = False
        self._fd = -1
        self._since = 0.0
        """When anything came last, from either side."""
        self._stalled = inf
        """Since when the client takes nothing."""

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = transport = cast(asyncio.Transport, transport)
        plane = self._plane
        if plane.is_full():
            turn_away(plane, transport, http=False)
            return
        self._fd = transport.get_extra_info("socket").fileno()
        self._since = now = self.clock()
        plane.clients.add(self)
        self._opening.visitors.add(self)
        plane.wheel.ask(self, now + plane.settings.patience.idle_s)

    def data_received(self, data: bytes) -> None:
        if self._phase is OVER:
            self._answer(data)
            return
        self._since = now = self.clock()
        if self._far is not None:
            self._far.write(self._prologue.after(data))
        else:
            self._prologue.add(data)
            if self._phase is ROUTING:
                self._arrive(now)
            elif self._phase is HELD:
                self._grow(len(data), now)
            elif self._phase is SENT:
                self._keep(len(data), now)
            waits = self._phase in (HELD, SENT)
            if waits and self._prologue.size >= self._plane.settings.ahead:
                self.pause()

    def eof_received(self) -> bool:
        if self._far is not None:
            return self._far.end()
        if self._phase is SENT:
            self._ended = True
            return True
        # Whoever waits says no more only because it has gone.
        self._left()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._left()
        plane = self._plane
        plane.clients.discard(self)
        self._opening.visitors.discard(self)
        plane.wheel.drop(self)
        plane.unwatch(self._fd)

    def pause_writing(self) -> None:
        self._stalled = now = self.clock()
        self._plane.wheel.ask(self, now + self._plane.settings.patience.stall_s)
        if self._far is not None:
            self._far.pause()

    def resume_writing(self) -> None:
        self._stalled = inf
        if self._far is not None:
            self._far.resume()

    # What the replica's side says.

    def write(self, data: bytes) -> None:
        """Pass on what the replica says."""
        self._since = self.clock()
        self._transport.write(data)

    def pause(self) -> None:
        """Read nothing: there is nowhere to put it.

        That the client hangs up is noticed all the same, while nobody hears it.
        """
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            if self._phase is TUNNEL:
                limit_s = self._plane.settings.patience.stall_s
                self._plane.wheel.ask(self, self.clock() + limit_s)
            else:
                self._plane.watch(self, self._fd)

    def resume(self) -> None:
        """Read on: the replica has taken what it was sent."""
        self._let_go()
        self._read_on()

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            self._plane.unwatch(self._fd)
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def end(self) -> None:
        """Pass on that the replica will say no more."""
        if not self._transport.is_closing():
            self._transport.write_eof()

    def over(self, outcome: Outcome) -> None:
        """Know that the replica's side has ended, and how; say the rest and close."""
        self._far = None
        self._end(outcome)
        if outcome is Outcome.OK:
            self._transport.close()
            self._linger()
        else:
            reset(self._transport)

    # What the plane says.

    @property
    def active(self) -> bool:
        """Say whether it is held, or passed on."""
        return self._ticket is not None

    def hung_up(self) -> None:
        """Know that the client has gone, while nothing was read of it."""
        self.abort()

    def drain(self) -> None:
        """Serve nothing new; what is passed on may end."""
        if self._phase is HELD:
            self._end(Outcome.FAILED)
            self._refuse(STOPPING)
            self._cease()
        elif self._phase is ROUTING:
            self.abort()

    def abort(self) -> None:
        """Break everything off."""
        self._left()
        self._transport.abort()

    def released(self, endpoint: Endpoint) -> None:
        """Go on to *endpoint*, having been held."""
        if self._hold is not None:
            self._hold.end(self.clock())
        self._reach(endpoint)

    def expired(self, reject: Reject) -> None:
        """Be turned away: the Switchboard has ended the ticket."""
        if self._hold is not None:
            self._hold.end(self.clock())
        self._ticket = None
        self._refuse(reject.reason)

    def check(self, now: float) -> float:
        """Act on limits that have passed; return when the next does."""
        patience = self._plane.settings.patience
        stalled = self._stalled
        if self._phase is TUNNEL:
            if self._far is not None:
                stalled = min(stalled, self._far.stalled)
            until = self._since + max(patience.silent_s, self._gate.spec.timeout_s)
        elif self._phase is OVER:
            busy = self._transport.get_write_buffer_size() > 0
            until = self._since + (patience.stall_s if busy else patience.linger_s)
        elif self._phase is ROUTING:
            until = self._since + patience.idle_s
        else:
            until = inf  # The gate's own limit, or that of connecting.
        until = min(until, stalled + patience.stall_s)
        if now >= until:
            self._cease()
            return inf
        return min(until, now + patience.idle_s)

    def _cease(self) -> None:
        """End it because of time, with a last word where one is understood."""
        said = self._prologue.end()
        if said and self._stalled == inf and not self._transport.is_closing():
            self._transport.write(said)
            self._transport.close()
        else:
            self.abort()

    # On the way.

    def _arrive(self, now: float) -> None:
        plane, key = self._plane, self._opening.key
        gate = plane.board.gate(key)
        if plane.draining or gate is None:
            unknown = f"nothing is known of revision {key} yet"
            self._refuse(STOPPING if plane.draining else unknown)
            return
        self._gate = gate
        self._counts = plane.telemetry.counts(key)
        self._ticket = Ticket(self)
        chance = plane.chance()
        size = self._prologue.size
        self._go_on(plane.board.arrive(gate, self._ticket, size, chance, now))
        plane.settle()

    def _go_on(self, answer: Endpoint | Held | Reject) -> None:
        if isinstance(answer, Endpoint):
            self._reach(answer)
        elif isinstance(answer, Reject):
            self.expired(answer)
        else:
            self._phase = HELD
            now = self.clock()
            if self._hold is None:
                self._hold = Hold(self._counts.holds)
            self._hold.begin(now)
            self._say(self._prologue.greet())

    def _grow(self, more: int, now: float) -> None:
        assert self._ticket is not None
        answer = self._plane.board.grew(self._ticket, more, now)
        if isinstance(answer, Reject):
            self.expired(answer)
            return
        if answer is Grew.PAUSE:
            self.pause()
        self._say(self._prologue.greet())

    def _reach(self, endpoint: Endpoint) -> None:
        self._phase = SENT
        self._endpoint = endpoint
        if self._keep(self._prologue.size, self.clock()):
            self._plane.spawn(self._dial(endpoint))

    def _keep(self, more: int, now: float) -> bool:
        """Count what waits for the replica to take it; False: it is too much."""
        answer = self._plane.board.keep(self._gate, more, now)
        if isinstance(answer, Reject):
            self._end(Outcome.LEFT)
            self._refuse(answer.reason)
            return False
        self._kept += more
        if answer is Grew.PAUSE:
            self.pause()
        return True

    def _let_go(self) -> None:
        if self._kept:
            self._plane.board.let_go(self._gate, self._kept)
            self._kept = 0

    async def _dial(self, endpoint: Endpoint) -> None:
        made = await dial(
            self._plane, self, endpoint, self._opening.name, lambda: self._phase is SENT
        )
        if self._phase is not SENT:
            if isinstance(made, Far):
                made.abort()
        elif isinstance(made, Far):
            self._connected(made)
        else:
            self._unreachable()
        self._plane.settle()

    def _connected(self, far: Far) -> None:
        self._far = far
        self._phase = TUNNEL
        self._since = now = self.clock()
        if self._stalled != inf:
            far.pause()
        self._read_on()
        far.write(self._prologue.all())
        if far.stalled == inf:
            self._let_go()
        if self._ended:
            far.end()
        self._plane.wheel.ask(self, now + self._plane.settings.patience.stall_s)

    def _unreachable(self) -> None:
        plane, ticket = self._plane, self._ticket
        assert ticket is not None
        self._let_go()
        if self._ended:
            self.abort()  # It would wait now, which who has ended does not.
            return
        now = plane.clock()
        plane.lost(self._opening.key, self._endpoint, self._opening)
        plane.board.grew(ticket, self._prologue.size - ticket.size, now)
        answer = plane.board.failed(ticket, False, True, now)
        if not isinstance(answer, Reject):
            self._counts.retries += 1
        self._go_on(answer)

    # Ends.

    def _refuse(self, reason: str) -> None:
        """Say why not, where that can be said, and close."""
        self._phase = OVER
        said = self._prologue.refuse(reason)
        if not said:
            reset(self._transport)
            return
        self._say(said)
        self._read_on()
        self._linger()

    def _answer(self, data: bytes) -> None:
        """Refuse whatever is asked for now, for as long as answers are taken."""
        if self._stalled != inf:
            self.abort()
        else:
            self._say(self._prologue.answer(data))

    def _say(self, data: bytes) -> None:
        if data:
            self._transport.write(data)

    def _linger(self) -> None:
        """Leave the client a while to take what it was sent."""
        self._since = now = self.clock()
        self._plane.wheel.ask(self, now + self._plane.settings.patience.linger_s)

    def _left(self) -> None:
        """Know that the client has gone: the replica need not go on."""
        far, self._far = self._far, None
        if far is not None:
            far.abort()
        self._end(Outcome.LEFT)

    def _end(self, outcome: Outcome) -> None:
        self._phase = OVER
        self._let_go()
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        plane = self._plane
        now = plane.clock()
        if self._hold is not None:
            self._hold.end(now)
        if ticket.held:
            plane.board.leave(ticket, now)
        else:
            plane.board.depart(ticket, outcome, now)
        plane.settle()
