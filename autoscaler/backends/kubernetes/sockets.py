"""The sockets under the clients of the API server: none is left when they are closed.

aiohttp does not wait for the parting words of a connection that was cut in the middle,
as a cancelled watch is, and a loop that ends meanwhile leaves its socket open.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import AddrInfoType, ClientSession, TCPConnector

if TYPE_CHECKING:
    from kubernetes_asyncio.client.configuration import Configuration
    from kubernetes_asyncio.client.rest import RESTClientObject

__all__ = ["Sockets"]

_BUFFER = 1 << 21  # Bytes; an event can be as large as an object.
_LOOK_S = 0.001
_PATIENCE_S = 1.0  # A server that has gone sends no parting words.


class Sockets:
    """The sockets of some clients, until each is closed."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []

    async def under(
        self, client: RESTClientObject, configuration: Configuration, limit: int
    ) -> None:
        """Have *client* use at most *limit* (0: any number) sockets of these."""
        connector = TCPConnector(
            ssl=_context(configuration), limit=limit, socket_factory=self._socket
        )
        await client.pool_manager.close()
        client.pool_manager = ClientSession(
            connector=connector, trust_env=True, read_bufsize=_BUFFER
        )

    async def closed(self) -> None:
        """Wait until all are closed, and after a second break those that are not."""
        if not await self._gone():
            for each in self._open:
                with suppress(OSError):  # It has been closed, or broken off, since.
                    each.shutdown(socket.SHUT_RDWR)
            await self._gone()

    async def _gone(self) -> bool:
        for _ in range(int(_PATIENCE_S / _LOOK_S)):
            if all(each.fileno() < 0 for each in self._open):
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    def _socket(self, about: AddrInfoType) -> socket.socket:
        self._open = [each for each in self._open if each.fileno() >= 0]
        self._open.append(socket.socket(*about[:3]))
        return self._open[-1]


def _context(configuration: Configuration) -> ssl.SSLContext:
    """Return what kubernetes_asyncio makes of the same settings."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
