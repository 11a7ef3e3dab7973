"""The way to a replica's port for a tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from activator.core.ticket import Endpoint
from activator.far import Far, Near
from activator.plane import Plane

_AGAIN_S: Final = 0.05
"""Between two tries to connect to a port that is not the one that was probed: a server
may open it a moment later."""


async def dial(
    plane: Plane, near: Near, endpoint: Endpoint, name: str, wanted: Callable[[], bool]
) -> Far | str:
    """Connect *near* to the port of *endpoint* called *name*; or return why not.

    It is tried again for as long as one try may take, and as it is *wanted*.
    """
    until = plane.clock() + plane.settings.patience.connect_s
    while True:
        port = endpoint.at(name)
        made = await plane.connect(lambda: Far(near), endpoint.host, port)
        if isinstance(made, Far) or endpoint.at(name) == endpoint.port:
            return made
        if not wanted() or not endpoint.open or plane.clock() >= until:
            return made
        await asyncio.sleep(_AGAIN_S)
