"""A client's bytes as exchanges, one at a time: never a byte past the end of a request.

httptools has no way to stop at the end of a message, so it is fed no further than one
can end: a head, and a body in chunks with its trailers, end with an empty line; another
body after as many bytes as its length says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from activator.core.exchange import Exchange
from activator.core.fields import Field
from activator.core.framing import CHUNKED, Fault

_EMPTY_LINE: Final = b"\r\n\r\n"
_ENDLESS: Final = 1 << 60
_LONGEST_LINE: Final = 128
"""Of a first line but for its target, with empty lines before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long what is not a body may be, in bytes."""

    head: int = 64 << 10
    """Request line and fields; so much, too, of chunk lines or trailers in a row."""
    target: int = 16 << 10
    """The request target: what servers behind us take is 8 to 64 KiB."""
    fields: int = 1000
    """Fields of a head, and of trailers; Node.js takes 2,000, Apache 100."""
    body: int = 0
    """A request's body; 0: no bound."""


class RequestReader:
    """Parse requests: `exchange` is there when a head was read, `fault` if it is bad.

    After `complete` the next request waits until `next` is called.
    """

    __slots__ = (
        "_fields",
        "_left",
        "_longest",
        "_longest_body",
        "_longest_target",
        "_most_fields",
        "_parser",
        "_pieces",
        "_said",
        "_since",
        "_tail",
        "_target",
        "complete",
        "exchange",
        "fault",
    )
    __deletable__ = ("_parser",)  # What the compiler must know of.

    def __init__(self, bounds: Bounds) -> None:
        self.exchange: Exchange | None = None
        self.complete = False
        """The request was read to its end."""
        self.fault: Fault | None = None
        self._longest = bounds.head
        self._longest_target = bounds.target
        self._longest_body = bounds.body or _ENDLESS
        self._most_fields = bounds.fields
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._fields: list[Field] = []
        self._pieces: list[bytes] = []
        self._left = -1
        """Bytes of body to come; -1: it is an empty line that ends what is read."""
        self._tail = b""
        """The last bytes read, which may begin an empty line."""
        self._since = 0
        """Bytes since the request began, or since the last byte of its body."""
        self._said = b""
        """The request's first bytes, until its head was read."""

    @property
    def said(self) -> bytes:
        """Return what a head began with that was not read, or not to its end."""
        return self._said

    @property
    def begun(self) -> bool:
        """Say whether some of a head was read, but not all."""
        return self._since > 0 and self.exchange is None

    def feed(self, data: bytes) -> bytes:
        """Read on, to the end of one request; return what comes after it."""
        while data and not self.complete and self.fault is None:
            left = self._left
            if left > 0:
                end = left
            elif self._tail:
                end = self._end(data)
            else:
                end = data.find(_EMPTY_LINE) + 4
                if end < 4:
                    end = len(data)
            rest = b""
            if end < len(data):
                data, rest = data[:end], data[end:]
            self._since += len(data)
            if self.exchange is None:
                self._said = self._so_far(data) if self._said else data
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade:
                self._upgraded()
            except HttpParserError as error:
                self._spoil(400, _words(error))
                break
            if self.complete:
                self._tail = b""
            elif left > 0:
                self._left = left - len(data)
            else:
                self._go_on(data)
            data = rest
        pieces = self._pieces
        if pieces:
            exchange = self.exchange
            if exchange is not None:
                # What was read at once goes on as one piece, whatever its chunks were.
                exchange.body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
                if exchange.received > self._longest_body:
                    self._body_too_long()
            pieces.clear()
        return data

    def next(self) -> None:
        """Begin another request."""
        self.exchange = None
        self.complete = False
        self._target = b""
        self._left = -1
        self._since = 0
        self._fields.clear()

    def close(self) -> None:
        """Let go of the parser, which holds on to this."""
        del self._parser

    def _so_far(self, data: bytes) -> bytes:
        """Return what began a request, as far as a first line can reach."""
        said = self._said
        return said + data if len(said) < self._longest_target + _LONGEST_LINE else said

    def _end(self, data: bytes) -> int:
        """Return where an empty line ends that may have begun before *data*."""
        at = (self._tail + data[:3]).find(_EMPTY_LINE)
        if at >= 0:
            return at + 4 - len(self._tail)
        at = data.find(_EMPTY_LINE)
        return at + 4 if at >= 0 else len(data)

    def _go_on(self, data: bytes) -> None:
        """Know that *data* did not end what an empty line ends."""
        if data.endswith(_EMPTY_LINE):
            self._tail = b""
        else:
            self._tail = (self._tail + data)[-3:] if len(data) < 3 else data[-3:]
        if self._since > self._longest:
            self._too_long()

    def _too_long(self) -> None:
        bound = self._longest
        if self.exchange is not None:
            self._spoil(400, f"more than {bound} bytes of chunk lines or trailers")
        elif not self._fields and len(self._target) > self._longest_target:
            self._spoil(414, f"the target is longer than {self._longest_target} bytes")
        else:
            self._spoil(431, f"the head is longer than {bound} bytes")

    def _body_too_long(self) -> None:
        bound = self._longest_body
        self._spoil(413, f"the body is longer than {bound} bytes")

    def _spoil(self, status: int, reason: str) -> None:
        """Read no more; what was found first counts."""
        if self.fault is None:
            self.fault = Fault(status, reason)

    def _upgraded(self) -> None:
        """Go on after a request that asks for another protocol.

        The parser holds the head for all of such a request. Where it was not for a
        WebSocket the wish is passed over, as RFC 9110 §7.8 allows, and its body is
        read: Java's HTTP client asks for h2c with each request, POST or not.
        """
        exchange = self.exchange
        self._parser = HttpRequestParser(self)
        if exchange is None or self.fault is not None:
            return
        if exchange.length != CHUNKED and exchange.length <= 0:
            return
        self.complete = exchange.complete = False
        coding = b"Transfer-Encoding: chunked"
        if exchange.length != CHUNKED:
            coding = b"Content-Length: %d" % exchange.length
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % coding)

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        if self.complete:
            self._spoil(400, "there is more in a request than it says")
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self.exchange is not None:
            self._fields.clear()  # Those of a head that `_upgraded` wrote.
            return
        parser, target = self._parser, self._target
        exchange = Exchange(parser.get_method(), target)
        keep = parser.should_keep_alive()
        self.fault = exchange.ask(self._fields, keep, parser.get_http_version)
        if len(self._fields) > self._most_fields:
            bound = self._most_fields
            self.fault = Fault(431, f"the head has more than {bound} fields")
        self._fields.clear()
        line = b"%b %b HTTP/1." % (exchange.method, target)
        if not self._said.startswith(line) and not _begins(self._said, line):
            self._spoil(400, "the first line is not METHOD TARGET HTTP/1.1")
        self._said = b""
        if self._since > self._longest or len(target) > self._longest_target:
            self.fault = None
            self._fields.clear()
            self._too_long()
        self.exchange = exchange
        self._since = 0
        if exchange.length > 0:
            self._left = exchange.length
            if exchange.length > self._longest_body:
                self._body_too_long()

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._since = 0

    def on_message_complete(self) -> None:
        self.complete = True
        exchange = self.exchange
        if exchange is not None:
            exchange.complete = True
            if self._fields:
                exchange.trailers = trailers = tuple(self._fields)
                if sum(map(_size, trailers)) > self._longest:
                    self._too_long()
                if len(trailers) > self._most_fields:
                    self._spoil(400, f"more than {self._most_fields} trailers")


def _size(field: Field) -> int:
    return len(field[0]) + len(field[1])


def _begins(said: bytes, line: bytes) -> bool:
    r"""Say whether *said* is *line*, exactly, or that after empty lines.

    llhttp passes over more spaces than one and a lone CR or LF before the line, and
    takes RTSP for HTTP: each is read otherwise by somebody else.

    >>> _begins(b"\r\nGET / HTTP/1.1", b"GET /"), _begins(b"\nGET / HTTP/1.1", b"GET /")
    (True, False)
    """
    rest = said.lstrip(b"\r\n")
    lines, odd = divmod(len(said) - len(rest), 2)
    return not odd and said.startswith(b"\r\n" * lines + line)


def _words(error: HttpParserError) -> str:
    return f"malformed HTTP: {error}".rstrip(": ")
