"""What fromzero costs while every model sleeps: memory, processor, and its start.

    python -m benchmarks.idle [--models N] [--seconds S]

Memory is the resident set of `fromzero up`, in MB of 2^20; the guard that no process
outlives is shown beside it. The admin API is loaded when somebody first asks.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes.running import document

MEMORY_GOAL_MB = 40.0
START_GOAL_S = 1.0
STARTS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "documents"
        place.mkdir()
        for number in range(given.models):
            text = document(f"m{number}")
            (place / f"m{number}.json").write_text(text)
        starts = sorted(measured(place, 0.0)[0] for _ in range(STARTS))
        _, process_mb, guard_mb, asked_mb, share = measured(place, given.seconds)

    print(f"{given.models} models, all asleep")
    goal = verdict(process_mb, MEMORY_GOAL_MB)
    print(
        f"  resident memory    {process_mb:6.1f} MB   goal {MEMORY_GOAL_MB:g}: {goal}"
    )
    print(f"  its guard          {guard_mb:6.1f} MB")
    print(f"  once asked         {asked_mb:6.1f} MB")
    print(f"  processor          {share:6.2f} % of a core")
    middle = starts[len(starts) // 2]
    goal = verdict(middle, START_GOAL_S)
    print(f"  start to serving   {middle:6.2f} s    goal {START_GOAL_S:g}: {goal}")


def measured(place: Path, seconds: float) -> tuple[float, float, float, float, float]:
    """Start one; return seconds to serving, three sizes in MB, % of a core."""
    port, admin = free_port(), free_port()
    command = [sys.executable, "-m", "fromzero", "up", "--port", str(port)]
    command += ["--admin-port", str(admin), "--state-dir", str(place.parent / "state")]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, str(place)], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        while not answers(port, "/v1/models"):
            time.sleep(0.002)
        start_s = time.monotonic() - began
        before = processor(process.pid)
        time.sleep(seconds)
        share = 100 * (processor(process.pid) - before) / max(seconds, 1e-9)
        sizes = resident(process.pid), resident(child(process.pid))
        answers(admin, "/status")
        return start_s, *sizes, resident(process.pid), share
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return link.recv(65536).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def processor(pid: int) -> float:
    """Return the seconds of processor time that *pid* has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child(pid: int) -> int:
    """Return the first child of *pid*: the guard, while nothing is awake."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def verdict(value: float, goal: float) -> str:
    return "met" if value <= goal else "MISSED"


if __name__ == "__main__":
    main()
