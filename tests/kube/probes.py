"""The questions a kubelet puts to a container: does it answer, and for how long not?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

AGENT = "kube-probe/1.37"
Exec = Callable[[list[str], float], Awaitable[tuple[int, str]]]
"""Runs a command in the container for so many seconds: its exit status and output."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe found."""

    fine: bool
    why: str


def number(port: int | str, container: dict[str, Any]) -> int:
    """Return the port's number; a name is one of the container's own ports."""
    if isinstance(port, int):
        return port
    for each in container.get("ports") or ():
        if each.get("name") == port:
            return int(each["containerPort"])
    if port.isdecimal():
        return int(port)
    raise ValueError(f"couldn't find port: {port!r}, must be a port of the container")


async def probe(
    spec: dict[str, Any], container: dict[str, Any], address: str, run: Exec
) -> Verdict:
    """Put the question *spec* once; gRPC is asked only whether it accepts."""
    patience_s = float(spec.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(patience_s):
            if action := spec.get("httpGet"):
                return await http(action, container, address)
            if action := spec.get("tcpSocket") or spec.get("grpc"):
                where = action.get("host") or address
                _, writer = await asyncio.open_connection(
                    where, number(action["port"], container)
                )
                writer.close()
                return Verdict(True, "")
    except TimeoutError:
        return Verdict(False, "context deadline exceeded")
    except (OSError, ValueError) as error:
        return Verdict(False, f"dial tcp {address}: {error}")
    code, said = await run(spec["exec"]["command"], patience_s)
    return Verdict(code == 0, said.strip())


async def http(
    action: dict[str, Any], container: dict[str, Any], address: str
) -> Verdict:
    """Ask by HTTP; an answer from 200 to 399 is fine."""
    where = action.get("host") or address
    port = number(action["port"], container)
    secure = None
    if action.get("scheme") == "HTTPS":
        secure = ssl.create_default_context()
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    headers = {"Host": f"{where}:{port}", "User-Agent": AGENT, "Accept": "*/*"}
    headers |= {each["name"]: each["value"] for each in action.get("httpHeaders") or ()}
    lines = [f"GET {action.get('path') or '/'} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection(where, port, ssl=secure)
    try:
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        status = (await reader.readline()).split()
    finally:
        writer.close()
    if len(status) < 2 or not status[1].isdigit():
        return Verdict(False, "EOF")
    code = int(status[1])
    return Verdict(200 <= code < 400, f"HTTP probe failed with statuscode: {code}")


@dataclass(slots=True)
class Counted:
    """A verdict that changes only after so many equal ones in a row.

    >>> ready = Counted(fine=False, successes=1, failures=2)
    >>> [ready.seen(fine) for fine in (True, False, False, True)]
    [True, True, False, True]
    """

    fine: bool
    successes: int
    failures: int
    last: bool | None = None
    row: int = 0

    @property
    def out(self) -> bool:
        """So many failed in a row that no more are asked for."""
        return self.last is False and self.row >= self.failures

    def seen(self, fine: bool) -> bool:
        """Count one verdict, and return which counts now."""
        self.row = self.row + 1 if fine is self.last else 1
        self.last = fine
        if self.row >= (self.successes if fine else self.failures):
            self.fine = fine
        return self.fine


def counted(spec: dict[str, Any], fine: bool) -> Counted:
    """Return the counter of a probe, which begins as *fine*."""
    return Counted(
        fine,
        int(spec.get("successThreshold") or 1),
        int(spec.get("failureThreshold") or 3),
    )
