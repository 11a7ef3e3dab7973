"""Where a request is on its way, and what became of it at a replica that failed."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """Where a request is."""

    ROUTING = 0
    """Its body is read to find out which model it is for."""
    HELD = 1
    SENT = 2
    """A replica has it, or a connection to one is being opened."""
    TUNNEL = 3
    OVER = 4


# Looked up once, not for each request.
ROUTING, HELD, SENT, TUNNEL, OVER = Phase


class Fate(IntEnum):
    """What a replica that broke a request off had made of it."""

    UNREAD = 0
    """Nothing: it had closed a connection that was used before, as this one came.

    The kernel says so. Who closes a socket with bytes unread, or gets some after it has
    closed it, answers with a reset; who read a request and ends, with a plain end.
    """
    STALE = 1
    """Not known, but the connection was used before."""
    UNKNOWN = 2
    HEARD = 3
    """Some of its answer came."""
