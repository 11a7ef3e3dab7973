"""Sockets that listen."""

from __future__ import annotations

import socket
from typing import Final

BACKLOG: Final = 4096
"""Connections that the kernel keeps for us; its own bound (somaxconn) is no larger."""


def listen(host: str, port: int, backlog: int = BACKLOG) -> socket.socket:
    """Listen on *host*; `*` is every address, of IPv6 too where there is any."""
    if host == "*" and socket.has_dualstack_ipv6():
        sock = socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog
        )
    else:
        place = "" if host == "*" else host.strip("[]")
        family = socket.AF_INET6 if ":" in place else socket.AF_INET
        sock = socket.create_server((place, port), family=family, backlog=backlog)
    sock.setblocking(False)
    return sock
