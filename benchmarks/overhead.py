"""What the activator adds to a request, beside nginx as a plain proxy; one run.

    python -m benchmarks.overhead [--seconds S] [--only gets|posts]

The proxy has core 0 for itself; the backend (nginx) and the load (wrk) share core 1.
Three rounds, in turns, so that a noisy moment meets both; the median counts.

gets    small GETs, 32 connections, one host, one replica
posts   1 KB POSTs with 12 fields, a different X-Request-Id each, to 1,000 hosts that
        share 4 replicas with containerConcurrency 8 (nginx: four servers)
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

GOAL = 0.6
CONNECTIONS = 32
ROUNDS = 3
HOSTS = 1000
REPLICAS = 4
CONCURRENCY = 8
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one proxy did under load for a while."""

    per_s: float
    p50_ms: float
    p99_ms: float
    user_us: float
    system_us: float
    wrong: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", choices=("gets", "posts"))
    asked = parser.parse_args()
    for program in ("nginx", "wrk", "taskset"):
        if shutil.which(program) is None:
            print(f"skipped: {program} is not here; apt-get install nginx wrk")
            return 0
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: proxy and load need a core each, and there is one")
        return 0
    with ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), stack, asked.seconds)
        for what in ("gets", "posts"):
            if asked.only in (None, what):
                bench.compare(what)
    return 0


class Bench:
    """Backend, proxies and load, on the two cores."""

    def __init__(self, place: Path, stack: ExitStack, seconds: int) -> None:
        self.place = place
        self.seconds = seconds
        self.ports = free_ports(REPLICAS + 3)
        self.backends = self.ports[:REPLICAS]
        self.nginx_port, self.gets_port, self.posts_port = self.ports[REPLICAS:]
        enter = stack.enter_context
        enter(self._nginx("backend", backend(self.backends), core=1))
        self.nginx = enter(
            self._nginx("proxy", proxy(self.nginx_port, self.backends), core=0)
        )
        ours = ("-m", "benchmarks.proxy")
        one = (*ours, f"--port={self.gets_port}", "--replica", str(self.backends[0]))
        four = (
            *ours, f"--port={self.posts_port}", f"--hosts={HOSTS}",
            f"--concurrency={CONCURRENCY}", "--replica", *map(str, self.backends),
        )  # fmt: skip
        self.gets = enter(process(0, sys.executable, *one))
        self.posts = enter(process(0, sys.executable, *four))
        for port in self.ports:
            await_port(port)

    def compare(self, what: str) -> None:
        """Measure both proxies and print them side by side."""
        port = self.gets_port if what == "gets" else self.posts_port
        ours = self.gets if what == "gets" else self.posts
        script = self.place / f"{what}.lua"
        script.write_text(GETS if what == "gets" else POSTS)
        direct = self._run(script, self.backends[0], None)
        runs: dict[str, list[Run]] = {"nginx": [], "fromzero": []}
        for _ in range(ROUNDS):
            runs["nginx"].append(self._run(script, self.nginx_port, self.nginx.pid))
            runs["fromzero"].append(self._run(script, port, ours.pid))
        print(f"{what}: {CONNECTIONS} connections, {ROUNDS} rounds of {self.seconds} s")
        print(
            f"{'':10}{'requests/s':>12}{'added p50 ms':>14}{'added p99 ms':>14}"
            f"{'user µs':>10}{'system µs':>11}{'wrong':>7}"
        )
        print(f"{'backend':10}{direct.per_s:12,.0f}")
        rates = {}
        for name, each in runs.items():
            rates[name] = median(run.per_s for run in each)
            print(
                f"{name:10}{rates[name]:12,.0f}"
                f"{median(run.p50_ms for run in each) - direct.p50_ms:14.2f}"
                f"{median(run.p99_ms for run in each) - direct.p99_ms:14.2f}"
                f"{median(run.user_us for run in each):10.1f}"
                f"{median(run.system_us for run in each):11.1f}"
                f"{sum(run.wrong for run in each):7}"
            )
        ratio = rates["fromzero"] / rates["nginx"]
        print(f"ratio to nginx: {ratio:.2f} (goal ≥ {GOAL})\n")

    def _run(self, script: Path, port: int, pid: int | None) -> Run:
        before = cpu(pid)
        url = f"http://127.0.0.1:{port}"
        load = (
            "taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}",
            f"-d{self.seconds}s", "--latency", "-s", str(script), url,
        )  # fmt: skip
        said = subprocess.run(load, check=True, capture_output=True, text=True).stdout
        after = cpu(pid)
        requests = int(find(r"(\d+) requests in", said))
        return Run(
            per_s=float(find(r"Requests/sec:\s+([\d.]+)", said)),
            p50_ms=milliseconds(find(r"\n\s+50%\s+(\S+)", said)),
            p99_ms=milliseconds(find(r"\n\s+99%\s+(\S+)", said)),
            user_us=(after[0] - before[0]) / requests * 1e6,
            system_us=(after[1] - before[1]) / requests * 1e6,
            wrong=int(find(r"Non-2xx or 3xx responses: (\d+)", said, "0")),
        )

    @contextmanager
    def _nginx(
        self, name: str, said: str, *, core: int
    ) -> Iterator[subprocess.Popen[bytes]]:
        conf = self.place / f"{name}.conf"
        conf.write_text(
            f"daemon off; master_process off; worker_processes 1; error_log /dev/null;"
            f" pid {name}.pid; events {{ worker_connections 8192; }}\n"
            f"http {{ access_log off; keepalive_requests 100000000;"
            f" client_body_temp_path {self.place}/{name}-body;"
            f" proxy_temp_path {self.place}/{name}-proxy;\n{said} }}\n"
        )
        with process(core, "nginx", "-c", str(conf), "-p", str(self.place)) as made:
            yield made


def backend(ports: list[int]) -> str:
    answer = "'{\"predictions\":[1,1]}'"
    servers = (
        f"server {{ listen 127.0.0.1:{port}; location / {{"
        f" default_type application/json; return 200 {answer}; }} }}"
        for port in ports
    )
    return "\n".join(servers)


def proxy(port: int, backends: list[int]) -> str:
    servers = " ".join(f"server 127.0.0.1:{each};" for each in backends)
    return (
        f"upstream u {{ {servers} keepalive 256; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }'
    )


GETS = """
wrk.headers["Host"] = "svc-0-bench.localhost"
wrk.path = "/v1/models/iris:predict"
"""

POSTS = f"""
local body = string.rep("x", 1024)
local number = 0
local rest = table.concat({{
  "User-Agent: python-requests/2.32.3", "Accept: */*", "Accept-Encoding: gzip",
  "Content-Type: application/json", "Authorization: Bearer 0123456789abcdef",
  "X-Tenant: production", "Traceparent: 00-4bf92f3577b34da6-00f067aa0ba902b7-01",
  "Accept-Language: en", "Cache-Control: no-cache",
  "Content-Length: 1024", "", body}}, "\\r\\n")
request = function()
  number = number + 1
  return string.format(
    "POST /v1/models/iris:predict HTTP/1.1\\r\\n"
      .. "Host: svc-%d-bench.localhost\\r\\nX-Request-Id: %016x\\r\\n",
    number % {HOSTS}, number) .. rest
end
"""


@contextmanager
def process(core: int, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* on one core; end it with the context."""
    made = subprocess.Popen(("taskset", "-c", str(core), *command))
    try:
        yield made
    finally:
        made.terminate()
        try:
            made.wait(5)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def cpu(pid: int | None) -> tuple[float, float]:
    """Return user and system seconds of a process."""
    if pid is None:
        return 0.0, 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) * TICK_S, int(fields[12]) * TICK_S


def find(pattern: str, text: str, default: str | None = None) -> str:
    found = re.search(pattern, text)
    if found is None:
        if default is None:
            raise RuntimeError(f"wrk did not say {pattern}:\n{text}")
        return default
    return found[1]


def milliseconds(said: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


if __name__ == "__main__":
    raise SystemExit(main())
