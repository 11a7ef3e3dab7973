"""A client's connection: one request after another, in order, each with its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, cast

from activator.answers import error, head
from activator.core.entry import asked_by
from activator.core.framing import Fault
from activator.opening import Opening
from activator.passage import Passage
from activator.phase import SENT, Fate
from activator.plane import Plane
from activator.scribe import Scribe
from activator.surplus import turn_away
from activator.transport import peer_of, reset

_EARLY: Final = 1
"""More has come than the request that is being served."""
_FULL: Final = 2
"""Its body has come faster than it could be passed on."""


class Http1(asyncio.Protocol):
    """One connection of a client."""

    __slots__ = (
        "_ahead", "_clock", "_closing", "_fd", "_partial", "_passage", "_paused",
        "_plane", "_pumping", "_reader", "_scribe", "_since", "_stalled", "_transport",
        "_trusted", "_tunnel",
        "heard", "opening", "peer", "spoke", "write",
    )  # fmt: skip

    _transport: asyncio.Transport
    write: Callable[[bytes], None]

    def __init__(self, plane: Plane, opening: Opening | None = None) -> None:
        self.peer = b""
        self.opening = opening
        self.heard = 0.0
        """When bytes came last."""
        self.spoke = 0
        self._plane = plane
        self._clock = plane.clock
        self._reader = plane.blank
        self._passage: Passage | None = None
        self._scribe: Scribe | None = None
        """None: there is no access log."""
        self._ahead = b""
        """What came after the end of the request that is being served."""
        self._pumping = False
        self._partial = False
        """Some of a head has come, but not all."""
        self._paused = 0
        """Why nothing is read: _EARLY, _FULL, both; 0: it is."""
        self._fd = -1
        self._since = 0.0
        """When the phase that has a limit began."""
        self._stalled = inf
        """Since when the client takes nothing."""
        self._closing = False
        """What comes is dropped: the last answer was given."""
        self._tunnel = False
        self._trusted = False
        """What it says of who it speaks for counts."""

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        transport = cast(asyncio.Transport, transport)
        plane = self._plane
        if plane.is_full():
            turn_away(plane, transport, http=True)
            return
        self._transport = transport
        self.write = transport.write
        self.peer = peer_of(transport)
        self._trusted = plane.trust.has(self.peer)
        if plane.log is not None:
            self._scribe = Scribe(plane.log, self.peer, transport.write)
            self.write = self._scribe.write
        self._since = self.heard = now = plane.clock()
        plane.clients.add(self)
        if self.opening is not None:
            self.opening.visitors.add(self)
        plane.wheel.ask(self, now + plane.settings.patience.idle_s)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self.heard = self._clock()
        if self._tunnel and self._passage is not None:
            self._say(self._passage, data)
        elif self._ahead:
            self._ahead += data
        else:
            self._ahead = data
            self._pump()

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._gone()
        plane = self._plane
        plane.clients.discard(self)
        if self.opening is not None:
            self.opening.visitors.discard(self)
        plane.wheel.drop(self)
        plane.unwatch(self._fd)
        reader, self._reader = self._reader, plane.blank
        if reader is not plane.blank:
            reader.close()

    def pause_writing(self) -> None:
        self._stalled = now = self._plane.clock()
        self.limit(now + self._plane.settings.patience.stall_s)
        if self._passage is not None:
            self._passage.throttle(full=True)

    def resume_writing(self) -> None:
        self._stalled = inf
        if self._passage is not None:
            self._passage.throttle(full=False)
        elif self._ahead:
            self._pump()

    # What its request asks.

    def pause(self) -> None:
        """Read no more of the request: there is nowhere to put it."""
        self._pause(_FULL)

    def resume(self) -> None:
        """Read on."""
        self._resume(_FULL)

    def limit(self, at: float) -> None:
        """Look at limits at *at*, if that is earlier than was wanted."""
        self._plane.wheel.ask(self, at)

    def over(self, now: float, *, stays: bool) -> None:
        """Go on to the next request, or close."""
        if self._scribe is not None and self._passage is not None:
            self._scribe.over(self._passage, now)
        self._passage = None
        self._since = now
        opening = self.opening
        ends = self._plane.draining or (opening is not None and opening.gone)
        if ends or not (stays and self._reader.complete):
            self._shut(now)
            return
        self._reader.next()
        if self._paused:
            self._resume(_FULL)
        if self._ahead:
            self._pump()
        else:
            # It is a third of what an idle connection would cost.
            reader, self._reader = self._reader, self._plane.blank
            self._plane.give(reader)

    def cut(self, *, seen: bool) -> None:
        """Break off an answer; *seen*: its framing tells the client so.

        Where only the end of the connection ends the answer, it must not look like one.
        """
        now = self._plane.clock()
        if self._scribe is not None and self._passage is not None:
            self._scribe.over(self._passage, now)
        self._passage = None
        if seen:
            self._closing = True
            self._since = now
            self._transport.close()
            self.limit(self._since + self._plane.settings.patience.linger_s)
        else:
            self._gone()
            reset(self._transport)

    def tunnel(self) -> None:
        """Pass on what comes, as it is."""
        self._tunnel = True
        self.limit(self._plane.clock() + self._plane.settings.patience.silent_s)
        data, self._ahead = self._ahead, b""
        if data and self._passage is not None:
            self._say(self._passage, data)
        self._resume(_EARLY)

    # What the plane says.

    @property
    def active(self) -> bool:
        """Say whether a request is under way."""
        return self._passage is not None or self._partial

    def hung_up(self) -> None:
        """Know that the client has gone, while nothing was read of it."""
        self._gone()
        self._transport.abort()

    def drain(self) -> None:
        """Serve nothing new."""
        if self._passage is not None:
            self._passage.retire()
        elif not self._partial and not self._closing:
            self._shut(self._plane.clock())

    def abort(self) -> None:
        """Break everything off."""
        self._gone()
        self._transport.abort()

    def check(self, now: float) -> float:
        """Act on limits that have passed; return when the next does."""
        patience, passage = self._plane.settings.patience, self._passage
        if self._closing:
            busy = self._transport.get_write_buffer_size() > 0
            until = self._since + (patience.stall_s if busy else patience.linger_s)
            if now >= until:
                self.abort()
                return inf
            return min(until, now + patience.linger_s)
        if now >= self._stalled + patience.stall_s:
            self.abort()
            return inf
        until = self._stalled + patience.stall_s
        if passage is None:
            limit_s = patience.head_s if self._partial else patience.idle_s
            if now >= self._since + limit_s:
                if self._partial:
                    self._refuse(Fault(408, "the head of the request did not come"))
                else:
                    self._shut(now)
                return now + patience.linger_s
            return min(until, self._since + limit_s)
        if now >= passage.limit:
            passage.timed_out("the request took longer than it may")
            return now + patience.linger_s
        if self._tunnel:
            return self._check_tunnel(passage, now)
        if not self._reader.complete and not self._paused:
            if now >= self.heard + patience.stall_s:
                passage.spoiled(Fault(408, "the body of the request did not come"))
                return now + patience.linger_s
            until = min(until, self.heard + patience.stall_s)
        elif patience.first_byte_s and self._reader.complete:
            sent = passage.phase is SENT and not passage.exchange.answered
            since = max(passage.dispatched, self.heard) if sent else inf
            if now >= (late_at := since + patience.first_byte_s):
                passage.timed_out("the replica did not begin to answer in time")
                return now + patience.linger_s
            until = min(until, late_at)
        return min(until, passage.limit, now + patience.idle_s)

    def _check_tunnel(self, passage: Passage, now: float) -> float:
        """Close a tunnel in which nobody has said anything for long."""
        patience, link = self._plane.settings.patience, passage.link
        if link is None:
            return now + patience.linger_s
        silent_at = max(self.heard, link.since) + patience.silent_s
        if now < silent_at:
            return min(self._stalled + patience.stall_s, silent_at)
        link.close()
        passage.broken("said nothing", Fate.UNKNOWN)
        return now + patience.linger_s

    # Reading.

    def _pump(self) -> None:
        """Serve what is here, one request at a time; what is too early waits."""
        if self._pumping:
            return
        self._pumping = True
        reader = self._reader
        if reader is self._plane.blank:
            reader = self._reader = self._plane.reader()
        while self._ahead and not self._closing and not self._tunnel:
            if reader.complete or self._stalled != inf:
                self._pause(_EARLY)
                break
            data, self._ahead = self._ahead, b""
            self._ahead = reader.feed(data)
            passage, exchange = self._passage, reader.exchange
            if reader.fault is not None:
                self._bad(reader.fault)
            elif passage is not None:
                passage.more()
            elif exchange is not None:
                self._partial = False
                if not self._trusted:
                    exchange.distrust()
                self._passage = passage = Passage(self._plane, self, exchange)
                passage.start()
            elif not self._partial:
                self._partial = True
                self._since = self.heard
                self.limit(self.heard + self._plane.settings.patience.head_s)
            if self._passage is not None and not reader.complete:
                self.limit(self.heard + self._plane.settings.patience.stall_s)
        self._pumping = False
        if self._paused and not self._ahead:
            self._resume(_EARLY)

    def _pause(self, why: int) -> None:
        """Read nothing; that the client hangs up is noticed all the same."""
        if not self._paused and not self._transport.is_closing():
            self._transport.pause_reading()
            # Asked only now: the object that knows it costs as much as this one.
            self._fd = self._transport.get_extra_info("socket").fileno()
            self._plane.watch(self, self._fd)
        self._paused |= why

    def _resume(self, why: int) -> None:
        if self._paused & why and not self._paused & ~why:
            self._plane.unwatch(self._fd)
            if not self._transport.is_closing():
                self._transport.resume_reading()
        self._paused &= ~why

    def _bad(self, fault: Fault) -> None:
        passage = self._passage
        if passage is not None:
            passage.spoiled(fault)
        else:
            self._refuse(fault)

    def _refuse(self, fault: Fault) -> None:
        """Answer a head that is none, and close: what comes next may be anything."""
        exchange = self._reader.exchange
        target = exchange.target if exchange is not None else b""
        own = error(target, fault.status, fault.reason)
        self._plane.telemetry.own[fault.status] += 1
        self.write(head(own, b"", stays=False) + own.body)
        self._refused(fault.status)
        self._shut(self._plane.clock())

    # Ends.

    def _shut(self, now: float) -> None:
        """Close, so that the client can read the last answer whatever it still sends.

        The kernel resets a connection that is closed with bytes unread, and with that
        the client may lose the answer.
        """
        self._closing = True
        self._partial = False
        self._since = now
        reader = self._reader
        unread = reader.exchange is not None and not reader.complete
        if unread or self._ahead or reader.fault is not None:
            self._ahead = b""
            self._resume(_EARLY | _FULL)
            self._transport.write_eof()
        else:
            self._transport.close()
        self.limit(now + self._plane.settings.patience.linger_s)

    def _gone(self) -> None:
        passage, self._passage = self._passage, None
        if self._partial and self._reader.said.strip():
            self._refused(0)
        self._closing = True
        self._partial = False
        self._ahead = b""
        if passage is not None:
            passage.left()
            if self._scribe is not None:
                self._scribe.over(passage, self._plane.clock())

    def _refused(self, status: int) -> None:
        """Have it noted that a request ended with its head, or before that."""
        if self._scribe is not None:
            exchange = self._reader.exchange or asked_by(self._reader.said)
            self._scribe.refused(exchange, status, self._plane.clock())

    def _say(self, passage: Passage, data: bytes) -> None:
        if self._scribe is not None:
            self._scribe.heard += len(data)
        passage.say(data)
