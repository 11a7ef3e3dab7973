"""What the end of a leading autoscaler costs, with a real API server and two of them.

    python -m benchmarks.failover

Root, and what `make kube-assets` builds. Every half second somebody asks for a model
that sleeps, and what was woken falls asleep again, while the leader's process is
killed, its pod is killed (as with its node: nothing is released), or told to stop. Of
each: until the Lease has another term, until its new leader has written what only a
leader writes, and what the wakes of that time took from a request to the scale that
was asked for. Where a new pod is only a leader tells activators, so who is held while
nobody leads is answered by its successor.
"""

from __future__ import annotations

import asyncio
import time
from itertools import cycle
from typing import Any

from tests.kube.calls import predict
from tests.kube.clients import Report
from tests.kube.cluster import Cluster
from tests.kube.documents import at, until
from tests.kube.installed import HOME, Installed, installed
from tests.kube.sleepers import Write, begin, leaderships, written

LEASE = at(HOME, "leases", "fromzero-autoscaler")
MODELS = [f"nap-{number}" for number in range(60)]
EVERY_S = 0.5
BEFORE_S = 15.0
"""What is woken falls asleep within that, so that a leader has something to do."""
AFTER_S = 5.0


def main() -> None:
    with (
        Cluster() as cluster,
        cluster.inside(),
        installed(cluster, "high-availability") as here,
    ):
        failing_over(here)


def failing_over(here: Installed) -> None:
    """End the leader in each way, and print what came of it."""
    space = here.cluster.namespace()

    async def scene(on: Any) -> None:
        await on.manage()
        await begin(on, *MODELS)
        for what, end in (
            ("its process killed", process),
            ("its pod killed", pod),
            ("told to stop", stop),
        ):
            await until("two are ready", lambda: ready(on), 60.0)
            await ended(here, on, what, end)

    here.play(space, scene, 600.0)


async def process(here: Installed, _: Any, leader: str) -> None:
    here.node.kill(HOME, leader)


async def pod(_: Installed, on: Any, leader: str) -> None:
    options = {"gracePeriodSeconds": 0}
    await on.talk.call("DELETE", at(HOME, "pods", leader), options)


async def stop(_: Installed, on: Any, leader: str) -> None:
    await on.talk.delete(at(HOME, "pods", leader))


async def ready(on: Any) -> bool:
    found = await on.talk.get(at(HOME, "deployments", "fromzero-autoscaler"))
    return int(found["status"].get("readyReplicas", 0)) == 2


async def ended(here: Installed, on: Any, what: str, end: Any) -> None:
    """Ask on and on, end the leader, and print how it went."""
    log = here.cluster.audit_log
    sent: list[tuple[str, float]] = []
    reports: list[Report] = []
    over = asyncio.Event()

    async def ask(name: str) -> None:
        client = on.clients(predict, name, model=name, lag_s=0.0, count=1, name=name)
        sent.append((name, time.time()))
        await client.one()
        client.close()
        reports.append(client.report())

    async def trickle() -> None:
        async with asyncio.TaskGroup() as asking:
            for name in cycle(MODELS):
                if over.is_set():
                    return
                asking.create_task(ask(name))
                await asyncio.sleep(EVERY_S)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(trickle())
        await asyncio.sleep(BEFORE_S)
        spec = (await on.talk.get(LEASE))["spec"]
        at_s = time.time()
        await end(here, on, spec["holderIdentity"])

        async def another() -> bool:
            now = (await on.talk.get(LEASE))["spec"]
            return bool(
                now.get("holderIdentity")
                and now["leaseTransitions"] != spec["leaseTransitions"]
            )

        await until("there is another term", another, 60.0)
        led_s = time.time()
        await asyncio.sleep(AFTER_S)
        while not (first := leads(written(log), led_s)):
            await asyncio.sleep(0.5)
        over.set()
    terms = [
        each.since for each in leaderships(log) if each.holder and each.since > at_s
    ]
    took = sorted(wakes(written(log), sent, at_s))
    wrong = [report for report in reports if not report.right]
    slowest = max(wait_s for report in reports for wait_s in report.waits_s)
    print(
        f"the leader, {what}: another term after "
        f"{min([*terms, led_s]) - at_s:.1f} s, a leader's first write after "
        f"{first.time - at_s:.1f} s"
    )
    print(
        f"  {len(took)} wakes from then on: request -> scale asked, median "
        f"{1e3 * took[len(took) // 2]:.1f} ms, most {1e3 * took[-1]:.1f} ms; "
        f"of {len(sent)} requests {len(wrong)} lost (goal 0), the slowest answer "
        f"{slowest:.1f} s"
    )
    for each in wrong:
        print(f"  {each}")


def leads(writes: list[Write], since: float) -> Write | None:
    """Return the first write since then that only a leader makes."""
    return next((w for w in writes if w.time >= since and not w.wake), None)


def wakes(
    writes: list[Write], sent: list[tuple[str, float]], since: float
) -> list[float]:
    """Return how long each request since then waited for its model's scale, in s.

    One that found its model awake waited for none.
    """
    found = []
    for name, began in sent:
        path = f"/deployments/{name}/scale"
        after = [
            each
            for each in writes
            if began <= each.time < began + 60.0 and each.path.endswith(path)
        ]
        if began >= since and after and after[0].wake:
            found.append(after[0].time - began)
    return found


if __name__ == "__main__":
    main()
