"""Connections to replicas: one exchange at a time on each, kept while they are good."""

from __future__ import annotations

import asyncio
import logging
import select
from math import inf
from socket import SO_ERROR, SOL_SOCKET
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
from activator.core.framing import NONE, UNTIL_CLOSE, Fault
from activator.core.interim import interim
from activator.phase import Fate
from activator.pool import Pool
from activator.settings import ActivatorSettings
from activator.sides import Side
from activator.transport import Tap
from activator.wheel import Wheel
from autoscaler.clock import Clock

_log = logging.getLogger(__name__)

_TOGETHER: Final = 64 << 10
"""Up to here copying head and body into one is cheaper than a second write."""


class Shared(Protocol):
    """What connections to replicas share."""

    clock: Clock
    settings: ActivatorSettings
    wheel: Wheel
    upstreams: set[Upstream]


class Upstream(Tap):
    """One connection to a replica."""

    __slots__ = (
        "_client", "_clock", "_done", "_exchange", "_fault", "_fields", "_first_byte_s",
        "_heard",
        "_longest", "_out", "_parser", "_pieces", "_plane", "_poll", "_pool", "_silent",
        "_surplus", "_trailers", "_tunnel", "_used", "_want_tail",
        "since", "spoke", "tail",
    )  # fmt: skip

    __deletable__ = ("_parser",)  # What the compiler must know of.

    _exchange: Exchange

    def __init__(self, plane: Shared, pool: Pool[Upstream]) -> None:
        super().__init__()
        self.spoke = 0
        self.since = 0.0
        """When it was made, or last given back; of a tunnel, when it was heard last."""
        self._heard = False
        """A byte of the answer has come."""
        self.tail = b""
        """The end of the answer's body, where token counts are wanted."""
        self._plane = plane
        self._clock = plane.clock
        self._longest = plane.settings.bounds.head
        self._want_tail = plane.settings.want_tail
        self._first_byte_s = plane.settings.patience.first_byte_s
        self._pool = pool
        self._poll: select.poll | None = None
        self._client: Side | None = None
        self._parser = HttpResponseParser(self)
        self._fields: list[Field] = []
        self._trailers: list[Field] = []
        self._pieces: list[bytes] = []
        self._out = b""
        """Heads that were read and not sent on yet."""
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

    # What the client's side asks.

    def begin(self, side: Side, exchange: Exchange) -> None:
        """Send a request, as far as it is here."""
        self._client = side
        self._exchange = exchange
        self._heard = self._done = False
        self._silent = 0
        self.tail = b""
        head = exchange.request_head(side.path, side.peer)
        body = b"" if exchange.length == NONE else exchange.upload()
        if len(body) <= _TOGETHER:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        if self._first_byte_s:
            side.connection.limit(self._clock() + self._first_byte_s)

    def push(self, data: bytes) -> None:
        """Send more of a request's body, or of what a client says in a tunnel."""
        self._transport.write(data)

    def close(self) -> None:
        """Break the connection off, and whatever it is about."""
        self._client = None
        self._transport.abort()

    def is_silent(self) -> bool:
        """Say whether nothing has come on it, not even its end; costs 0.5 µs."""
        if self._poll is None:
            self._poll = select.poll()
            socket = self._transport.get_extra_info("socket")
            self._poll.register(socket.fileno(), select.POLLIN)
        return not self._transport.is_closing() and not self._poll.poll(0)

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
        self.since = now = self._clock()
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
            self.since = self._clock()
            client.send(data)
            return
        self._heard = True
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
        if self._silent > self._longest and not self._done:
            self._fault = self._fault or Fault(502, "a head that is too long")
        if self._fault is not None:
            if self._exchange.answered:
                self._flush(client)
            self._break(f"sent {self._fault.reason}")
            return
        self._flush(client)

    def eof_received(self) -> bool:
        client = self._client
        if client is not None and not self._tunnel:
            exchange = self._exchange
            if exchange.answered and exchange.answer_length == UNTIL_CLOSE:
                self._done = True
                self._flush(client)
        said = "closed the connection before its answer was whole"
        socket = self._transport.get_extra_info("socket")
        # A reset that came after the end shows here and nowhere else.
        self._break(said, reset=socket.getsockopt(SOL_SOCKET, SO_ERROR) != 0)
        self._pool.lost(self, self._clock())
        # Not when what is still to be written has been: the replica reads no more.
        self._transport.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._plane.wheel.drop(self)
        self._plane.upstreams.discard(self)
        said = f"broke the connection off: {error}"
        self._break(said, reset=isinstance(error, ConnectionError))
        self._pool.lost(self, self._clock())
        del self._parser

    def pause_writing(self) -> None:
        if self._client is not None:
            self._client.connection.pause()

    def resume_writing(self) -> None:
        if self._client is not None:
            self._client.connection.resume()

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
            self._out += head
            # The parser takes what comes next for the body that is only described.
            self._done = exchange.method == b"HEAD"
            fields.clear()
        elif status != 101:
            head = interim(status, fields, old=exchange.old)
            if isinstance(head, Fault):
                self._fault = head
                return
            self._out += head
            fields.clear()

    def on_body(self, body: bytes) -> None:
        if self._done:
            self._surplus = True
        else:
            self._pieces.append(body)
            self._silent = 0

    def on_message_complete(self) -> None:
        # Whatever is complete after the answer is not the answer.
        if self._exchange.answered and not self._done:
            self._done = True
            if self._fields:
                self._trailers, self._fields = self._fields, []

    # What follows.

    def _flush(self, client: Side) -> None:
        """Send on what was read, at once and as one piece."""
        data, pieces, exchange = self._out, self._pieces, self._exchange
        if data:
            self._out = b""
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            data += exchange.piece(body) if exchange.encoded else body
            if self._want_tail:
                self.tail = (self.tail + body)[-TAIL:]
        if self._done and exchange.encoded:
            data += exchange.end(self._trailers)
        if data:
            client.send(data)
        if not self._done:
            return
        self._client = None
        self._used = True
        if self._trailers:
            self._trailers = []
        if self._paused:
            self.resume()
        if exchange.method == b"HEAD":
            self._parser = HttpResponseParser(self)
        now = self._clock()
        if exchange.upstream_stays and exchange.complete and not self._surplus:
            self._pool.give(self, now)
        else:
            self.close()
        client.answered(now)

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

    def _break(self, reason: str, *, reset: bool = False) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        fate = Fate.UNKNOWN
        if self._heard:
            fate = Fate.HEARD
        elif self._used:
            fate = Fate.UNREAD if reset else Fate.STALE
            self._pool.broke(self, self._clock())
        self.close()
        client.broken(reason, fate)
