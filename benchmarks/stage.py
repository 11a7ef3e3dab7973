"""Processes on a core each, what they use, and nginx as backend and as proxy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROXY_CORE = 0
LOAD_CORE = 1
LARGE = 100 * 1024
"""Bytes of the backend's answer at /large."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SMALL = "'{\"predictions\":[1,1]}'"


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used so far."""

    user_s: float
    system_s: float
    rss_kb: float

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s


def used(pid: int) -> Used:
    """Look at a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    rss = status.partition("VmRSS:")[2].split()[0]
    return Used(int(fields[11]) * _TICK_S, int(fields[12]) * _TICK_S, float(rss))


@contextmanager
def process(
    core: int,
    command: tuple[str, ...],
    environ: Mapping[str, str] | None = None,
    *,
    mute: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* on one core; end it with the context."""
    made = subprocess.Popen(
        ("taskset", "-c", str(core), *command),
        env={**os.environ, **(environ or {})},
        stderr=subprocess.DEVNULL if mute else None,
    )
    try:
        yield made
    finally:
        made.send_signal(signal.SIGTERM)
        try:
            made.wait(5)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when *process* listens on *port*."""
    deadline = time.monotonic() + 10
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended: {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def backend(place: Path, ports: list[int]) -> Iterator[None]:
    """Answer on *ports*: a short JSON, or `LARGE` bytes at /large."""
    (place / "large").write_bytes(b"x" * LARGE)
    servers = "\n".join(
        f"server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 0;"
        f" root {place}; location = /large {{ error_page 405 =200 $uri; }}"
        f" location / {{ default_type application/json; return 200 {_SMALL}; }} }}"
        for port in ports
    )
    conf = _conf(place, "backend", servers)
    with process(LOAD_CORE, nginx(conf, place)) as made:
        for port in ports:
            await_port(port, made)
        yield


def proxy_conf(place: Path, port: int, replicas: list[int]) -> Path:
    """Write what makes nginx a proxy; return where."""
    servers = " ".join(f"server 127.0.0.1:{each};" for each in replicas)
    said = (
        f"upstream u {{ {servers} keepalive 1024; keepalive_requests 100000000; }}\n"
        # Bodies stay in memory, as everybody else's do.
        f"server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 0;"
        " client_body_buffer_size 256k; proxy_buffers 8 32k;"
        " location / { proxy_pass http://u;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; }'
        " location = /events { proxy_pass http://u; proxy_buffering off;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }'
    )
    return _conf(place, f"proxy-{port}", said)


def nginx(conf: Path, place: Path) -> tuple[str, ...]:
    """Return the command that runs one process of nginx."""
    return ("nginx", "-c", str(conf), "-p", str(place))


def _conf(place: Path, name: str, said: str) -> Path:
    conf = place / f"{name}.conf"
    conf.write_text(
        "daemon off; master_process off; worker_processes 1; error_log /dev/null;"
        f" pid {name}.pid; events {{ worker_connections 19000; }}\n"
        "http { access_log off; keepalive_requests 100000000; keepalive_timeout 600;"
        " open_file_cache max=8;"
        f" client_body_temp_path {place}/{name}-body;"
        f" proxy_temp_path {place}/{name}-proxy;\n{said} }}\n"
    )
    return conf
