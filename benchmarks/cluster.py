"""What fromzero adds to a wake in a cluster, with a real API server and its own pods.

    python -m benchmarks.cluster [--wakes N] [--many N] [--at-once N] [--no-fail-over]

Root, and what `make kube-assets` builds. Of each wake: from a request that is sent to
an activator to the scale that the API server has accepted (by its audit log), and from
the moment the pod's port is open to the answer's first byte; beside it, when the
kubelet says that the pod is ready (its probes are 20 times as fast as by default). With
--many: as many plain Deployments that sleep, what the autoscaler takes while nothing
happens, and how long --at-once wakes take together, beside as many scales by a client
that does nothing else. At last what the end of a leading autoscaler costs, as
benchmarks.failover says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.failover import failing_over
from tests.kube.audit import lines
from tests.kube.calls import Connection, predict
from tests.kube.cluster import Cluster
from tests.kube.documents import at, isvc, until
from tests.kube.installed import FINISHES, PRE_STOP, QUICK, Installed, installed
from tests.kube.talk import Mirror, Object

N = "clf-predictor"
ACCOUNT = "system:serviceaccount:fromzero-system:fromzero-autoscaler"
OPTED = {"fromzero.dev/managed": "true", "fromzero.dev/min-replicas": "0"}
REST_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wakes", type=int, default=15)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument(
        "--fail-over", action=argparse.BooleanOptionalAction, default=True
    )
    given = parser.parse_args()
    with Cluster() as cluster, cluster.inside(), installed(cluster) as here:
        if given.wakes:
            waking(here, given.wakes)
        if given.many:
            crowd(here, given.many, given.at_once)
    if given.fail_over:
        with (
            Cluster() as cluster,
            cluster.inside(),
            installed(cluster, "high-availability") as here,
        ):
            failing_over(here)


def waking(here: Installed, count: int) -> None:
    """Wake one model again and again."""
    space = here.cluster.namespace()
    found: list[tuple[float, float, float]] = []

    async def scene(on: Any) -> None:
        pods = Pods(on.talk, space)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(pods.mirror.run())
            await on.manage()
            model = {"args": ["--late", "--start_s=0"], **PRE_STOP}
            await on.begin(
                isvc(space, minReplicas=0, annotations=QUICK, model=model, **FINISHES)
            )
            await on.until_ready(N, 1)
            for number in range(count):
                await on.until_replicas(N, 0)
                await until("nobody is left", lambda: nobody(pods))
                found.append(await woken(here, on, pods, number))
            watching.cancel()

    here.play(space, scene, 60.0 + 40.0 * count)
    print(f"{count} wakes, ms:")
    for name, goal, each in zip(
        ("request -> scale accepted", "listening -> first byte", "listening -> Ready"),
        ("10", "15", "the kubelet's"),
        zip(*found, strict=True),
        strict=True,
    ):
        low, high = statistics.median(each), max(each)
        print(f"  {name:28} median {low:7.1f}  most {high:7.1f}  goal {goal}")


class Pods:
    """The pods of a namespace: where they are, and since when they are ready."""

    def __init__(self, talk: Any, space: str) -> None:
        self.mirror = Mirror(talk, at(space, "pods"), self._told)
        self.ready: dict[str, float] = {}

    def _told(self, changed: Object) -> None:
        conditions = changed.get("status", {}).get("conditions", ())
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            self.ready.setdefault(changed["metadata"]["name"], time.time())

    def addresses(self) -> dict[str, str]:
        return {
            each["metadata"]["name"]: each["status"]["podIP"]
            for each in self.mirror.objects.values()
            if each.get("status", {}).get("podIP")
            and "deletionTimestamp" not in each["metadata"]
        }


async def nobody(pods: Pods) -> bool:
    return not pods.mirror.objects


async def woken(
    here: Installed, on: Any, pods: Pods, number: int
) -> tuple[float, float, float]:
    """Return the three times of one wake, in ms."""
    (activator, *_) = on.slices.view(N, N)(time.monotonic())
    request = predict("clf", f"w{number}", size=1)
    link = await Connection.to(activator.address, activator.port)
    sent = time.time()
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(timed(link, request.data))
        listening = tasks.create_task(open_port(pods))
    name, listens = listening.result()
    reply, came = answer.result()
    assert reply.status == 200, reply
    link.close()
    await until("it is ready", lambda: is_ready(pods, name))
    accepted = min(at_s for at_s, _ in scales(here, on.space) if at_s >= sent)
    return (
        1e3 * (accepted - sent),
        1e3 * (came - listens),
        1e3 * (pods.ready[name] - listens),
    )


async def timed(link: Connection, data: bytes) -> tuple[Any, float]:
    reply = await link.ask(data)
    return reply, time.time()


async def is_ready(pods: Pods, name: str) -> bool:
    return name in pods.ready


async def open_port(pods: Pods) -> tuple[str, float]:
    """Return the pod that came, and when its port was open."""
    while True:
        for name, address in pods.addresses().items():
            try:
                _, writer = await asyncio.open_connection(address, 8080)
            except OSError:
                continue
            writer.close()
            return name, time.time()
        await asyncio.sleep(0.0005)


def scales(here: Installed, space: str, skip: int = 0) -> list[tuple[float, str]]:
    """Return when each scale patch of ours was accepted, and of what."""
    found = []
    for event in lines(here.cluster.audit_log, skip):
        about = event.get("objectRef", {})
        if (
            event.get("user", {}).get("username") == ACCOUNT
            and event.get("verb") == "patch"
            and about.get("subresource") == "scale"
            and about.get("namespace") == space
            and event.get("responseStatus", {}).get("code") == 200
        ):
            when = datetime.fromisoformat(event["stageTimestamp"])
            found.append((when.timestamp(), about["name"]))
    return found


def crowd(here: Installed, many: int, at_once: int) -> None:
    """Let many sleep, look at what that takes, and wake some of them together."""
    space = here.cluster.namespace()

    async def scene(on: Any) -> None:
        limit = asyncio.Semaphore(32)

        async def make(number: int) -> None:
            async with limit:
                for kind, body in plain(f"m{number}", OPTED):
                    await on.talk.create(at(space, kind), body)

        async with asyncio.TaskGroup() as tasks:
            for number in range(many):
                tasks.create_task(make(number))
            for number in range(at_once):
                (_, (kind, body)) = plain(f"p{number}", {})
                await on.talk.create(at(space, kind), body)
        began = time.time()
        await on.manage()

        async def all_there() -> bool:
            return len(await ours(on)) >= many

        await until(f"{many} have slices", all_there, 300.0)
        print(f"{many} revisions: managed after {time.time() - began:.1f} s")
        await asyncio.sleep(10.0)
        await rest(here, many)
        await patched(on, at_once)
        await asyncio.sleep(10.0)
        await together(here, on, at_once)

    here.play(space, scene, 900.0)


async def patched(on: Any, count: int) -> None:
    """Scale *count* Deployments that nobody manages; print what that takes."""
    began = time.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            path = at(on.space, "deployments", f"p{number}") + "/scale"
            tasks.create_task(on.talk.patch(path, {"spec": {"replicas": 1}}))
    print(f"{count} scales by hand: {1e3 * (time.time() - began):.0f} ms")


def plain(name: str, said: dict[str, str]) -> list[tuple[str, Object]]:
    labels = {"app": name}
    return [
        (
            "services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {
                    "selector": labels,
                    "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
                },
            },
        ),
        (
            "deployments",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "annotations": said},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            # Nobody runs them: it is the order that is timed.
                            "nodeSelector": {"nowhere": "to-be-found"},
                            "containers": [{"name": "main", "image": "none"}],
                        },
                    },
                },
            },
        ),
    ]


async def ours(on: Any) -> list[Object]:
    """Return all our slices that list somebody."""
    items = (await on.talk.get(at(on.space, "endpointslices")))["items"]
    manager = "endpointslice.kubernetes.io/managed-by"
    return [
        each
        for each in items
        if each["metadata"]["labels"].get(manager) == "fromzero.dev"
        and each.get("endpoints")
    ]


async def rest(here: Installed, many: int) -> None:
    """Print what the autoscaler takes while nothing happens."""
    (pod,) = here.pods("autoscaler")
    before, began = cpu_s(here, pod), time.time()
    await asyncio.sleep(REST_S)
    used = cpu_s(here, pod) - before
    asked: dict[str, int] = {}
    for event in lines(here.cluster.audit_log):
        mine = event.get("user", {}).get("username") == ACCOUNT
        if (
            mine
            and datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
            >= began
        ):
            what = f"{event['verb']} {event['objectRef']['resource']}"
            asked[what] = asked.get(what, 0) + 1
    print(
        f"{many} asleep, {REST_S:.0f} s: {resident(here, pod) >> 20} MB, "
        f"{100 * used / REST_S:.2f} % of a core"
    )
    print(f"  API requests a minute: {json.dumps(asked)}")


async def together(here: Installed, on: Any, count: int) -> None:
    """Wake *count* at once; print when the last was accepted."""
    slices = [each for each in await ours(on) if each["addressType"] == "IPv4"]
    links = [
        await Connection.to(
            each["endpoints"][0]["addresses"][0], each["ports"][0]["port"]
        )
        for each in slices[:count]
    ]
    data = predict("m", "w", size=1).data
    first: dict[str, float] = {}
    # Only what comes from now on: to read all of it would take one of the two cores.
    skip = here.cluster.audit_log.stat().st_size
    sent = time.time()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(hold(link, data)) for link in links]

        async def accepted() -> bool:
            for at_s, name in scales(here, on.space, skip):
                first.setdefault(name, at_s - sent)
            return len(first) >= count

        await asyncio.sleep(1.0)
        await until("all are accepted", accepted, 120.0)
        for each in waiting:
            each.cancel()
    times = sorted(first.values())
    print(
        f"{count} wakes at once: the first accepted after {1e3 * times[0]:.0f} ms, "
        f"the last after {1e3 * times[-1]:.0f} ms (goal 1000)"
    )


async def hold(link: Connection, data: bytes) -> None:
    try:
        await link.ask(data)
    finally:
        link.close()


def cpu_s(here: Installed, pod: str) -> float:
    """Return the processor time of the autoscaler's process."""
    stat = Path("/proc", str(pid(here, pod)), "stat").read_text()
    ticks = stat.rsplit(")", 1)[1].split()
    return (int(ticks[11]) + int(ticks[12])) / 100.0


def resident(here: Installed, pod: str) -> int:
    statm = Path("/proc", str(pid(here, pod)), "statm").read_text()
    return int(statm.split()[1]) * 4096


def pid(here: Installed, pod: str) -> int:
    """Return the number of a pod's fromzero process."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            said = (place / "environ").read_bytes().split(b"\0")
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if f"POD_NAME={pod}".encode() in said and b"fromzero/lean.py" in command:
            return int(place.name)
    raise AssertionError(f"no process of {pod}")


if __name__ == "__main__":
    main()
