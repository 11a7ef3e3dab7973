"""A process of a kubelet's: its end is awaited, and it ends with the kubelet's thread."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kube import box
from tests.kube.network import Host

LAST_WORDS = 2048


class Process:
    """Started at once, in the network namespace of *host* where one is given."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        env: Mapping[str, str],
        host: Host | None = None,
    ) -> None:
        start = self._start
        if host is None:
            start(command, log, env)
        else:
            with host.inside():
                start(command, log, env)
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = loop.create_future()
        """Its exit status, 128 and the signal where one killed it."""
        self._end = os.pidfd_open(self._child.pid)
        loop.add_reader(self._end, self._over)

    def _start(self, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env
            )

    def _over(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)
        code = self._child.wait()
        if not self.ended.done():
            self.ended.set_result(code if code >= 0 else 128 - code)

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if not self.ended.done():
            self._child.send_signal(number)

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    async def kill(self) -> int:
        """End it at once, and return its status."""
        self.send(signal.SIGKILL)
        return await self.wait()


class Boxed:
    """A container's process; see box.py for what it is alone with."""

    def __init__(
        self, folder: Path, name: str, spec: dict[str, Any], host: Host
    ) -> None:
        self._spec = spec
        self._file = folder / f"{name}.json"
        self._told = folder / f"{name}.json.pid"
        self.log = folder / f"{name}.log"
        self.message = folder / f"{name}.message"
        root = folder / f"{name}.root"
        root.mkdir(exist_ok=True)
        self.message.write_text("")
        self.message.chmod(0o666)
        path = spec.pop("message")
        spec["mounts"].append([str(self.message), path, False])
        self._file.write_text(json.dumps(spec | {"root": str(root)}))
        self._told.unlink(missing_ok=True)
        command = [sys.executable, "-I", "-S", box.__file__, str(self._file)]
        self._from = self.log.stat().st_size if self.log.exists() else 0
        self.process = Process(command, self.log, {"PATH": os.defpath}, host)

    async def run(self, command: list[str], patience_s: float) -> tuple[int, str]:
        """Run *command* in the container, for so long at most: status and output."""
        while not (number := self._number()):
            if self.process.ended.done():
                return 126, "container not running"
            await asyncio.sleep(0.005)
        spec = self._spec
        enter = ["nsenter", "--target", number]
        enter += ["--mount", "--pid", "--net", "--ipc", "--uts", "--root"]
        enter += [f"--setuid={spec['uid']}", f"--setgid={spec['gid']}", "--"]
        out = self._file.with_suffix(".exec")
        out.write_text("")
        process = Process([*enter, *command], out, spec["env"])
        try:
            async with asyncio.timeout(patience_s):
                code = await process.wait()
        except TimeoutError:
            code = 124
        finally:
            process.send(signal.SIGKILL)
        return code, out.read_text(errors="replace")

    def _number(self) -> str:
        """Return the id of process 1 of the container, or nothing before it is there."""
        return self._told.read_text() if self._told.exists() else ""

    def last_words(self, *, of_log: bool) -> str:
        """Return what it left as its message, or its last lines where that is asked."""
        words = self.message.read_text(errors="replace")
        if not words and of_log:
            with self.log.open("rb") as log:
                log.seek(self._from)
                words = log.read().decode(errors="replace")
        return words[-LAST_WORDS:]
