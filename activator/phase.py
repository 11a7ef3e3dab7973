"""Where a request is on its way."""

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
