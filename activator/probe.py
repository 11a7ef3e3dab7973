"""Is this replica really ready? Asked often while it starts, and not after."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from activator.core.ticket import Endpoint
from autoscaler.clock import Clock
from autoscaler.core.domain import Probe, RevisionKey

_log = logging.getLogger(__name__)

_FIRST_S: Final = 0.005
_EAGER_S: Final = 1.0
"""How long a start is asked at the first pace: a small server is up by then."""
_SLOWER: Final = 1.1
_LAST_S: Final = 0.1
_PATIENCE_S: Final = 5.0
"""For one answer: a server that accepts while it loads answers when it has loaded."""
_LINE: Final = 4096


class Board(Protocol):
    """Who knows what is to be probed, and wants to know what came of it."""

    def probing(self) -> Iterable[tuple[RevisionKey, Endpoint]]:
        """Return endpoints that have an address and are not ready."""

    def probe(self, key: RevisionKey) -> Probe | None:
        """Return how to ask; None: the revision is no more."""

    def connected(self, key: RevisionKey, endpoint: Endpoint) -> None:
        """Know that it accepted its first connection."""

    def ready(self, key: RevisionKey, endpoint: Endpoint) -> None:
        """Know that it is ready."""


def pace(since_s: float, last_s: float) -> float:
    """Return the pause after a probe, *since_s* into a start, *last_s* the one before.

    >>> pace(0.5, 0.005), round(pace(1.0, 0.005), 4), pace(60.0, 0.1)
    (0.005, 0.0055, 0.1)
    """
    return _FIRST_S if since_s < _EAGER_S else min(last_s * _SLOWER, _LAST_S)


class Prober:
    """Probe what wants it, each endpoint by a task of its own."""

    def __init__(self, board: Board, tasks: asyncio.TaskGroup, clock: Clock) -> None:
        self._board = board
        self._tasks = tasks
        self._clock = clock
        self._probed: dict[Endpoint, asyncio.Task[None]] = {}

    def look(self) -> None:
        """Begin with what is new, end with what wants it no more."""
        wanted = {endpoint: key for key, endpoint in self._board.probing()}
        for endpoint in self._probed.keys() - wanted.keys():
            self._probed.pop(endpoint).cancel()
        for endpoint in wanted.keys() - self._probed.keys():
            work = self._watch(wanted[endpoint], endpoint)
            self._probed[endpoint] = self._tasks.create_task(work)

    def close(self) -> None:
        """Probe nothing any more."""
        for task in self._probed.values():
            task.cancel()
        self._probed.clear()

    async def _watch(self, key: RevisionKey, endpoint: Endpoint) -> None:
        began = self._clock()
        pause_s = _FIRST_S
        told = False

        def connected() -> None:
            nonlocal told
            if not told:
                told = True
                self._board.connected(key, endpoint)

        try:
            while (probe := self._board.probe(key)) is not None:
                if await is_ready(endpoint.host, endpoint.port, probe, connected):
                    self._probed.pop(endpoint, None)
                    self._board.ready(key, endpoint)
                    return
                pause_s = pace(self._clock() - began, pause_s)
                await asyncio.sleep(pause_s)
        except Exception:
            # What is wrong with one replica must not end the others' probes.
            _log.exception("failed to probe revision=%s", key)


async def is_ready(
    host: str, port: int, probe: Probe, connected: Callable[[], None]
) -> bool:
    """Probe once; *connected* is called as soon as there is a connection."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
                if sock.getsockname() == sock.getpeername():
                    return False  # A port of the kernel's own range can meet itself.
                connected()
                return not probe.path or await _asked(sock, probe, f"{host}:{port}")
    except (OSError, TimeoutError):
        return False


async def _asked(sock: socket.socket, probe: Probe, address: str) -> bool:
    """Return whether GET is answered with 2xx."""
    loop = asyncio.get_running_loop()
    request = (
        f"GET {probe.path} HTTP/1.1\r\nHost: {probe.host or address}\r\n"
        "User-Agent: fromzero-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    await loop.sock_sendall(sock, request.encode())
    line = b""
    while b"\r\n" not in line and len(line) < _LINE:
        data = await loop.sock_recv(sock, _LINE)
        if not data:
            break
        line += data
    words = line.split(b" ", 2)
    return (
        len(words) > 1
        and words[0].startswith(b"HTTP/1.")
        and words[1][:3].isdigit()
        and 200 <= int(words[1][:3]) < 300
    )
