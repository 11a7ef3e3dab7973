"""Replicas on parsers that are none of ours, which keep what they took a request for.

Who sent it is known by the last address of X-Forwarded-For: clients here have one each.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11
import pytest

from tests.activator.rig import Peer, free_port

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request, as far as all that saw it can say."""

    method: bytes = b"GET"
    target: bytes = b"/"
    host: bytes
    body: bytes = b""
    odd: bytes = b""
    """The value of X-Odd; where there are several, an old nginx tells of the first."""


@dataclass
class Record:
    """What one replica saw, by who sent it."""

    whole: dict[bytes, list[Seen]] = field(default_factory=dict)
    partial: dict[bytes, list[Seen]] = field(default_factory=dict)
    """Requests that did not come to their end: they are not served."""
    fields: dict[bytes, list[Fields]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Why it did not understand something at all."""

    def add(self, sender: bytes, seen: Seen, *, whole: bool) -> None:
        kept = self.whole if whole else self.partial
        kept.setdefault(sender, []).append(seen)


class H11:
    """A replica on h11, a parser in pure Python."""

    def __init__(self) -> None:
        self.record = Record()

    async def serve(self, peer: Peer) -> None:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        while True:
            try:
                if not await self._one(peer, parser):
                    return
            except h11.RemoteProtocolError as error:
                if "peer closed connection" not in str(error):
                    self.record.refused.append(str(error))
                return

    async def _one(self, peer: Peer, parser: h11.Connection) -> bool:
        event = await _next(peer, parser)
        if not isinstance(event, h11.Request):
            return False
        fields = tuple((bytes(name), bytes(value)) for name, value in event.headers)
        known = dict(fields)
        sender = known[b"x-forwarded-for"].rpartition(b" ")[2]
        body, whole = b"", False
        try:
            while isinstance(part := await _next(peer, parser), h11.Data):
                body += part.data
            if isinstance(part, h11.EndOfMessage):
                whole = True
                fields += tuple((bytes(n), bytes(v)) for n, v in part.headers)
        finally:
            seen = Seen(
                method=event.method,
                target=event.target,
                host=known[b"host"],
                body=body,
                odd=b", ".join(value for name, value in fields if name == b"x-odd"),
            )
            self.record.add(sender, seen, whole=whole)
        if not whole:
            return False
        self.record.fields.setdefault(sender, []).append(fields)
        answer = parser.send(h11.Response(status_code=204, headers=[]))
        await peer.send((answer or b"") + (parser.send(h11.EndOfMessage()) or b""))
        if parser.our_state is h11.MUST_CLOSE:
            return False
        parser.start_next_cycle()
        return True


async def _next(peer: Peer, parser: h11.Connection) -> object:
    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(await peer.reader.read(1 << 16))
    return event


_NGINX = r"""
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors error;
events {{ worker_connections 4096; }}
http {{
  log_format seen escape=json '{{"from": "$http_x_forwarded_for", "status": $status,'
    ' "method": "$request_method", "target": "$request_uri", "host": "$http_host",'
    ' "body": "$request_body", "odd": "$http_x_odd", "line": "$request"}}';
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  client_body_buffer_size 2m;
  client_body_in_single_buffer on;
  large_client_header_buffers 8 128k;
  keepalive_requests 1000000;
  underscores_in_headers on;
  ignore_invalid_headers off;
  server {{
    listen 127.0.0.1:{port};
    access_log {folder}/seen seen;
    location / {{ proxy_pass http://unix:{folder}/sink; }}
  }}
  server {{
    listen unix:{folder}/sink;
    access_log off;
    return 204;
  }}
}}
"""


class Nginx:
    """A replica that is nginx; its record is there when it has ended."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]):
        self.record = Record()
        self.port = port
        self._folder = folder
        self._process = process

    def end(self) -> None:
        """Let it end its requests and stop, and read what it saw."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)
        for line in (self._folder / "seen").read_bytes().splitlines():
            said = json.loads(line.decode("latin-1"))
            known = {
                name: value.encode("latin-1")
                for name, value in said.items()
                if isinstance(value, str)
            }
            sender = known["from"].rpartition(b" ")[2]
            if not sender:
                self.record.refused.append(f"{said['status']}: {known['line']!r}")
                continue
            seen = Seen(
                method=known["method"],
                target=known["target"],
                host=known["host"],
                body=known["body"],
                odd=known["odd"],
            )
            self.record.add(sender, seen, whole=said["status"] == 204)


@contextmanager
def nginx(folder: Path) -> Iterator[Nginx]:
    """Run an nginx that keeps its files in *folder*."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(
        [program, "-c", settings, "-p", folder, "-e", folder / "errors"]
    )
    try:
        while not _listens(port):
            assert process.poll() is None, (folder / "errors").read_text()
        yield Nginx(folder, port, process)
    finally:
        process.kill()
        process.wait(20)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5.0).close()
    except ConnectionRefusedError:
        return False
    return True


async def talk(
    port: int, sender: str, *pieces: bytes, ends_after: int | None = None
) -> bytes:
    """Say *pieces* from the address *sender*; return all that comes until the end.

    After so many final answers it ends its side; None: it waits for the other's.
    """
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(sender, 0)
    )
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0)
        if ends_after == 0:
            writer.write_eof()
        while data := await reader.read(1 << 16):
            got += data
            if ends_after and len(codes(got)) >= ends_after:
                writer.write_eof()
                ends_after = 0
    except ConnectionError as error:
        got += f"<{type(error).__name__}>".encode()
    finally:
        writer.close()
    return got


def codes(got: bytes) -> list[int]:
    """Return the statuses of all final heads that there are in *got*.

    >>> codes(b"HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 204 No Content\\r\\n")
    [204]
    """
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]
    return [status for status in found if status >= 200]


def statuses(got: bytes) -> list[int]:
    """Return the final statuses of answers, each 204 or with a Content-Length.

    >>> statuses(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    [204]
    """
    found = []
    while got:
        head, end, got = got.partition(b"\r\n\r\n")
        if not end:
            return [*found, -1]
        status = int(head.split(b" ")[1])
        if status < 200:
            continue
        found.append(status)
        if status != 204:
            size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            assert len(got) >= int(size), got
            got = got[int(size) :]
    return found
