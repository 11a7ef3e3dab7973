"""Plain Deployments that sleep, in numbers; and who wrote what, by the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kube.audit import lines
from tests.kube.documents import at, until
from tests.kube.kserve_objects import RUNTIMES
from tests.kube.talk import Object

if TYPE_CHECKING:
    from tests.kube.installed import Stage

PATIENCE_S = 120.0
AT_ONCE = 16
ACCOUNT = "system:serviceaccount:fromzero-system:fromzero-autoscaler"
GRACE_S = 1.0
"""How long after a change of the Lease a write may be received that was sent before."""


def sleeper(name: str, **pod: Any) -> tuple[Object, Object]:
    """Return a Deployment at zero that is opted in, and its Service."""
    said = {
        "fromzero.dev/managed": "true",
        "fromzero.dev/min-replicas": "0",
        "fromzero.dev/stable-window": "6s",
        "fromzero.dev/timeout": "4",
    }
    container = {
        "name": "model",
        "image": RUNTIMES["sklearn"].image,
        "args": [f"--model_name={name}", "--http_port=8080"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": said},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [container],
                    "terminationGracePeriodSeconds": 30,
                    **pod,
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": name, "port": 80, "targetPort": "http"}],
        },
    }
    return deployment, service


async def begin(on: Stage, *names: str, **pod: Any) -> None:
    """Make sleepers, and wait until every activator stands in for each of them."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def made(name: str) -> None:
        deployment, service = sleeper(name, **pod)
        async with turns:
            await on.talk.create(at(on.space, "services"), service)
            await on.talk.create(at(on.space, "deployments"), deployment)

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(made(name))

    async def stand_in() -> bool:
        return all(on.slices.view(name, name)(1e12) for name in names)

    await until("activators stand in for all", stand_in, PATIENCE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """From when to when the Lease said that a pod leads, in seconds of the audit log."""

    holder: str
    since: float
    until: float

    def at(self, time: float) -> bool:
        return self.since <= time <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of an autoscaler's that was accepted."""

    pod: str
    time: float
    path: str
    down: bool = False
    """To fewer replicas."""
    wake: bool = False
    """From none to one: anybody's."""


def leaderships(log: Path) -> list[Term]:
    """Return who held the Lease when, in order."""
    found: list[Term] = []
    for event in _accepted(log):
        about = event["objectRef"]
        if about["resource"] != "leases" or "requestObject" not in event:
            continue
        spec = event["requestObject"]["spec"]
        holder, now = str(spec.get("holderIdentity") or ""), _time(event)
        if found and found[-1].holder == holder:
            last = found.pop()
            found.append(Term(holder=holder, since=last.since, until=float("inf")))
            continue
        if found:
            last = found.pop()
            end = now + GRACE_S
            found.append(Term(holder=last.holder, since=last.since, until=end))
        # It may act as soon as the answer is sent, and the log has the request's time.
        found.append(Term(holder=holder, since=now, until=float("inf")))
    return found


def written(log: Path) -> list[Write]:
    """Return all scales and slices that autoscalers wrote, in order."""
    found: list[Write] = []
    counts: dict[str, int] = {}
    for event in _accepted(log):
        about = event["objectRef"]
        scales = about.get("subresource") == "scale"
        if not scales and about["resource"] != "endpointslices":
            continue
        path = str(event["requestURI"]).partition("?")[0]
        asked = event["requestObject"]["spec"]["replicas"] if scales else 0
        before, counts[path] = counts.get(path, 0), asked
        extra = event["user"].get("extra") or {}
        (pod,) = extra["authentication.kubernetes.io/pod-name"]
        found.append(
            Write(
                pod=pod,
                time=_time(event),
                path=path,
                down=scales and asked < before,
                # Of two that wake at once either may be logged first.
                wake=scales and asked == 1 and before <= 1,
            )
        )
    return found


def _accepted(log: Path) -> Iterator[Any]:
    for event in lines(log):
        writes = event["verb"] in ("create", "update", "patch", "delete")
        code = (event.get("responseStatus") or {}).get("code", 500)
        if event["user"].get("username") == ACCOUNT and writes and code < 300:
            yield event


def _time(event: Any) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
