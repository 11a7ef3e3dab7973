"""A real `fromzero up` in a process of its own, for the tests that run it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREDICTOR = Path(__file__).with_name("predictor.py")
LIMIT_S = 30.0
"""Nothing here takes a tenth of that; a hang fails instead of hanging the suite."""


class Running:
    """A fromzero that serves; its log lines, its ports, its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, str]] = []
        self._new: queue.Queue[dict[str, str] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        serving = self.until("serving ")
        parts = dict(each.split("=") for each in serving.split()[1:])
        self.port = int(parts["address"].rpartition(":")[2])
        self.admin_port = int(parts["admin"].rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self._new.put(json.loads(line))
            except ValueError:
                self._new.put({"message": line.rstrip()})
        self._new.put(None)

    def until(self, text: str, count: int = 1) -> str:
        """Return the log line with which *text* has been said *count* times."""
        said = [line for line in self.lines if text in line["message"]]
        while len(said) < count:
            line = self._new.get(timeout=LIMIT_S)
            if line is None:
                told = "\n".join(each["message"] for each in self.lines)
                raise AssertionError(f"it ended without {text!r}:\n{told}")
            self.lines.append(line)
            if text in line["message"]:
                said.append(line)
        return said[count - 1]["message"]

    def said(self, text: str) -> int:
        """Return how often *text* has been said by now, among the lines waited for."""
        return sum(text in line["message"] for line in self.lines)

    def ask(
        self, service: str, path: str = "/", body: bytes | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, JSON body and headers of one request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            host = f"{service}-default.localhost"
            method = "GET" if body is None else "POST"
            link.request(method, path, body, {"Host": host})
            answer = link.getresponse()
            text = answer.read()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, json.loads(text) if text else None, headers
        finally:
            link.close()

    def admin(self, path: str, method: str = "GET") -> str:
        """Return what the admin port answers."""
        link = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=LIMIT_S)
        try:
            link.request(method, path)
            return link.getresponse().read().decode()
        finally:
            link.close()

    def status(self) -> dict[str, dict[str, Any]]:
        """Return every revision by its name."""
        found = json.loads(self.admin("/status"))["revisions"]
        return {each["name"]: each for each in found}

    def put_to_sleep(self, name: str) -> None:
        """Order it, until it is known that nothing is in flight: within a second."""
        path = f"/sleep/default/{name}"
        wait_until(lambda: "by hand" in self.admin(path, "POST"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Have it end, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=LIMIT_S)


@contextmanager
def up(*args: str, **environ: str) -> Iterator[Running]:
    """Run `fromzero up --port 0 …`; kill it in the end if it has not ended."""
    command = [sys.executable, "-m", "fromzero", "up", "--port", "0"]
    command += ["--admin-port", "0", "--log-format", "json", *args]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FROMZERO_")}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "FROMZERO_HOST": "127.0.0.1", **environ},
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def document(
    name: str = "echo", *args: str, program: Path = PREDICTOR, **predictor: object
) -> str:
    """Return an InferenceService of a Python *program* that listens on --port."""
    command = ["$(PYTHON)", "-I", "-S", str(program), "--port=$(PORT)", *args]
    container = {"name": "kserve-container", "image": "none", "command": command}
    annotations = {
        "autoscaling.knative.dev/window": "6s",
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period": "0s",
    }
    return json.dumps(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "predictor": {"minReplicas": 0, **predictor, "containers": [container]}
            },
        }
    )


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(true: Callable[[], bool]) -> None:
    """Look until *true*, within the limit."""
    never = threading.Event()
    for _ in range(int(LIMIT_S / 0.02)):
        if true():
            return
        never.wait(0.02)
    raise AssertionError("it did not come true")
