"""Connections to replicas: one exchange at a time on each, kept while they are good."""

from __future__ import annotations

import asyncio
import logging
import select
from math import inf
from typing import Final, Protocol, cast

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from activator.bodies import TAIL
from activator.core.exchange import Exchange
from activator.core.fields import Field
from activator.core.framing import UNTIL_CLOSE, Fault
from activator.settings import ActivatorSettings
from activator.wheel import Wheel
from autoscaler.clock import Clock

_log = logging.getLogger(__name__)

_KEPT: Final = 256
"""Unused connections to one replica; as many as it may well need at once."""
_FRESH_S: Final = 1.0
"""A request that must not be sent twice goes on no connection unused for longer:
uvicorn closes its own after 5 s, and nothing would say whether the request arrived."""
_TOGETHER: Final = 64 << 10
"""Up to here copying head and body into one is cheaper than a second write."""


class Side(Protocol):
    """The client's side of an exchange."""

    path: bytes
    peer: bytes

    def answering(self) -> bytes:
        """Know that the answer's head is here; return lines of our own for it."""

    def send(self, data: bytes) -> None:
        """Write *data* to the client."""

    def answered(self) -> None:
        """Know that the answer was sent to its end."""

    def switched(self) -> None:
        """Know that both sides speak WebSocket from now on."""

    def broken(self, reason: str, *, heard: bool, stale: bool) -> None:
        """Know that there will be no more of an answer."""

    def hold(self) -> None:
        """Read no more of the request: the replica does not take it."""

    def resume(self) -> None:
        """Read on."""


class Shared(Protocol):
    """What connections to replicas share."""

    clock: Clock
    settings: ActivatorSettings
    wheel: Wheel
    upstreams: set[Upstream]


class Pool:
    """Unused connections to one endpoint, the last used first."""

    __slots__ = ("_closed", "_fleeting", "_idle", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: list[Upstream] = []
        self._closed = False
        self._fleeting = False
        """The replica closes connections soon after an answer, and unannounced."""

    def take(self, now: float, *, careful: bool) -> Upstream | None:
        """Return a connection; *careful*: what goes on it must not be sent twice."""
        idle = self._idle
        while idle:
            upstream = idle.pop()
            if not careful or (not self._fleeting and upstream.is_fresh(now)):
                return upstream
            upstream.close()
        return None

    def give(self, upstream: Upstream, now: float) -> None:
        """Keep a connection that is good for another exchange."""
        upstream.since = now
        if self._closed or len(self._idle) >= _KEPT:
            upstream.close()
        else:
            self._idle.append(upstream)

    def drop(self, upstream: Upstream) -> bool:
        """Forget a connection; say whether it was here."""
        if upstream not in self._idle:
            return False
        self._idle.remove(upstream)
        return True

    def lost(self, upstream: Upstream, now: float) -> None:
        """Know that the replica closed a connection."""
        if self.drop(upstream) and now - upstream.since < _FRESH_S:
            self._fleeting = True

    def close(self) -> None:
        """Keep none from now on."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class Upstream(asyncio.Protocol):
    """One connection to a replica."""

    __slots__ = (
        "_client",
        "_done",
        "_exchange",
        "_fault",
        "_fields",
        "_out",
        "_parser",
        "_paused",
        "_pieces",
        "_plane",
        "_poll",
        "_pool",
        "_silent",
        "_surplus",
        "_trailers",
        "_transport",
        "_tunnel",
        "_used",
        "heard",
        "since",
        "spoke",
        "tail",
    )

    _transport: asyncio.Transport
    _exchange: Exchange

    def __init__(self, plane: Shared, pool: Pool) -> None:
        self.spoke = 0
        self.since = 0.0
        """When it was last given back."""
        self.heard = False
        """A byte of the answer has come."""
        self.tail = b""
        """The end of the answer's body, where token counts are wanted."""
        self._plane = plane
        self._pool = pool
        self._poll: select.poll | None = None
        self._client: Side | None = None
        self._parser = HttpResponseParser(self)
        self._fields: list[Field] = []
        self._trailers: list[Field] = []
        self._pieces: list[bytes] = []
        self._out: list[bytes] = []
        self._fault: Fault | None = None
        self._silent = 0
        """Bytes of the answer since the last of its body."""
        self._done = True
        """The answer was read to its end."""
        self._surplus = False
        """More came than was asked for."""
        self._used = False
        """It has served an exchange before this one."""
        self._tunnel = False
        self._paused = False

    # What the client's side asks.

    def begin(self, client: Side, exchange: Exchange) -> None:
        """Send a request, as far as it is here."""
        self._client = client
        self._exchange = exchange
        self.heard = self._done = False
        self._silent = 0
        self.tail = b""
        head = exchange.request_head(client.path, client.peer)
        body = exchange.upload()
        if len(body) <= _TOGETHER:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def push(self, data: bytes) -> None:
        """Send more of a request's body, or of what a client says in a tunnel."""
        self._transport.write(data)

    def pause(self) -> None:
        """Read nothing: the client does not take it."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Break the connection off, and whatever it is about."""
        self._client = None
        self._transport.abort()

    def is_fresh(self, now: float) -> bool:
        """Say whether the replica can be trusted to have it still open.

        That it was closed may be in the kernel already, and not read yet: a system
        call of 0.5 µs tells.
        """
        if now - self.since > _FRESH_S:
            return False
        if self._poll is None:
            self._poll = select.poll()
            socket = self._transport.get_extra_info("socket")
            self._poll.register(socket.fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def check(self, now: float) -> float:
        """Close it if it was not used for long; the wheel asks."""
        if self._client is not None:
            return now + self._plane.settings.patience.kept_s
        until = self.since + self._plane.settings.patience.kept_s
        if now < until:
            return until
        self._pool.drop(self)
        self.close()
        return inf

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        self.since = now = self._plane.clock()
        self._plane.upstreams.add(self)
        self._plane.wheel.ask(self, now + self._plane.settings.patience.kept_s)

    def data_received(self, data: bytes) -> None:
        client = self._client
        if client is None:
            # It says what nobody asked.
            self._pool.drop(self)
            self.close()
            return
        if self._tunnel:
            client.send(data)
            return
        self.heard = True
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._switch(client, data[upgrade.args[0] :])
            return
        except HttpParserCallbackError:
            _log.exception("failed to take an answer")
            self._fault = self._fault or Fault(502, "an answer that cannot be taken")
        except HttpParserError as error:
            if not self._done:
                self._fault = self._fault or Fault(502, f"malformed HTTP: {error}")
            self._surplus = True
        if self._silent > self._plane.settings.bounds.head and not self._done:
            self._fault = self._fault or Fault(502, "a head that is too long")
        if self._fault is not None:
            self._break(self._fault.reason)
            return
        self._flush(client)

    def eof_received(self) -> bool:
        client = self._client
        if client is not None and not self._tunnel:
            exchange = self._exchange
            if exchange.answered and exchange.answer_length == UNTIL_CLOSE:
                self._done = True
                self._flush(client)
        # Not when what is still to be written has been: the replica reads no more.
        self._break("closed the connection before its answer was whole")
        self._transport.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._plane.wheel.drop(self)
        self._plane.upstreams.discard(self)
        self._break(str(error or "closed the connection"))
        self._pool.lost(self, self._plane.clock())
        del self._parser

    def pause_writing(self) -> None:
        if self._client is not None:
            self._client.hold()

    def resume_writing(self) -> None:
        if self._client is not None:
            self._client.resume()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._done:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        fields, client, exchange = self._fields, self._client, self._exchange
        if self._done or self._fault is not None or client is None:
            return
        parser = self._parser
        status = parser.get_status_code()
        if status >= 200:
            lines = client.answering()
            keep = parser.should_keep_alive()
            head = exchange.answer(status, fields, keep, parser.get_http_version, lines)
            if isinstance(head, Fault):
                self._fault = head
                return
            self._out.append(head)
            # The parser takes what comes next for the body that is only described.
            self._done = exchange.method == b"HEAD"
            fields.clear()
        elif status != 101:
            self._out.append(exchange.interim(status, fields))
            fields.clear()

    def on_body(self, body: bytes) -> None:
        if self._done:
            self._surplus = True
        else:
            self._pieces.append(body)
            self._silent = 0

    def on_message_complete(self) -> None:
        if self._exchange.answered:
            self._done = True
            self._trailers = self._fields
            self._fields = []

    # What follows.

    def _flush(self, client: Side) -> None:
        """Send on what was read, at once and as one piece."""
        out, pieces, exchange = self._out, self._pieces, self._exchange
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            out.append(exchange.piece(body))
            if self._plane.settings.want_tail:
                self.tail = (self.tail + body)[-TAIL:]
        if self._done:
            out.append(exchange.end(self._trailers))
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        if data:
            client.send(data)
        if self._done:
            self._finish(client, exchange)

    def _finish(self, client: Side, exchange: Exchange) -> None:
        if exchange.method == b"HEAD":
            self._parser = HttpResponseParser(self)
        self._client = None
        self.resume()
        self._trailers = []
        self._used = True
        if exchange.upstream_stays and exchange.complete and not self._surplus:
            self._pool.give(self, self._plane.clock())
        else:
            self.close()
        client.answered()

    def _switch(self, client: Side, data: bytes) -> None:
        exchange = self._exchange
        if not exchange.upgrade:
            self._break("changed the protocol without being asked")
            return
        client.answering()
        head = exchange.switch(self._fields)
        self._fields = []
        self._tunnel = True
        client.send(head + data)
        client.switched()

    def _break(self, reason: str) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        stale = self._used and not self.heard
        self.close()
        client.broken(reason, heard=self.heard, stale=stale)
