"""The proxies that are measured, how each is started, and what it needs to be here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage import PROXY_CORE, await_port, free_ports, nginx, process
from benchmarks.stage import proxy_conf as nginx_conf

ROOT = Path(__file__).parent.parent
COMPILED = ROOT / ".compiled"
NAME, NAME_COMPILED = "fromzero", "… compiled"
_HERE = ROOT / "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a proxy is started for."""

    replicas: list[int]
    hosts: int = 1
    concurrency: int = 0


Command = tuple[tuple[str, ...], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A proxy, by the name of its rows."""

    name: str
    command: Callable[[int, Front], Command]
    mute: bool = False
    """It complains of clients that leave in the midst of it, as the load does."""

    @contextmanager
    def run(self, front: Front) -> Iterator[tuple[int, int]]:
        """Have it alone on its core; give its port and its process' id."""
        (port,) = free_ports(1)
        command, environ = self.command(port, front)
        with process(PROXY_CORE, command, environ, mute=self.mute) as made:
            await_port(port, made)
            yield port, made.pid


def entrants(place: Path) -> tuple[list[Entrant], list[str]]:
    """Return who is here, nginx first, and why who is not is not."""
    here = [Entrant("nginx", lambda port, front: _nginx(place, port, front))]
    missing = []
    here.append(Entrant(NAME, lambda port, front: _ours(ROOT, port, front)))
    if stale := _compiled_is_not_usable():
        missing.append(f"fromzero compiled: {stale}")
    else:
        here.append(
            Entrant(NAME_COMPILED, lambda port, front: _ours(COMPILED, port, front))
        )
    if shutil.which("go") is None:
        missing.append("Go: there is no go here")
    else:
        binary = place / "reverse_proxy"
        source = _HERE / "rivals/reverse_proxy.go"
        subprocess.run(("go", "build", "-o", binary, source), check=True, cwd=place)
        here.append(Entrant("Go", lambda port, front: _go(binary, port, front), True))
    here.append(Entrant("aiohttp", _aiohttp, True))
    return here, missing


def _compiled_is_not_usable() -> str:
    """Say why .compiled/ is not measured; empty: it is."""
    made = [path.stat().st_mtime for path in COMPILED.glob("*.so")]
    if not made:
        return "run `make compiled`"
    newest = max(path.stat().st_mtime for path in ROOT.glob("activator/**/*.py"))
    return "older than its source; run `make compiled`" if newest > min(made) else ""


def _nginx(place: Path, port: int, front: Front) -> Command:
    return nginx(nginx_conf(place, port, front.replicas), place), {}


def _ours(tree: Path, port: int, front: Front) -> Command:
    command = (
        sys.executable, "-P", "-m", "benchmarks.plain", f"--port={port}",
        f"--hosts={front.hosts}", f"--concurrency={front.concurrency}",
        "--replica", *map(str, front.replicas),
    )  # fmt: skip
    return command, {"PYTHONPATH": str(tree)}


def _go(binary: Path, port: int, front: Front) -> Command:
    replicas = map(str, front.replicas)
    return (str(binary), str(port), *replicas), {"GOMAXPROCS": "1"}


def _aiohttp(port: int, front: Front) -> Command:
    source = _HERE / "rivals/aiohttp_proxy.py"
    return (sys.executable, "-P", str(source), str(port), *map(str, front.replicas)), {}
