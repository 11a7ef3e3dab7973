"""The admin port: a socket that listens at once, and the API when somebody comes.

The API's library takes a quarter of the memory that fromzero may have while all sleeps,
and a machine that nobody asks never needs it.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from autoscaler.answers import Known, Remark
from autoscaler.core.domain import RevisionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """What the admin port tells of."""

    loop: Known
    registry: CollectorRegistry
    ready: Callable[[], str]
    """Why requests are not served now; empty: they are."""
    logs: Callable[[RevisionKey], tuple[str, ...]]
    remarks: Callable[[], tuple[Remark, ...]] = tuple
    release: Callable[[RevisionKey], str] | None = None
    local: bool = False
    """Orders are taken from this machine alone, wherever the port listens."""

    async def run(self, sock: socket.socket) -> None:
        """Answer on *sock*, which listens already, until cancelled."""
        await _readable(sock)
        # In a thread: the import takes a tenth of a second, and requests go on.
        await asyncio.to_thread(importlib.import_module, "autoscaler.server")
        from autoscaler.health import serving
        from autoscaler.server import AdminParts, build_app

        parts = AdminParts(
            loop=self.loop,
            registry=self.registry,
            ready=self.ready,
            logs=self.logs,
            remarks=self.remarks,
            release=self.release,
            local=self.local,
        )
        async with serving(build_app(parts), sock):
            await asyncio.get_running_loop().create_future()


async def _readable(sock: socket.socket) -> None:
    """Wait until somebody connects to *sock*."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sock.fileno(), came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(sock.fileno())
