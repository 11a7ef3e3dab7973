"""A first word to a client of HTTP/2 that is held, before its server has said one.

Clients of gRPC take a server for dead that says nothing for 20 s, and call only when it
has. So they are sent settings that settle nothing; the server's own are taken for a
change of them. That the client acknowledges ours must not reach the server, which would
take it for an error.
"""

from __future__ import annotations

from typing import Final

from activator.h2 import ACK, HEAD, PREFACE, SETTINGS, frame, length

_MOST: Final = 10_000
"""Frames of a client that are looked at for its acknowledgement."""
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

    __slots__ = ("_frames", "_head", "_left", "over")

    def __init__(self) -> None:
        self.over = False
        """It was acknowledged: what comes is as it must be."""
        self._head = b""
        """The first bytes of the frame that is being read."""
        self._left = len(PREFACE)
        """Bytes to come before the next frame."""
        self._frames = 0

    def feed(self, data: bytes) -> bytes:
        """Return what is to be passed on now; nothing is kept back for long."""
        passed: list[bytes] = []
        at, end = 0, len(data)
        while at < end and not self.over:
            before = self._head
            count = self._left or HEAD - len(before)
            piece = data[at : at + count]
            at += len(piece)
            if self._left:
                self._left -= len(piece)
                passed.append(piece)
                continue
            head = before + piece
            if head == _ACKNOWLEDGED:
                self.over = True
            elif not _ACKNOWLEDGED.startswith(head):
                kept = _ACKNOWLEDGED.startswith(before)
                passed.append(head if kept else piece)
            whole = len(head) == HEAD
            self._head = b"" if whole else head
            self._left = length(head) if whole else 0
            self._frames += whole
            if self._frames >= _MOST:
                # Whoever says so much before it acknowledges never will.
                self.over = True
        passed.append(data[at:])
        return b"".join(passed)
