"""A line for each request that ended, written many at a time and never waited for."""

from __future__ import annotations

import logging
from math import inf
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final, Protocol

from activator.core.entry import (
    LEFT,
    NOBODY,
    Course,
    Form,
    Reply,
    as_combined,
    as_json,
    whose,
)
from activator.core.exchange import Exchange
from activator.core.ticket import Outcome
from autoscaler.clock import Clock
from autoscaler.core.domain import RevisionKey

if TYPE_CHECKING:
    from activator.passage import Passage

    Ended = tuple[bytes, Passage, int, int, float]
    """Client, request, bytes sent and said in a tunnel, and when it ended."""

_log = logging.getLogger(__name__)

_BATCH: Final = 16 << 10
"""Bytes of lines that are written at once; fewer when the wheel is swept."""
MOST: Final = 1 << 20
"""Bytes of lines that wait for a reader; more are dropped, whole lines."""
_TOGETHER: Final = 64
"""Requests whose lines are made at once, while their bodies are kept."""
_LARGE: Final = 64 << 10
"""But of no more bytes than these."""
_REMEMBERED: Final = 4096
_SAID: Final = {
    Outcome.OK: b"ok",
    Outcome.FAILED: b"failed",
    Outcome.LEFT: b"left",
}
_NOWHERE: Final[Course] = (NOBODY, b"", 0, b"0", b"0", b"null", 0.0)


class Sink(Protocol):
    """Where lines go."""

    def put(self, data: bytes) -> int:
        """Write as much of *data* as goes without waiting; raise OSError."""

    def reopen(self) -> None:
        """Go on in a new file of the same name."""

    def close(self) -> None:
        """Close it."""


class AccessLog:
    """Made before the activator whose it is; *json*: not as web servers write it."""

    def __init__(self, sink: Sink, clock: Clock, wall: Clock, *, json: bool) -> None:
        self.dropped = 0
        """Lines that were not written: nobody read, or the disk was full."""
        self._sink = sink
        self._clock = clock
        self._wall = wall
        self._json = json
        self._form: Form = as_json if json else as_combined
        self._ahead = wall() - clock()
        self._second = -1
        self._stamp = b""
        """Of that second."""
        self._ended: list[Ended] = []
        self._lines: list[bytes] = []
        self._rest = b""
        """What the sink did not take."""
        self._size = 0
        self._due = _BATCH
        self._torn = False
        """What was written does not end with a line."""
        self._mend = False
        """And never will: the rest of it was dropped."""
        self._failing = False
        self._whose: dict[RevisionKey, bytes] = {}

    def add(self, ended: Ended) -> None:
        """Write of a request that has ended, soon."""
        self._ended.append(ended)
        if len(self._ended) >= _TOGETHER or ended[1].exchange.received > _LARGE:
            self._write_down()
            if self._size >= self._due:
                self._put()

    def refused(
        self, client: bytes, exchange: Exchange, status: int, now: float
    ) -> None:
        """Write that a request went nowhere; 0: its client left."""
        outcome = b"left" if status < 500 else b"failed"
        self._write_down()
        self._write(client, exchange, (status or LEFT, outcome, 0, 0), _NOWHERE, now)
        if self._size >= self._due:
            self._put()

    def whose(self, key: RevisionKey) -> bytes:
        """Return how a line says *key*."""
        known = self._whose.get(key)
        if known is None:
            if len(self._whose) >= _REMEMBERED:
                self._whose.clear()
            known = self._whose[key] = whose(key.namespace, key.name)
        return known

    def tick(self) -> None:
        """Write what is there, and look at the clock on the wall."""
        self._ahead = self._wall() - self._clock()
        self._second = -1
        self.flush()

    def flush(self) -> None:
        """Write what is there, as far as it is taken."""
        self._write_down()
        self._put()

    def _write_down(self) -> None:
        """Make lines of what has ended: many at once, which is twice as fast."""
        for client, passage, sent, heard, now in self._ended:
            exchange, hold, outcome = passage.exchange, passage.hold, passage.outcome
            status = exchange.status or LEFT
            failed = status >= 500 and not exchange.answered
            said = (
                (b"failed" if failed else b"ok") if outcome is None else _SAID[outcome]
            )
            reply = status, said, sent, exchange.received + heard
            key, at = passage.key, passage.dispatched
            replica, first_byte = b"", b"null"
            if at != inf:
                replica = passage.endpoint.replica.encode()
                if exchange.answered:
                    first_byte = b"%.6f" % (passage.answered_at - at)
            course = (
                NOBODY if key is None else self._whose.get(key) or self.whose(key),
                replica,
                passage.retries,
                b"%.6f" % hold.took_s if hold is not None else b"0",
                b"%.6f" % passage.connect_s if passage.connect_s else b"0",
                first_byte,
                now - passage.arrived,
            )
            self._write(client, exchange, reply, course, now)
        self._ended.clear()

    def _write(
        self,
        client: bytes,
        exchange: Exchange,
        reply: Reply,
        course: Course,
        now: float,
    ) -> None:
        if self._size >= MOST:
            self.dropped += 1
            return
        line = self._form(self._at(now), client, exchange, reply, course)
        self._lines.append(line)
        self._size += len(line)

    def _put(self) -> None:
        data = self._rest = self._rest + b"".join(self._lines)
        self._lines.clear()
        if data:
            if self._mend:
                data = b"\n" + data
            try:
                done = self._sink.put(data)
            except OSError as error:
                self._lose(error)
            else:
                if done:
                    self._torn = data[done - 1 : done] != b"\n"
                    self._mend = self._failing = False
                    self._rest = data[done:]
        self._size = len(self._rest)
        self._due = self._size + _BATCH

    def reopen(self) -> None:
        """Go on in a new file of the same name; a signal asks for it."""
        self.flush()
        self._sink.reopen()

    def close(self) -> None:
        """Write what is taken, and let go of the rest."""
        self.flush()
        self.dropped += self._rest.count(b"\n")
        self._sink.close()

    def _lose(self, error: OSError) -> None:
        self.dropped += self._rest.count(b"\n")
        self._rest = b""
        self._mend = self._torn
        if not self._failing:
            self._failing = True
            _log.warning("access log not written: %s", error)

    def _at(self, now: float) -> bytes:
        """Return the time as a line has it."""
        wall = now + self._ahead
        second = int(wall)
        if second != self._second:
            self._second = second
            form = "%Y-%m-%dT%H:%M:%S" if self._json else "%d/%b/%Y:%H:%M:%S +0000"
            self._stamp = strftime(form, gmtime(second)).encode()
        if self._json:
            return b"%b.%03dZ" % (self._stamp, int((wall - second) * 1000.0))
        return self._stamp
