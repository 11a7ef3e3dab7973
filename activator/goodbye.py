"""A no that clients of gRPC and HTTP/2 understand, in what is else passed on unread."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from activator.h2 import (
    ACK,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    field,
    frame,
    length,
)

_PLAIN: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stays as it is in a grpc-message, beside letters and digits."""
_LONGEST: Final = 1024
_MOST: Final = 1000
"""Answers to one client: who says more than it can have asked is told no more."""


class Goodbye:
    """The server's side, after its first word: every call is refused.

    Clients of gRPC call again and again where a connection merely ends.
    """

    __slots__ = ("_answer", "_answered", "_head", "_last", "_left", "_reason")

    def __init__(self, reason: str) -> None:
        self._reason = reason[:_LONGEST]
        self._answer = _refusal(self._reason)
        self._head = b""
        """The frame that is being read: its first bytes."""
        self._left = len(PREFACE)
        """Bytes to come that say nothing."""
        self._last = 0
        """The newest stream that was answered."""
        self._answered = 0

    def end(self) -> bytes:
        """Return the last word: what was not answered may be sent elsewhere."""
        said = self._last.to_bytes(4, "big") + bytes(4) + self._reason.encode()
        return frame(GOAWAY, said)

    def feed(self, data: bytes) -> bytes:
        """Return the answers to what the client says next."""
        answers: list[bytes] = []
        at, end = 0, len(data)
        while at < end and self._answered < _MOST:
            if self._left:
                over = min(self._left, end - at)
                self._left -= over
                at += over
                continue
            wanted = self._wanted() - len(self._head)
            self._head += data[at : at + wanted]
            at = min(end, at + wanted)
            if len(self._head) == self._wanted():
                if answer := self._said(self._head):
                    answers.append(answer)
                    self._answered += 1
                self._left = length(self._head) + HEAD - len(self._head)
                self._head = b""
        return b"".join(answers)

    def _wanted(self) -> int:
        """Return how many bytes of a frame matter: of a ping, what it asks back."""
        ping = self._head[3:4] == bytes((PING,)) and length(self._head) == 8
        return HEAD + 8 if ping else HEAD

    def _said(self, head: bytes) -> bytes:
        kind, flags = head[3], head[4]
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        if kind == HEADERS and stream > self._last:
            self._last = stream
            return frame(HEADERS, self._answer, END_STREAM | END_HEADERS, stream)
        if kind == SETTINGS and not flags & ACK:
            return frame(SETTINGS, flags=ACK)
        if kind == PING and not flags & ACK:
            return frame(PING, head[HEAD:], ACK)
        return b""


def _refusal(reason: str) -> bytes:
    """Return the fields that are 503 to HTTP and UNAVAILABLE to gRPC."""
    # 8 is the number of the name :status, which is followed by its value.
    return b"\x08\x03503" + b"".join(
        (
            field(b"content-type", b"application/grpc"),
            field(b"grpc-status", b"14"),
            field(b"grpc-message", quote(reason, safe=_PLAIN).encode()),
        )
    )
