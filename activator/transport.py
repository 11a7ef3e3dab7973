"""What asyncio's transports tell and do not do by a method of their own."""

from __future__ import annotations

import asyncio
from socket import SO_LINGER, SOL_SOCKET
from struct import pack


class Tap(asyncio.Protocol):
    """A connection of which no more is read than somebody takes."""

    __slots__ = ("_paused", "_transport")

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._paused = False

    def pause(self) -> None:
        """Read nothing: who is to have it does not take it."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def peer_of(transport: asyncio.BaseTransport) -> bytes:
    """Return the client's address; one of IPv4 as such, whatever listens for it."""
    address = transport.get_extra_info("peername")
    if not isinstance(address, tuple):
        return b"unknown"
    return str(address[0]).removeprefix("::ffff:").encode()


def reset(transport: asyncio.Transport) -> None:
    """Break a connection off with a reset, not with the end that a close would be."""
    socket = transport.get_extra_info("socket")
    if not transport.is_closing():
        socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    transport.abort()
