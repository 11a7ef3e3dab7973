"""Where lines go: a file, or what stdout is, without ever waiting for a reader."""

from __future__ import annotations

import logging
import os
import select
import stat
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_ATOM: Final = select.PIPE_BUF
"""So much goes into a pipe that has room for any, and not among others' bytes."""
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class Sink:
    """One open file; *where* is a path, or a descriptor that stays open after it."""

    def __init__(self, where: Path | int) -> None:
        self._where = where
        self._fd = -1
        self._take(_opened(where))

    def put(self, data: bytes) -> int:
        """Write as much of *data* as goes without waiting; raise OSError."""
        if self._regular:
            return os.write(self._fd, data)
        done = 0
        while done < len(data) and self._poll.poll(0):
            try:
                done += os.write(self._fd, data[done : done + _ATOM])
            except BlockingIOError:
                break
            except OSError:
                if not done:
                    raise
                break  # It is raised the next time: what went is told first.
        return done

    def reopen(self) -> None:
        """Go on in a new file of the same name, as the old one was moved away."""
        if isinstance(self._where, int):
            return
        try:
            fd = _opened(self._where)
        except OSError as error:
            _log.warning("access log not opened again: %s", error)
            return
        self.close()
        self._take(fd)
        _log.info("access log opened again file=%s", self._where)

    def close(self) -> None:
        """Close what was opened here."""
        if not isinstance(self._where, int):
            os.close(self._fd)

    def _take(self, fd: int) -> None:
        self._fd = fd
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)


def _opened(where: Path | int) -> int:
    return where if isinstance(where, int) else os.open(where, _FLAGS, 0o640)
