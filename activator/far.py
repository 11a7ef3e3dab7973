"""The replica's side of a tunnel."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol, cast

from activator.core.ticket import Outcome
from activator.transport import Tap
from autoscaler.clock import Clock


class Near(Protocol):
    """The client's side, as far as the replica's calls it."""

    @property
    def clock(self) -> Clock:
        """Return what tells the time."""

    def write(self, data: bytes) -> None:
        """Pass on what the replica says."""

    def pause(self) -> None:
        """Read nothing: the replica does not take it."""

    def resume(self) -> None:
        """Read on."""

    def end(self) -> None:
        """Pass on that the replica will say no more."""

    def over(self, outcome: Outcome) -> None:
        """Know that the replica's side has ended, and how."""


class Far(Tap):
    """One connection to a replica, for one tunnel."""

    __slots__ = ("_ended", "_heard", "_near", "stalled")

    def __init__(self, near: Near) -> None:
        super().__init__()
        self._near: Near | None = near
        self._ended = False
        """The client will say no more."""
        self._heard = False
        """The replica has said all it will."""
        self.stalled = inf
        """Since when the replica takes nothing."""

    # What the client's side says.

    def write(self, data: bytes) -> None:
        """Pass on what the client says."""
        self._transport.write(data)

    def end(self) -> bool:
        """Pass on that the client will say no more; False: nor does the replica."""
        self._ended = True
        if self._heard:
            self._over(Outcome.OK)
            return False
        if not self._transport.is_closing():
            self._transport.write_eof()
        return True

    def abort(self) -> None:
        """Break it off."""
        self._near = None
        self._transport.abort()

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._near is not None:
            self._near.write(data)

    def eof_received(self) -> bool:
        self._heard = True
        if self._near is None:
            return False
        if self._ended:
            self._over(Outcome.OK)
            return False
        self._near.end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._over(Outcome.FAILED)

    def pause_writing(self) -> None:
        if self._near is not None:
            self.stalled = self._near.clock()
            self._near.pause()

    def resume_writing(self) -> None:
        self.stalled = inf
        if self._near is not None:
            self._near.resume()

    def _over(self, outcome: Outcome) -> None:
        near, self._near = self._near, None
        if near is not None:
            near.over(outcome)
        if outcome is Outcome.OK:
            self._transport.close()
