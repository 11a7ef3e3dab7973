"""Loads: the requests, and what became of them as load.c counts it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage import LARGE, LOAD_CORE, used

NUMBER = "#" * 16
"""Replaced by a number of its own in each request that is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one load on one proxy."""

    per_s: float
    p50_us: float
    p99_us: float
    user_us: float
    """Of the proxy, for each request; 0 where there is none."""
    system_us: float
    busy: float
    """The proxy's share of its core."""
    bad: int
    """Answers that were none of 2xx, and connections that broke."""

    @property
    def cpu_us(self) -> float:
        return self.user_us + self.system_us


class Load:
    """The program that asks, built once, with the messages of one kind."""

    def __init__(self, place: Path, messages: list[bytes]) -> None:
        self._binary = place / "load"
        if not self._binary.exists():
            source = Path(__file__).with_name("load.c")
            subprocess.run(("cc", "-O2", "-o", self._binary, source), check=True)
        self._messages = place / "messages"
        self._messages.write_bytes(
            b"".join(len(each).to_bytes(4, "big") + each for each in messages)
        )

    def run(
        self, port: int, connections: int, seconds: float, *, rate: float, pid: int = 0
    ) -> Run:
        """Ask at *port*; a *rate* of 0 is as fast as it answers."""
        command = (
            "taskset", "-c", str(LOAD_CORE), str(self._binary), str(port),
            str(connections), str(rate), str(seconds), str(self._messages),
        )  # fmt: skip
        before = used(pid) if pid else None
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(said.stdout)
        count = max(1, found["requests"])
        user_s = system_s = 0.0
        if before is not None:
            after = used(pid)
            user_s = after.user_s - before.user_s
            system_s = after.system_s - before.system_s
        return Run(
            per_s=found["requests"] / found["seconds"],
            p50_us=found["p50_us"],
            p99_us=found["p99_us"],
            user_us=user_s / count * 1e6,
            system_us=system_s / count * 1e6,
            busy=(user_s + system_s) / found["seconds"],
            bad=found["wrong"] + found["broken"],
        )


def get() -> list[bytes]:
    """Return the smallest request that says where it goes."""
    return [_message("GET", "svc-0", ("User-Agent: load", "Accept: */*"), b"")]


def posts(hosts: int) -> list[bytes]:
    """Return 1 KB with 12 fields, a number in each, to every host."""
    fields = (
        f"X-Request-Id: {NUMBER}",
        "User-Agent: python-requests/2.32.3",
        "Accept: */*",
        "Accept-Encoding: gzip",
        "Accept-Language: en",
        "Authorization: Bearer 0123456789abcdef",
        "Cache-Control: no-cache",
        "Content-Type: application/json",
        "Traceparent: 00-4bf92f3577b34da6-00f067aa0ba902b7-01",
        "X-Tenant: production",
    )
    body = b'{"instances": [' + b"1," * 504 + b"1]}"
    return [_message("POST", f"svc-{each}", fields, body) for each in range(hosts)]


def large() -> list[bytes]:
    """Return as much as is answered."""
    fields = ("Content-Type: application/octet-stream",)
    return [_message("POST", "svc-0", fields, b"x" * LARGE, "/large")]


def _message(
    method: str,
    service: str,
    fields: tuple[str, ...],
    body: bytes,
    path: str = "/v1/models/iris:predict",
) -> bytes:
    if body:
        fields = (*fields, f"Content-Length: {len(body)}")
    lines = (f"{method} {path} HTTP/1.1", f"Host: {service}-bench.localhost", *fields)
    return "\r\n".join((*lines, "", "")).encode() + body
