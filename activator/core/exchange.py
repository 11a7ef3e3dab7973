"""One HTTP exchange: what a request and its answer say about length and staying.

Bytes go in as a parser found them (names and values, pieces of a body), bytes that the
other side is owed come out; nothing here waits, reads a clock or knows a socket. Every
head that goes out is written anew, so what was not understood cannot pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from activator.core.fields import (
    AGENT,
    ANSWER,
    CHAIN,
    CHAINED,
    CODING,
    CONNECTION,
    EXPECT,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HOST,
    ISVC,
    LENGTH,
    NAMESPACE,
    REPEATABLE,
    REQUEST,
    TRAILER,
    UPGRADE,
    Field,
    lines,
    tokens,
    trimmed,
    without,
)
from activator.core.forwarded import extension
from activator.core.framing import (
    CHUNKED,
    NONE,
    REPEATABLE_METHODS,
    UNTIL_CLOSE,
    Fault,
    address,
    is_chunked,
    is_plain,
    length_of,
    status_line,
)

# The values of Connection that name no field, as almost every peer writes them.
_NAMES_NOTHING: Final = frozenset({b"keep-alive", b"Keep-Alive", b"close", b"Close"})
_FORWARDED: Final = (
    b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n"
    b"Via: 1.1 fromzero\r\n\r\n"
)
_NOWHERE: Final = b"localhost"
"""For HTTP/1.0 without a Host: an empty one is allowed, and refused by nginx."""
_END: Final = b"0\r\n\r\n"


class Exchange:
    """One request and its answer, as they pass.

    The driver calls `ask` when a request's head was read, `body` for pieces of its
    body, `request_head` and `upload` to write it upstream; `answer`, `piece` and `end`
    for what comes back. `rewind` begins the upstream side again for another replica.
    """

    __slots__ = (
        "_ended", "_sent", "agent", "answer_length", "answered", "chained", "complete",
        "encoded", "expects", "forwarded_for", "forwarded_host", "forwarded_proto",
        "host", "isvc", "kept", "length", "lines", "method", "namespace", "old",
        "pieces", "received", "repeatable", "status", "stays", "target", "trailers",
        "upgrade", "upstream_stays",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes) -> None:
        self.method = method
        self.target = target
        self.host = b""
        self.isvc: bytes | None = None
        self.namespace: bytes | None = None
        self.agent = b""
        self.length = NONE
        self.old = False
        """The client speaks HTTP/1.0."""
        self.stays = True
        """The client's connection may serve another request."""
        self.expects = False
        """The client waits for 100 Continue before it sends the body."""
        self.upgrade = False
        """The client asks for a WebSocket."""
        self.repeatable = method in REPEATABLE_METHODS
        self.forwarded_for = b""
        self.forwarded_proto = b""
        self.forwarded_host = b""
        self.chained = False  # More of that is among its lines.
        self.pieces: list[bytes] = []
        """The body as far as it is here and kept."""
        self.received = 0
        """Bytes of body so far."""
        self.kept = True
        """All of the body that was received is still in *pieces*."""
        self.complete = False
        """The request was read to its end."""
        self.trailers: Sequence[Field] = ()
        self.status = 0
        self.answered = False
        """A final head was taken from upstream."""
        self.answer_length = NONE
        self.upstream_stays = False
        self.encoded = False
        """The client gets the answer's body in chunks: by `piece` and `end`."""
        self.lines: list[bytes] = []
        self._sent = 0
        self._ended = False

    def ask(
        self, fields: Sequence[Field], keep: bool, version: Callable[[], str]
    ) -> Fault | None:
        """Take the request's head; *keep* is the parser's word on keep-alive.

        *version* is called only where it can matter: the parser formats it anew each
        time, and a kept connection without a Connection field is HTTP/1.1.
        """
        written = self.lines
        host: bytes | None = None
        connection = upgrade = b""
        coding: bytes | None = None
        for name, value in fields:
            what = REQUEST[name]
            if not what:
                written.append(b"%b: %b" % (name, value))
                continue
            if what == HOST:
                if host is not None:
                    return Fault(400, "more than one Host field")
                host = value.strip()
            elif what == AGENT:
                self.agent = value
                written.append(b"%b: %b" % (name, value))
            elif what == LENGTH:
                length = length_of(value)
                if length is None or self.length != NONE:
                    return Fault(400, "Content-Length is not one number of bytes")
                self.length = length
            elif what == CODING:
                if coding is not None:
                    return Fault(400, "more than one Transfer-Encoding field")
                coding = value
            elif what == CONNECTION:
                connection = b"%b,%b" % (connection, value) if connection else value
            elif what == UPGRADE:
                upgrade = b"%b,%b" % (upgrade, value)
            elif not self._take(what, name, value):
                return Fault(417, "Expect can only be 100-continue")
        self.stays = keep
        if not keep or connection:
            said = version()
            if said == "1.0":
                self.old = True
                self.stays = keep and b"keep-alive" in tokens(connection)
                self.expects = False
            elif said != "1.1":
                return Fault(505, f"HTTP/{said} is not spoken here: use HTTP/1.1")
        if coding is not None:
            fault = self._chunked(coding)
            if fault is not None:
                return fault
        if connection and connection not in _NAMES_NOTHING:
            self._named(connection, upgrade)
        if host is None:
            if not self.old:
                return Fault(400, "no Host field")
            host = b""
        elif not host:
            return Fault(400, "an empty Host field")
        if is_plain(self.method, self.target, host):
            self.host = host
            return None
        found = address(self.method, self.target, host)
        if isinstance(found, Fault):
            return found
        self.host, self.target = found
        return None

    def _take(self, what: int, name: bytes, value: bytes) -> bool:
        """Note a field that framing does not depend on; False if it is an Expect
        that cannot be met."""
        if what == EXPECT:
            self.expects = True
            return value.strip().lower() == b"100-continue"
        if what == FORWARDED_FOR:
            old = self.forwarded_for
            self.forwarded_for = b"%b, %b" % (old, value) if old else value
        elif what == FORWARDED_PROTO:
            self.forwarded_proto = self.forwarded_proto or value
        elif what == FORWARDED_HOST:
            self.forwarded_host = self.forwarded_host or value
        elif what >= ISVC:
            self.lines.append(b"%b: %b" % (name, value))
            if what == REPEATABLE:
                self.repeatable = True
            elif what == CHAIN:
                self.chained = True
            elif what == NAMESPACE:
                self.namespace = value.strip()
            else:
                self.isvc = value.strip()
        return True

    def _chunked(self, coding: bytes) -> Fault | None:
        if self.length != NONE:
            return Fault(400, "both Content-Length and Transfer-Encoding")
        if self.old:
            return Fault(400, "Transfer-Encoding in HTTP/1.0")
        if not is_chunked(coding):
            return Fault(400, "Transfer-Encoding can only be chunked")
        self.length = CHUNKED
        return None

    def _named(self, connection: bytes, upgrade: bytes) -> None:
        named = tokens(connection)
        self.lines = without(self.lines, named)
        self.upgrade = (
            b"upgrade" in named
            and tokens(upgrade) == (b"websocket",)
            and self.method == b"GET"
            and self.length == NONE
            and not self.old
        )

    def distrust(self) -> None:
        """Drop what is said of who it is forwarded for: its peer may say anything."""
        self.forwarded_for = self.forwarded_proto = self.forwarded_host = b""
        if self.chained:
            self.chained = False
            self.lines = without(self.lines, CHAINED)

    def body(self, piece: bytes) -> None:
        """Take a piece of the request's body; an empty one would be a last chunk."""
        if piece:
            self.pieces.append(piece)
            self.received += len(piece)

    def field(self, name: bytes) -> bytes:
        """Return the first value of a field that is passed on; *name* in lower case."""
        for line in self.lines:
            its, _, value = line.partition(b":")
            if its.lower() == name:
                return value.strip()
        return b""

    def forget(self) -> None:
        """Keep no more of the body than what is still owed upstream."""
        self.kept = False
        del self.pieces[: self._sent]
        self._sent = 0

    @property
    def replayable(self) -> bool:
        """Say whether the request may be delivered a second time."""
        return self.repeatable and self.kept

    def request_head(self, path: bytes, peer: bytes) -> bytes:
        """Write the head for upstream; *peer* is the client's address."""
        host = self.host or _NOWHERE
        written = [b"%b %b HTTP/1.1\r\nHost: %b" % (self.method, path, host)]
        written += self.lines
        length = self.length
        if length >= 0:
            written.append(b"Content-Length: %d" % length)
        elif length == CHUNKED:
            written.append(b"Transfer-Encoding: chunked")
        elif self.upgrade:
            written.append(b"Connection: Upgrade\r\nUpgrade: websocket")
        if self.chained:
            written += extension(self.lines, peer)
        if self.forwarded_for:
            peer = b"%b, %b" % (self.forwarded_for, peer)
        proto = self.forwarded_proto or b"http"
        written.append(_FORWARDED % (peer, proto, self.forwarded_host or self.host))
        return trimmed(b"\r\n".join(written))

    def upload(self) -> bytes:
        """Return the body that upstream is owed by now."""
        if self.length == NONE:
            return b""
        pieces = self.pieces[self._sent :] if self._sent else self.pieces
        if self.length == CHUNKED:
            owed = b"".join([b"%x\r\n%b\r\n" % (len(p), p) for p in pieces])
            if self.complete and not self._ended:
                self._ended = True
                owed += b"0\r\n%b\r\n" % lines(self.trailers, TRAILER)
        else:
            owed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.kept:
            self._sent = len(self.pieces)
        else:
            self.pieces.clear()
        return owed

    def rewind(self) -> None:
        """Begin the upstream side again: the body is owed from its start."""
        self._sent = 0
        self._ended = False

    def switch(self, fields: Sequence[Field]) -> bytes:
        """Write the answer after which both sides speak WebSocket."""
        self.status = 101
        self.answered = True
        return b"%b%bConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" % (
            status_line(101),
            lines(fields, ANSWER),
        )

    def answer(
        self,
        status: int,
        fields: Sequence[Field],
        keep: bool,
        version: Callable[[], str],
        extra: bytes = b"",
    ) -> bytes | Fault:
        """Take a final answer's head and return it as the client gets it.

        *keep* is the parser's word on the replica's connection; *extra* are lines of
        our own.
        """
        written: list[bytes] = []
        length = NONE
        chunked = False
        named = b""
        for name, value in fields:
            what = ANSWER[name]
            if not what:
                written.append(b"%b: %b" % (name, value))
                continue
            if what == LENGTH:
                number = length_of(value)
                if number is None or length != NONE:
                    return Fault(502, "a Content-Length that is not one number")
                length = number
            elif what == CODING:
                if chunked or not is_chunked(value):
                    return Fault(502, "a Transfer-Encoding other than chunked")
                chunked = True
            elif what == CONNECTION and value not in _NAMES_NOTHING:
                named = b"%b,%b" % (named, value)
        if not 200 <= status <= 599:
            return Fault(502, f"status {status}")
        if chunked and length != NONE:
            return Fault(502, "both Content-Length and Transfer-Encoding")
        if not keep or chunked:
            said = version()
            if said != "1.1" and (chunked or said != "1.0"):
                return Fault(502, f"a malformed HTTP/{said} head")
        if named:
            written = without(written, tokens(named))
        self.status = status
        self.answered = True
        self.upstream_stays = keep
        if length != NONE and status != 204:
            written.append(b"Content-Length: %d" % length)
        if self.method == b"HEAD" or status == 204 or status == 304:
            length = NONE
        elif length == NONE:
            length = CHUNKED if chunked else UNTIL_CLOSE
            if self.old:
                self.stays = False
            else:
                self.encoded = True
                written.append(b"Transfer-Encoding: chunked")
        self.answer_length = length
        if not self.stays:
            written.append(b"Connection: close")
        elif self.old:
            written.append(b"Connection: keep-alive")
        written.append(extra + b"\r\n")
        return status_line(status) + b"\r\n".join(written)

    def piece(self, data: bytes) -> bytes:
        """Return a piece of the answer's body as the client gets it."""
        # Nothing, as a chunk, would be the last one.
        return b"%x\r\n%b\r\n" % (len(data), data) if self.encoded and data else data

    @property
    def ends_seen(self) -> bool:
        """Say whether the client can tell a whole answer from one that breaks off."""
        return self.encoded or self.answer_length >= 0

    def end(self, trailers: Sequence[Field] = ()) -> bytes:
        """Return what ends the answer's body for the client."""
        if not self.encoded:
            return b""
        return b"0\r\n%b\r\n" % lines(trailers, TRAILER) if trailers else _END
