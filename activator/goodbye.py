"""A no that clients of gRPC and HTTP/2 understand, in what is else passed on unread."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How such a client begins (RFC 9113, 3.4)."""

_HEADERS: Final = 1
_SETTINGS: Final = 4
_PING: Final = 6
_GOAWAY: Final = 7
_ACK: Final = 1
_WHOLE: Final = 0x5
"""END_STREAM and END_HEADERS."""
_FRAME: Final = 9
"""Bytes before a frame's payload."""
_PLAIN: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stays as it is in a grpc-message, beside letters and digits."""
_LONGEST: Final = 1024


class Goodbye:
    """The server's side of a connection on which every call is refused.

    Clients of gRPC call only when the server has said its first word, and call again
    and again where a connection merely ends.
    """

    __slots__ = ("_answer", "_head", "_last", "_left", "_reason")

    def __init__(self, reason: str) -> None:
        self._reason = reason[:_LONGEST]
        self._answer = _refusal(self._reason)
        self._head = b""
        """The frame that is being read: its first bytes."""
        self._left = len(PREFACE)
        """Bytes to come that say nothing."""
        self._last = 0
        """The newest stream that was answered."""

    def begin(self) -> bytes:
        """Return the first word."""
        return _frame(_SETTINGS)

    def end(self) -> bytes:
        """Return the last word: what was not answered may be sent elsewhere."""
        said = self._last.to_bytes(4, "big") + bytes(4) + self._reason.encode()
        return _frame(_GOAWAY, said)

    def feed(self, data: bytes) -> bytes:
        """Return the answers to what the client says next."""
        answers = b""
        while data:
            if self._left:
                rest = data[self._left :]
                self._left -= len(data) - len(rest)
                data = rest
                continue
            wanted = self._wanted() - len(self._head)
            self._head += data[:wanted]
            data = data[wanted:]
            if len(self._head) == self._wanted():
                answers += self._said(self._head)
                self._left = max(0, int.from_bytes(self._head[:3], "big") + _FRAME)
                self._left -= len(self._head)
                self._head = b""
        return answers

    def _wanted(self) -> int:
        """Return how many bytes of a frame matter: of a ping, what it asks back."""
        ping = self._head[3:4] == bytes((_PING,)) and self._head[:3] == b"\0\0\x08"
        return _FRAME + 8 if ping else _FRAME

    def _said(self, frame: bytes) -> bytes:
        kind, flags = frame[3], frame[4]
        stream = int.from_bytes(frame[5:9], "big") & 0x7FFFFFFF
        if kind == _HEADERS and stream > self._last:
            self._last = stream
            return _frame(_HEADERS, self._answer, _WHOLE, stream)
        if kind == _SETTINGS and not flags & _ACK:
            return _frame(_SETTINGS, flags=_ACK)
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, frame[9:], _ACK)
        return b""


def _refusal(reason: str) -> bytes:
    """Return fields that are 503 to HTTP and UNAVAILABLE to gRPC, as HPACK has them."""
    # 8 is the number of the name :status; no field is kept for later (RFC 7541, 6.2.2).
    return b"\x08\x03503" + b"".join(
        b"\0" + _text(name) + _text(value)
        for name, value in (
            (b"content-type", b"application/grpc"),
            (b"grpc-status", b"14"),
            (b"grpc-message", quote(reason, safe=_PLAIN).encode()),
        )
    )


def _text(text: bytes) -> bytes:
    """Return a string with its length, which is a number of 7 bits or more (5.1).

    >>> _text(b"ab"), _text(b"a" * 300)[:3]
    (b'\\x02ab', b'\\x7f\\xad\\x01')
    """
    length = len(text)
    if length < 127:
        return bytes((length,)) + text
    length -= 127
    said = b"\x7f"
    while length >= 128:
        said += bytes((length % 128 + 128,))
        length //= 128
    return said + bytes((length,)) + text


def _frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload
