"""What fromzero itself adds to a wake, over many wakes of a server that starts at once.

    python -m benchmarks.wake [--wakes N]

Before the start: from a request that is sent to a sleeping model to the order to start
its process. After it: from the moment the process listens to the answer's first byte at
the client. What is between is the server's own start, here Python's.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.fakes.running import Running, document, up

NAME = "instant-predictor-00001"
ORDER_GOAL_MS = 1.0
ANSWER_GOAL_MS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """One wake, in ms."""

    order: float
    start: float
    answer: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wakes", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        program = Path(__file__).with_name("instant.py")
        (place / "instant.json").write_text(document("instant", program=program))
        with up(str(place / "instant.json"), "--state-dir", name) as running:
            # The first one also fills caches: of files, and of the link to the guard.
            wakes = [woken(running, number) for number in range(given.wakes + 1)][1:]
            running.stop()

    print(f"{given.wakes} wakes of a server that starts at once, ms:")
    show("request -> start ordered", [each.order for each in wakes], ORDER_GOAL_MS)
    show("(the server's own start)", [each.start for each in wakes], None)
    show("listening -> first byte", [each.answer for each in wakes], ANSWER_GOAL_MS)


def woken(running: Running, number: int) -> Wake:
    """Wake it with a request, and have it sleep again."""
    host = b"Host: instant-default.localhost\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = time.time()
        link.sendall(b"GET / HTTP/1.1\r\n" + host + b"\r\n")
        first = link.recv(1)
        answered = time.time()
        text = (first + link.recv(65536)).decode()
    listened = float(text.rpartition("\r\n\r\n")[2])
    running.until("started replica=", number + 1)
    said = [line for line in running.lines if "started replica=" in line["message"]]
    ordered = datetime.fromisoformat(said[number]["time"]).timestamp()
    running.put_to_sleep(NAME)
    running.until("asleep revision=", number + 1)
    return Wake(
        order=1e3 * (ordered - asked),
        start=1e3 * (listened - ordered),
        answer=1e3 * (answered - listened),
    )


def show(what: str, values: list[float], goal: float | None) -> None:
    ordered = sorted(values)
    median, worst = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    against = "" if goal is None else f"   goal {goal:g}: "
    verdict = "" if goal is None else ("met" if median <= goal else "MISSED")
    print(f"  {what:26} median {median:7.2f}   95 % {worst:7.2f}{against}{verdict}")


if __name__ == "__main__":
    main()
