"""Connections of clients beyond those that there may be: told so, and closed."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final, Protocol

from activator.access_log import AccessLog
from activator.answers import error, head, retry_after
from activator.core.entry import asked_by
from activator.settings import ActivatorSettings
from activator.telemetry import Telemetry
from activator.transport import peer_of, reset
from activator.wheel import Wheel
from autoscaler.clock import Clock

_REASON: Final = "this activator has as many connections as it may: try again"


class Full(Protocol):
    """What is full, as far as who comes too late needs it."""

    clock: Clock
    log: AccessLog | None
    settings: ActivatorSettings
    telemetry: Telemetry
    wheel: Wheel
    surplus: set[Surplus]

    @property
    def most_surplus(self) -> int:
        """How many may be told so at one time."""


class Surplus(asyncio.Protocol):
    """One connection, from its first byte or its end to that of the answer."""

    __slots__ = ("_plane", "_told", "_transport", "spoke")

    def __init__(self, plane: Full, transport: asyncio.Transport) -> None:
        self.spoke = 0
        self._plane = plane
        self._told = False
        self._transport = transport
        plane.surplus.add(self)
        plane.wheel.ask(self, plane.clock() + plane.settings.patience.linger_s)

    def data_received(self, data: bytes) -> None:
        # An answer that came before the request would be taken for one to nothing.
        plane = self._plane
        if not self._told:
            self._told = True
            if plane.log is not None:
                peer = peer_of(self._transport)
                plane.log.refused(peer, asked_by(data), 503, plane.clock())
            own = error(b"", 503, _REASON)
            plane.telemetry.own[own.status] += 1
            lines = retry_after(1.0)
            self._transport.write(head(own, lines, stays=False) + own.body)
            # What the client still says is read: a reset might take the answer back.
            self._transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self._plane.surplus.discard(self)
        self._plane.wheel.drop(self)

    def check(self, now: float) -> float:
        """Break it off: there was time to read the answer; the wheel asks."""
        self.abort()
        return inf

    def abort(self) -> None:
        """Break it off."""
        self._transport.abort()


def turn_away(plane: Full, transport: asyncio.Transport, *, http: bool) -> None:
    """Have *transport* closed, with a reason where *http* is spoken.

    Not all of very many are told: that takes a file too.
    """
    plane.telemetry.refused += 1
    if http and len(plane.surplus) < plane.most_surplus:
        transport.set_protocol(Surplus(plane, transport))
    else:
        reset(transport)
