"""The sockets that fromzero listens on, opened before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from activator.listening import listen
from autoscaler.errors import BadInput, Problem
from fromzero.config import Settings

_BACKLOG = 1024  # A burst of connections waits here while one import or fork is made.
_NOT_HERE = {errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN}
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Sockets that are bound and listen."""

    data: socket.socket
    admin: socket.socket

    @property
    def activator(self) -> str:
        """Return host:port of the data port as this machine's replicas reach it."""
        return _reached(self.data)

    @property
    def administration(self) -> str:
        """Return host:port of the admin port, from this machine."""
        return _reached(self.admin)


@contextmanager
def opened(settings: Settings) -> Iterator[Doors]:
    """Open both ports; raise BadInput if one cannot be, naming what to do."""
    with (
        listening("port", settings.host, settings.port) as data,
        listening("admin-port", settings.admin_host, settings.admin_port) as admin,
    ):
        yield Doors(data=data, admin=admin)


def from_here(host: str) -> str:
    """Return where this machine itself reaches what listens on *host*."""
    host = host.strip("[]")
    return _ANYWHERE.get(host, host)


def listening(name: str, host: str, port: int) -> socket.socket:
    """Open one port; *name* is the setting's that says it."""
    try:
        return listen(host, port, _BACKLOG)
    except OSError as error:
        raise BadInput([_problem(name, host, port, error)]) from error


def _problem(name: str, host: str, port: int, error: OSError) -> Problem:
    where = name.removesuffix("port") + "host"
    if error.errno in _NOT_HERE:
        rule = "is no address of this machine"
        return Problem(field=where, value=host, rule=rule)
    match error.errno:
        case errno.EADDRINUSE:
            rule = f"is in use: stop what uses it, or give another with --{name}"
        case errno.EACCES:
            rule = f"is not allowed for this user: give one above 1023 with --{name}"
        case _:
            rule = f"cannot be listened on: {error.strerror}"
    return Problem(field=name, value=str(port), rule=rule)


def _reached(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    host = from_here(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
