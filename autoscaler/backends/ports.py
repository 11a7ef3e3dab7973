"""Ports and GPUs of this machine, and which replica has which."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 20_000


class Ports:
    """Give each replica a port that nobody else gets before it has bound it.

    A port that bind(0) finds may be handed to the next asker as soon as it is closed.
    So ports are taken from below the range that the kernel gives away on its own,
    tried once by binding, and remembered until given back. What is left is a program
    that binds the very number: the replica says so as it dies, and gets another.
    """

    def __init__(
        self, *, offset: int, free: Callable[[int], bool] | None = None
    ) -> None:
        """Begin at *offset* in the range: two fromzeros should not begin alike."""
        self._free = free or is_free
        self._range = _outside_ephemeral()
        self._at = offset % len(self._range)
        self._given: dict[int, str] = {}

    def take(self, holder: str) -> int:
        """Return a free port, now *holder*'s; 0: there is none."""
        for _ in self._range:
            port = self._range[self._at]
            self._at = (self._at + 1) % len(self._range)
            if port not in self._given and self._free(port):
                self._given[port] = holder
                return port
        return 0

    def take_this(self, port: int, holder: str) -> str:
        """Give *port* to *holder* and return "", or return who has it."""
        if other := self._given.get(port):
            return other
        if not self._free(port):
            return "another program"
        self._given[port] = holder
        return ""

    def give_back(self, holder: str, but: int = 0) -> None:
        """Take back the ports that *holder* has, but one."""
        self._given = {p: h for p, h in self._given.items() if h != holder or p == but}


class Devices:
    """Give each replica GPUs of its own."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._all = names
        self._given: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._all)

    def take(self, count: int, holder: str) -> tuple[str, ...] | None:
        """Return *count* GPUs, now *holder*'s; None: not so many are free now."""
        free = [each for each in self._all if each not in self._given]
        if len(free) < count:
            return None
        taken = tuple(free[:count])
        self._given.update(dict.fromkeys(taken, holder))
        return taken

    def give_back(self, holder: str) -> None:
        """Take back what *holder* has."""
        self._given = {d: h for d, h in self._given.items() if h != holder}


def is_free(port: int) -> bool:
    """Tell whether a server could bind *port* on any address now."""
    for family, address in _anywhere():
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: connections that linger from the last one do not matter.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _anywhere() -> Iterator[tuple[int, str]]:
    yield socket.AF_INET, "0.0.0.0"
    if socket.has_ipv6:
        with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            yield socket.AF_INET6, "::1"


def _outside_ephemeral() -> range:
    """Return the ports to give: below the kernel's own where there is room."""
    first = 32_768
    with suppress(OSError, ValueError):
        first = int(_EPHEMERAL.read_text().split()[0])
    if first >= _FIRST + 1000:
        return range(_FIRST, first)
    return range(_FIRST, 61_000)
