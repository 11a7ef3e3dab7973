"""Where a request is on its way, and what became of it at a replica that failed."""

from __future__ import annotations

from enum import IntEnum

from activator.core.exchange import Exchange


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


def is_blameless(fate: Fate, exchange: Exchange) -> bool:
    """Say whether the replica may have *exchange* once more, at once.

    It closed an unused connection as this request came, which is no fault of its own.
    """
    if fate is Fate.UNREAD:
        return exchange.kept
    return fate is Fate.STALE and exchange.replayable
