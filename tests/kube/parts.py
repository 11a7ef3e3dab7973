"""One program of the cluster: started, watched, ended by its own id, whatever happens.

A program dies with the thread that started it (PR_SET_PDEATHSIG), so none outlives a
test run that was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Part:
    """A child process whose output goes to a file."""

    def __init__(self, command: list[str], log: Path, **more: str) -> None:
        self.command, self.log = command, log
        self._env: Mapping[str, str] = os.environ | more
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it in this thread's network namespace."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
            )

    def stop(self, kill: bool = False, patience_s: float = 20.0) -> None:
        """End it, by SIGTERM and then by SIGKILL, or by SIGKILL at once; then wait."""
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(patience_s)

    def tail(self, lines: int = 12) -> str:
        """Return the last lines that it wrote, to be told in an error."""
        written = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(written.splitlines()[-lines:])
