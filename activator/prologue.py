"""What a tunnel's client has said that nobody heard yet, and what it is told meanwhile.

Whoever speaks no HTTP/2 is told nothing.
"""

from __future__ import annotations

from activator.goodbye import Goodbye
from activator.greeting import Greeting
from activator.h2 import PREFACE


class Prologue:
    """Bytes in, bytes for the client out; `all` and `after` are for the replica."""

    __slots__ = ("_ahead", "_goodbye", "_greeting", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes that were read."""
        self._ahead = bytearray()
        self._greeting: Greeting | None = None
        self._goodbye: Goodbye | None = None

    def add(self, data: bytes) -> None:
        """Keep what was said."""
        self.size += len(data)
        self._ahead += data

    def greet(self) -> bytes:
        """Return what lets the client begin, once it is known that it must wait."""
        if self._greeting is not None or not self._ahead.startswith(PREFACE):
            return b""
        self._greeting = Greeting()
        return Greeting.word

    def all(self) -> bytes:
        """Return what the replica must hear first, and keep it no longer."""
        said, self._ahead = bytes(self._ahead), bytearray()
        return self.after(said)

    def after(self, data: bytes) -> bytes:
        """Return what the replica must hear of *data*, which came later."""
        greeting = self._greeting
        return data if greeting is None or greeting.over else greeting.feed(data)

    def refuse(self, reason: str) -> bytes:
        """Return what refuses all that was asked for; empty: it cannot be said."""
        said, self._ahead = bytes(self._ahead), bytearray()
        if not PREFACE.startswith(said[: len(PREFACE)]):
            return b""
        self._goodbye = Goodbye(reason)
        word = b"" if self._greeting is not None else Greeting.word
        return word + self._goodbye.feed(said)

    def answer(self, data: bytes) -> bytes:
        """Return what refuses what is asked for now."""
        return b"" if self._goodbye is None else self._goodbye.feed(data)

    def end(self) -> bytes:
        """Return the last word; empty: there is none."""
        return b"" if self._goodbye is None else self._goodbye.end()
