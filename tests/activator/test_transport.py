"""What asyncio's transports tell and do not do by a method of their own."""

from __future__ import annotations

import asyncio
import socket

import pytest

from activator.listening import listen
from activator.transport import Tap, peer_of, reset
from tests.activator.rig import play


def accepted(listener: socket.socket):
    """Return a server of *listener*, and the transport of its first connection."""
    first: asyncio.Future[asyncio.Transport] = (
        asyncio.get_running_loop().create_future()
    )

    class Accept(asyncio.Protocol):
        def connection_made(self, transport) -> None:
            first.set_result(transport)

    return asyncio.get_running_loop().create_server(Accept, sock=listener), first


@pytest.mark.parametrize(
    ("host", "seen"), [("127.0.0.1", b"127.0.0.1"), ("::1", b"::1")]
)
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_client_is_known_by_the_address_that_it_has(host, seen):
    async def scene() -> None:
        listener = listen("*", 0, 8)
        made, first = accepted(listener)
        async with await made:
            port = listener.getsockname()[1]
            _, writer = await asyncio.open_connection(host, port)
            transport = await first

            assert peer_of(transport) == seen
            writer.close()
            transport.close()

    play(scene())


def test_one_without_an_address_is_unknown():
    assert peer_of(asyncio.BaseTransport({"peername": ""})) == b"unknown"


def test_a_reset_is_told_from_an_end():
    async def scene() -> None:
        listener = listen("127.0.0.1", 0, 8)
        made, first = accepted(listener)
        async with await made:
            port = listener.getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            transport = await first
            reset(transport)
            reset(transport)

            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    play(scene())


@pytest.mark.source
def test_a_tap_is_read_only_while_it_is_open_and_forgets_nothing():
    class Noted(Tap):
        def connection_made(self, transport) -> None:
            self._transport = transport
            made.set_result(self)

        def data_received(self, data: bytes) -> None:
            heard.append(data)

    heard: list[bytes] = []
    made: asyncio.Future[Noted]

    async def scene() -> None:
        nonlocal made
        loop = asyncio.get_running_loop()
        made = loop.create_future()
        server = await loop.create_server(Noted, sock=listen("127.0.0.1", 0, 8))
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            tap = await made
            tap.pause()
            tap.pause()
            writer.write(b"x")
            await writer.drain()
            for _ in range(50):
                await asyncio.sleep(0)
            assert heard == []
            tap.resume()
            tap.resume()
            while not heard:  # noqa: ASYNC110 - each turn is looked at
                await asyncio.sleep(0)
            assert heard == [b"x"]
            tap._transport.abort()
            tap.pause()
            tap.resume()
            writer.close()

    play(scene())
