"""A child process and all that it starts, held through the guard (see guard.py)."""

from __future__ import annotations

import asyncio
import fcntl
import marshal
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_GUARD = Path(__file__).with_name("guard.py")
_PIPE_BYTES = 1 << 20  # A burst of output waits here while the loop is busy.
_READ_BYTES = 1 << 14  # The loop has others to serve beside one that is chatty.
_LINE_BYTES = 4096
_TAIL_LINES = 20
_TAKEN_S = 1.0  # A link full of orders: the guard takes one each millisecond.
_CLOSE_S = 5.0  # A guard that takes longer is stuck, or its replicas' kernel is.


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to be."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str = ""
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended; it and all that it started are gone by then."""

    status: int | None
    """Exit status, or minus a signal's number; None: nobody saw."""
    errno: int = 0
    """Not 0: it could not be started, because of this."""
    step: str = ""
    """What could not be done: chdir or exec."""
    tail: tuple[str, ...] = ()
    """Its last lines of output."""


class Process:
    """One process, from its order to the end of all that it started."""

    __slots__ = (
        "_control",
        "_loop",
        "_on_end",
        "_on_line",
        "_output",
        "_part",
        "_said",
        "_status",
        "_tail",
        "_unable",
        "pid",
    )

    def __init__(
        self,
        control: socket.socket,
        output: int,
        on_line: Callable[[str], None],
        on_end: Callable[[Ended], None],
    ) -> None:
        self.pid = 0
        """0 until it has been started."""
        self._control = control
        self._output = output
        self._on_line = on_line
        self._on_end = on_end
        self._said = b""
        self._part = b""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._status: int | None = None
        self._unable = (0, "")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(control.fileno(), self._hear)
        self._loop.add_reader(output, self._read)

    def stop(self) -> None:
        """Ask it to end; what has not within its grace is killed."""
        self._tell(b"t")

    def kill(self) -> None:
        """End it and all that it started, now."""
        self._tell(b"k")

    def _tell(self, word: bytes) -> None:
        with suppress(OSError):  # It has ended, and its socket says so next.
            self._control.send(word)

    def _hear(self) -> None:
        try:
            said = self._control.recv(256)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self._said += said
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            match line.decode().split():
                case ["started", pid]:
                    self.pid = int(pid)
                case ["unable", number, step]:
                    self._unable = (int(number), step)
                case ["ended", status]:
                    self._status = int(status)
                case _:
                    pass  # Half a line: the keeper was killed while it spoke.
        if not said:
            self._finish()

    def _finish(self) -> None:
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        # What it wrote before it died is still in the pipe; no more than that is read,
        # since one that has escaped its keeper may write for ever.
        for _ in range(_PIPE_BYTES // _READ_BYTES):
            if self._output < 0 or not self._read():
                break
        self._close_output()
        number, step = self._unable
        self._on_end(
            Ended(status=self._status, errno=number, step=step, tail=tuple(self._tail))
        )

    def _read(self) -> bool:
        """Take what there is to read; False: nothing now, or nothing ever."""
        try:
            data = os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_output()
            return False
        # A bar of progress ends its lines with a carriage return.
        *lines, part = (self._part + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._take(line)
        self._part = part[:_LINE_BYTES]
        return True

    def _take(self, line: bytes) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").rstrip()
        if text:
            self._tail.append(text)
            self._on_line(text)

    def _close_output(self) -> None:
        if self._output >= 0:
            self._take(self._part)
            self._part = b""
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1


class Guard:
    """The guard's process; without it nothing is started, so it is started again.

    What it starts may have as many files open as this process may now: not all
    programs bear the many that an activator asks for.
    """

    def __init__(self) -> None:
        self._files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Number of the guard's process; 0: there is none."""
        return self._process.pid if self._process else 0

    def open(self) -> None:
        """Start the guard, so that it is there when it is needed."""
        ours, theirs = socket.socketpair()
        with theirs:
            link, files = str(theirs.fileno()), str(self._files)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), link, files],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.settimeout(_TAKEN_S)
        self._link = ours

    def start(
        self,
        order: Order,
        on_line: Callable[[str], None],
        on_end: Callable[[Ended], None],
    ) -> Process:
        """Have *order* carried out; *on_end* is called once, later, in any case."""
        control, keepers = socket.socketpair()
        read, write = os.pipe()
        with keepers, _written(order) as file:
            try:
                self._send((keepers.fileno(), write, file.fileno()))
            finally:
                os.close(write)
        control.setblocking(False)
        os.set_blocking(read, False)
        if sys.platform == "linux":
            with suppress(OSError):  # An unprivileged user's pipes are bounded in sum.
                fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return Process(control, read, on_line, on_end)

    def _send(self, fds: tuple[int, ...]) -> None:
        for attempt in (1, 2):
            if self._link is None:
                self.open()
            assert self._link is not None
            try:
                socket.send_fds(self._link, [b"o"], fds)
                return
            except OSError:  # Somebody killed it; what it guarded its keepers guard.
                self._abandon()
                if attempt == 2:
                    raise

    async def close(self) -> None:
        """Let the guard end; it does once all that it guards is gone."""
        if self._link is not None:
            loop = asyncio.get_running_loop()
            with suppress(OSError, TimeoutError):
                self._link.setblocking(False)
                self._link.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(_CLOSE_S):
                    await loop.sock_recv(self._link, 1)
        self._abandon()

    def _abandon(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _written(order: Order) -> IO[bytes]:
    """Return an unnamed file that holds *order*, whatever its size."""
    file: IO[bytes]
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("order"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    marshal.dump((list(order.argv), dict(order.env), order.cwd, order.grace_s), file)
    file.flush()
    return file
