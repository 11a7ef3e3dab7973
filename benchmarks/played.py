"""One real run: `fromzero up`, real processes, a load plan, all that was recorded."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fakes.running import document, up

TIMED = Path(__file__).parent.parent / "tests" / "fakes" / "timed.py"
LEAD_S = 3.0
"""Between the begin of serving and that of the load."""
LIMIT_S = 120.0
"""A request that has no answer by then has hung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked, and how long everything is to take."""

    phases: tuple[tuple[float, float], ...]
    """Seconds, requests per second."""
    fails: tuple[int, ...]
    """Which starts fail, from 0."""
    window_s: int
    service_s: float = 0.5
    """The mean of exponential service times."""
    concurrency: int = 2
    seed: int = 1

    @property
    def span_s(self) -> float:
        return sum(length for length, _ in self.phases)

    def requests(self) -> list[tuple[float, float]]:
        """Return when each request comes, and how long it takes: the same each time."""
        chance = random.Random(self.seed)
        made, begin = [], 0.0
        for length, rate in self.phases:
            at = begin
            while rate and (at := at + chance.expovariate(rate)) < begin + length:
                made.append((at, 0.02 + chance.expovariate(1 / self.service_s)))
            begin += length
        return made

    def starts(self, count: int = 200) -> list[float]:
        """Return how long each start takes."""
        chance = random.Random(self.seed + 1)
        return [min(9.0, chance.lognormvariate(0.9, 0.5)) for _ in range(count)]


LONG = Plan(
    phases=(
        (40, 1.0), (30, 6.0), (40, 1.5), (50, 0.0),
        (30, 4.0), (40, 0.8), (30, 8.0), (60, 0.0),
        (50, 2.0), (30, 7.0), (40, 0.5), (60, 0.0),
        (40, 3.0), (60, 1.0),
    ),
    fails=(4,),
    window_s=20,
)  # fmt: skip
SHORT = Plan(
    phases=((8, 1.5), (12, 8.0), (18, 0.0), (10, 4.0), (16, 0.0)),
    fails=(1,),
    window_s=6,
)


def play(plan: Plan) -> dict[str, Any]:
    """Run *plan* for real; return what was asked and recorded, as JSON has it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "claims").mkdir()
        told = {"starts": plan.starts(), "fails": plan.fails}
        (place / "plan.json").write_text(json.dumps(told))
        (place / "documents").mkdir()
        (place / "documents" / "timed.json").write_text(_document(plan, place))
        with up(
            *("--record-decisions", str(place / "decisions.jsonl")),
            *("--record-trace", str(place / "trace.csv")),
            *("--state-dir", str(place / "state")),
            *("--access-log", "json"),
            str(place / "documents"),
            FROMZERO_ACCESS_LOG_FILE=str(place / "access.jsonl"),
        ) as running:
            begun = time.monotonic() + LEAD_S
            asked = asyncio.run(_ask(running.port, plan, begun))
            running.stop()
        trace = (place / "trace.csv").read_text().splitlines()
        return {
            "plan": asdict(plan),
            "begun": begun,
            "asked": asked,
            "trace": [line for line in trace if line and line[0].isdigit()],
            "access": _lines(place / "access.jsonl"),
            "decisions": _lines(place / "decisions.jsonl"),
        }


def _document(plan: Plan, place: Path) -> str:
    text = document(
        "timed",
        f"--plan={place / 'plan.json'}",
        f"--claims={place / 'claims'}",
        program=TIMED,
        maxReplicas=4,
        containerConcurrency=plan.concurrency,
    )
    made = json.loads(text)
    window = {"autoscaling.knative.dev/window": f"{plan.window_s}s"}
    made["metadata"]["annotations"].update(window)
    return json.dumps(made)


async def _ask(port: int, plan: Plan, begun: float) -> list[tuple[float, int]]:
    """Send each request when it is due; return when it went, and its status."""
    requests = plan.requests()
    asked: list[tuple[float, int]] = [(0.0, 0)] * len(requests)

    async def one(number: int, at: float, service_s: float) -> None:
        await asyncio.sleep(begun + at - time.monotonic())
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                head = f"GET /?s={service_s:.4f} HTTP/1.1\r\n"
                head += "Host: timed-default.localhost\r\n"
                head += f"X-Request-Id: {number}\r\nConnection: close\r\n\r\n"
                sent = time.monotonic()
                writer.write(head.encode())
                answer = await reader.read()
                asked[number] = (sent, int(answer.split(b" ", 2)[1]))
            finally:
                writer.close()

    async with asyncio.TaskGroup() as group:
        for number, (at, service_s) in enumerate(requests):
            group.create_task(one(number, at, service_s))
        group.create_task(asyncio.sleep(begun + plan.span_s - time.monotonic()))
    return asked


def _lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]
