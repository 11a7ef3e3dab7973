"""What an access log is told of the requests of one client's connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activator.access_log import AccessLog
from activator.core.exchange import Exchange

if TYPE_CHECKING:
    from activator.passage import Passage


class Scribe:
    """Made with a connection, if there is a log; all that is written goes by it."""

    __slots__ = ("_answering", "_log", "_peer", "_sent", "_write", "heard")

    def __init__(
        self, log: AccessLog, peer: bytes, write: Callable[[bytes], None]
    ) -> None:
        self._log = log
        self._peer = peer
        self._write = write
        self._answering = False
        """The head of the answer was written."""
        self._sent = 0
        self.heard = 0
        """Bytes that the client said in a tunnel."""

    def write(self, data: bytes) -> None:
        """Write *data* to the client."""
        if self._answering:
            self._sent += len(data)
        else:
            self._begin(data)
        self._write(data)

    def over(self, passage: Passage, now: float) -> None:
        """Note a request that has ended."""
        self._log.add((self._peer, passage, self._sent, self.heard, now))
        self._answering = False
        self._sent = self.heard = 0

    def refused(self, exchange: Exchange, status: int, now: float) -> None:
        """Note a request that went nowhere; 0: its client left."""
        self._log.refused(self._peer, exchange, status, now)

    def _begin(self, data: bytes) -> None:
        """Look for the end of the answer's head, after those of 1xx before it."""
        at = 0
        while not self._answering and at < len(data):
            interim = data.startswith(b"HTTP/1.1 1", at)
            self._answering = not interim or data.startswith(b"HTTP/1.1 101", at)
            at = data.find(b"\r\n\r\n", at) + 4
        self._sent = len(data) - at
