"""What tests of the local backend share: replicas on the telephone, and a witness.

A replica under test calls the test as soon as it runs and then does what it is told,
so no test guesses how far a process has come, and none sleeps.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from autoscaler.backends.base import Launch
from autoscaler.backends.local import LocalBackend, LocalSettings
from autoscaler.backends.storage import StorageSettings
from autoscaler.core.domain import Replica, RevisionKey, StartFailure

IRIS = RevisionKey("production", "iris-predictor-00001")
BERT = RevisionKey("default", "bert-predictor-00001")

PATIENCE_S = 30.0
"""No test waits so long but for a bug."""

CHILD = """
import json, os, signal, socket, sys, time
def call(*more):
    line = socket.create_connection(("127.0.0.1", int(os.environ["CALL"])))
    said = {"pid": os.getpid(), "ppid": os.getppid(), "env": dict(os.environ),
            "argv": sys.argv[1:], "cwd": os.getcwd(), "more": more}
    line.sendall(json.dumps(said).encode() + b"\\n")
    return line
def escape():
    # Forks twice, leaves the session and the group, and does not listen to reason.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            line = call("grandchild")
            while True:
                signal.pause()
        os._exit(0)
line = call()
for order in line.makefile():
    exec(order)
"""


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """Play *scene* on the loop that fromzero runs on, but not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


class Call:
    """A process that has called; its line is cut when the process is gone."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: Any
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.pid: int = said["pid"]
        self.ppid: int = said["ppid"]
        self.env: dict[str, str] = said["env"]
        self.argv: list[str] = said["argv"]
        self.cwd: str = said["cwd"]
        self.more: list[Any] = said["more"]

    def tell(self, order: str) -> None:
        """Have the process run one line of Python."""
        self._writer.write(f"{order}\n".encode())

    async def gone(self) -> None:
        """Wait until the process and whoever shares its line are gone."""
        try:
            assert await self._reader.read() == b""
        except ConnectionResetError:
            pass
        self._writer.close()


class Calls:
    """Where the processes of one test call."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._all: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Calls:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for each in self._all:
            each.transport.abort()

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._all.append(writer)
        said = json.loads(await reader.readline())
        self._calls.put_nowait(Call(reader, writer, said))

    async def next(self) -> Call:
        """Return the next process that calls."""
        return await self._calls.get()

    def launch(self, *argv: str, code: str = CHILD, **changes: Any) -> Launch:
        """Return how a process that calls here is started."""
        env = (("CALL", str(self.port)), *changes.pop("env", ()))
        return Launch(
            command=(sys.executable, "-P", "-S", "-c", code, *argv),
            env=env,
            **changes,
        )


def says(code: str, **changes: Any) -> Launch:
    """Return a launch of a process that does *code* and ends."""
    return Launch(command=(sys.executable, "-P", "-S", "-c", code), **changes)


class Witness:
    """A Sink that remembers, and wakes whoever waits for something to be true."""

    def __init__(self) -> None:
        self.told: list[tuple[str, RevisionKey, object]] = []
        self.pictures: dict[RevisionKey, tuple[Replica, ...]] = {}
        self.failures: list[StartFailure] = []
        self._stir = asyncio.Event()

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        self.told.append(("observed", key, replicas))
        self.pictures[key] = replicas
        self._stir.set()

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        self.told.append(("failed", key, failure))
        self.failures.append(failure)
        self._stir.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until *true*, looking at each report."""
        while not true():
            self._stir.clear()
            await self._stir.wait()

    async def count(self, key: RevisionKey, number: int) -> tuple[Replica, ...]:
        """Wait until *key* has *number* replicas, each with an address."""
        await self.until(
            lambda: (
                len(self.addressed(key)) == len(self.pictures.get(key, ())) == number
            )
        )
        return self.pictures.get(key, ())

    def addressed(self, key: RevisionKey) -> list[Replica]:
        return [each for each in self.pictures.get(key, ()) if each.port]

    async def failure(self, number: int = 1) -> StartFailure:
        """Wait for the start failure of that number."""
        await self.until(lambda: len(self.failures) >= number)
        return self.failures[number - 1]


def settings(cache: Path, **changes: Any) -> LocalSettings:
    storage = changes.pop("storage", None) or StorageSettings(
        cache=cache, environ=plain_environ()
    )
    environ = changes.pop("environ", plain_environ())
    return LocalSettings(environ=environ, storage=storage, **changes)


def plain_environ() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}


def local(cache: Path, **changes: Any) -> tuple[LocalBackend, Witness]:
    """Return a backend of this machine, and who hears its reports."""
    clock = changes.pop("clock", time.monotonic)
    witness = Witness()
    return LocalBackend(witness, settings(cache, **changes), clock), witness


class Watch:
    """Processes by descriptor, so that a number used again is nobody else."""

    def __init__(self, pids: list[int]) -> None:
        self._fds = {os.pidfd_open(pid): pid for pid in pids}

    def outlived(self) -> list[int]:
        """Return those that are still there after all patience."""
        poll = select.poll()
        for fd in self._fds:
            poll.register(fd, select.POLLIN)
        end = time.monotonic() + PATIENCE_S
        left = dict(self._fds)
        while left and (rest_s := end - time.monotonic()) > 0:
            for fd, _ in poll.poll(rest_s * 1000):
                poll.unregister(fd)
                os.close(fd)
                left.pop(fd, None)
        for fd in left:
            os.close(fd)
        return sorted(left.values())

    async def all_gone(self) -> None:
        """Wait for the end of all of them, while the loop goes on."""
        outlived = await asyncio.to_thread(self.outlived)
        assert outlived == []


def parent(pid: int) -> int:
    """Return the parent of a process."""
    text = Path("/proc", str(pid), "stat").read_text()
    return int(text.rpartition(")")[2].split()[1])


def descendants(root: int) -> list[int]:
    """Return every process below *root*."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # It ended meanwhile.
            parents[int(name)] = parent(int(name))
    found, look = [], [root]
    while look:
        above = look.pop()
        below = [pid for pid, its in parents.items() if its == above]
        found += below
        look += below
    return found
