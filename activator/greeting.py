"""A first word to a client of HTTP/2 that is held, before its server has said one.

Clients of gRPC take a server for dead that says nothing for 20 s, and call only when it
has. So they are sent settings that settle nothing; the server's own are taken for a
change of them. That the client acknowledges ours must not reach the server, which would
take it for an error.
"""

from __future__ import annotations

from typing import Final

from activator.h2 import ACK, HEAD, PREFACE, SETTINGS, frame, length

_ACKNOWLEDGED: Final = frame(SETTINGS, flags=ACK)


class Greeting:
    """What the client says from its first byte on, without its first acknowledgement.

    >>> greeting = Greeting()
    >>> greeting.feed(PREFACE + frame(SETTINGS)) == PREFACE + frame(SETTINGS)
    True
    >>> greeting.feed(frame(SETTINGS, flags=ACK) + b"all the rest")
    b'all the rest'
    """

    word: Final = frame(SETTINGS)

    __slots__ = ("_head", "_left", "over")

    def __init__(self) -> None:
        self.over = False
        """It was acknowledged: what comes is as it must be."""
        self._head = b""
        """The first bytes of the frame that is being read."""
        self._left = len(PREFACE)
        """Bytes to come before the next frame."""

    def feed(self, data: bytes) -> bytes:
        """Return what is to be passed on now; nothing is kept back for long."""
        passed = b""
        while data and not self.over:
            before = self._head
            count = self._left or HEAD - len(before)
            piece, data = data[:count], data[count:]
            if self._left:
                self._left -= len(piece)
                passed += piece
                continue
            head = before + piece
            if head == _ACKNOWLEDGED:
                self.over = True
            elif not _ACKNOWLEDGED.startswith(head):
                kept = _ACKNOWLEDGED.startswith(before)
                passed += head if kept else piece
            whole = len(head) == HEAD
            self._head = b"" if whole else head
            self._left = length(head) if whole else 0
        return passed + data
