"""A stand-in for the cluster's DNS: the names of Services, from their EndpointSlices."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.kube.talk import Mirror, Object

DOMAIN = ("svc", "cluster", "local")
TTL_S = 5
"""CoreDNS's own default for Services: clients may believe an answer for so long."""
A, AAAA = 1, 28
NO_ERROR, NO_SUCH_NAME = 0, 3


def addresses(name: str, services: Mirror, slices: Mirror) -> list[str] | None:
    """Return the addresses of a Service by its full name, or None without such a one.

    A headless one's are those of its ready endpoints, and a name before its own asks for
    the endpoint with that host name.
    """
    labels = tuple(name.lower().rstrip(".").split("."))
    if labels[-3:] != DOMAIN or len(labels) not in (5, 6):
        return None
    host = labels[0] if len(labels) == 6 else ""
    service, namespace = labels[-5], labels[-4]
    found = services.get(namespace, service)
    if found is None:
        return None
    given = [each for each in found["spec"].get("clusterIPs") or () if each != "None"]
    if given and not host:
        return given
    return list(ready(service, namespace, host, slices.objects.values()))


def ready(
    service: str, namespace: str, host: str, slices: Iterable[Object]
) -> Iterable[str]:
    """Yield the addresses of the ready endpoints of all slices of a Service."""
    for each in slices:
        meta = each["metadata"]
        label = (meta.get("labels") or {}).get("kubernetes.io/service-name")
        if meta["namespace"] != namespace or label != service:
            continue
        for endpoint in each.get("endpoints") or ():
            is_ready = (endpoint.get("conditions") or {}).get("ready") is not False
            if is_ready and (not host or endpoint.get("hostname") == host):
                yield from endpoint["addresses"]


def question(asked: bytes) -> tuple[str, int, bytes]:
    """Return the name and the type that is asked for, and the question as it stands."""
    labels, at = [], 12
    while asked[at]:
        labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    kind, _ = struct.unpack_from("!HH", asked, at + 1)
    return ".".join(labels), kind, asked[12 : at + 5]


def answer(asked: bytes, services: Mirror, slices: Mirror, limit: int = 65535) -> bytes:
    """Return the answer to the packet *asked*; over *limit* bytes, only that it is."""
    name, kind, echo = question(asked)
    found = addresses(name, services, slices)
    code = NO_SUCH_NAME if found is None else NO_ERROR
    packed = [ipaddress.ip_address(each).packed for each in found or ()]
    wanted = [each for each in packed if len(each) == {A: 4, AAAA: 16}.get(kind)]
    records = b"".join(
        struct.pack("!HHHIH", 0xC00C, kind, 1, TTL_S, len(each)) + each
        for each in wanted
    )
    identity = asked[:2]
    if 12 + len(echo) + len(records) > limit:
        return identity + struct.pack("!HHHHH", 0x8780, 1, 0, 0, 0) + echo
    flags = 0x8580 | code
    return (
        identity + struct.pack("!HHHHH", flags, 1, len(wanted), 0, 0) + echo + records
    )


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, services: Mirror, slices: Mirror) -> None:
        self._known = services, slices

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(answer(data, *self._known, limit=512), addr)


@asynccontextmanager
async def serving(
    address: str, services: Mirror, slices: Mirror
) -> AsyncIterator[None]:
    """Answer at port 53 of *address*, by UDP and by TCP."""

    async def stream(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(5):
                size = int.from_bytes(await reader.readexactly(2), "big")
                said = answer(await reader.readexactly(size), services, slices)
                writer.write(len(said).to_bytes(2, "big") + said)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Datagrams(services, slices), local_addr=(address, 53)
    )
    try:
        async with await asyncio.start_server(stream, address, 53):
            yield
    finally:
        transport.close()
