"""`fromzero up` as a process, and other people's programs that talk to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.autoscaler.backends.scene import Watch, descendants
from tests.interop.needs import ROOT

DOCUMENTS = Path(__file__).parent / "documents"
DEMO = ROOT / "examples/demo"
_LIMIT_S = 60.0
"""What has not happened by then never will: the process is killed, its output ends."""


class Up:
    """A running fromzero; what it logs is read as far as a test waits for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = self.until(r"serving address=\S+?:(\d+) ")[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def until(self, pattern: str) -> re.Match[str]:
        """Read log lines until one has *pattern*; return where."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line has {pattern!r}:\n{''.join(self.lines)}")

    def replicas(self) -> list[str]:
        """Return the command line of each process that a replica runs."""
        commands = []
        for pid in descendants(self.process.pid):
            try:
                text = Path("/proc", str(pid), "cmdline").read_bytes().decode()
            except OSError:
                continue  # It ended meanwhile.
            # Not the guard and the keepers that it forks, nor one that has ended and is
            # about to be reaped.
            if text and "guard.py" not in text:
                commands.append(text.replace("\0", " ").strip())
        return commands

    def end(self, number: signal.Signals) -> int:
        """End it by a signal; return its exit status once nothing of it is left."""
        watch = Watch([self.process.pid, *descendants(self.process.pid)])
        self.process.send_signal(number)
        self.process.wait()
        assert watch.outlived() == []
        return self.process.returncode


@contextmanager
def up(
    *documents: Path, state: Path, path: Path | None = None, **environ: str
) -> Iterator[Up]:
    """Run `fromzero up` on ports of its own; programs in *path* come first."""
    search = os.pathsep.join(filter(None, [str(path or ""), os.environ["PATH"]]))
    process = subprocess.Popen(
        [
            sys.executable, "-m", "fromzero", "up", *documents,
            "--port=0", "--admin-port=0", f"--state-dir={state / 'state'}",
        ],
        env={
            **os.environ,
            "PATH": search,
            "FROMZERO_CACHE_DIR": str(state / "cache"),
            **environ,
        },
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    limit = threading.Timer(_LIMIT_S, process.kill)
    limit.start()
    try:
        yield Up(process)
    finally:
        limit.cancel()
        process.terminate()
        process.communicate()


def program(*argv: object) -> str:
    """Run a client's program to its end; return what it printed."""
    done = subprocess.run(
        list(map(str, argv)),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
