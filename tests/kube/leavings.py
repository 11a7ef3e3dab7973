"""What is in a namespace, to be compared: before fromzero came, and after it has left."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fromzero.client import Client
from tests.kube.documents import at
from tests.kube.installed import Installed
from tests.kube.talk import Object, Talk

ROOT = Path(__file__).parents[2]
KINDS = (
    *("inferenceservices", "deployments", "replicasets", "services"),
    *("endpointslices", "horizontalpodautoscalers", "scaledobjects", "ingresses"),
    *("configmaps", "serviceaccounts", "leases"),
)
CHANGING = ("resourceVersion", "managedFields", "generation")
"""What each write changes, whatever it writes."""
MADE = ("uid", "creationTimestamp", "name", "generateName")
"""What says which of several like objects it is."""
REMADE = ("endpointslices", "horizontalpodautoscalers")
"""Kinds whose controllers make them anew."""
TOUCHED = ("endpoints.kubernetes.io/", "deployment.kubernetes.io/")
"""How the annotations of controllers begin that say what they did last."""
COST = "controller.kubernetes.io/pod-deletion-cost"
PATIENCE_S = 90.0
Answer = TypeVar("Answer")


async def snapshot(talk: Talk, space: str) -> dict[str, list[Object]]:
    """Return all of a namespace but its pods, without what each write changes."""
    found = {}
    for kind in KINDS:
        items = (await talk.get(at(space, kind)))["items"]
        kept = [lasting(kind, each) for each in items]
        found[kind] = sorted(kept, key=lambda each: json.dumps(each, sort_keys=True))
    return found


def lasting(kind: str, each: Object) -> Object:
    """Return what of an object of *kind* is the same until somebody means to change it."""
    out = (*CHANGING, *(MADE if kind in REMADE else ()))
    meta = {name: its for name, its in each["metadata"].items() if name not in out}
    kept = {name: its for name, its in each.items() if name != "status"}
    if kind == "endpointslices":
        kept.pop("endpoints", None)
    annotations = meta.get("annotations") or {}
    # A Deployment's annotations are copied to its ReplicaSets, and never taken away.
    touched = (*TOUCHED, "fromzero.dev/") if kind == "replicasets" else TOUCHED
    meta["annotations"] = {
        name: its for name, its in annotations.items() if not name.startswith(touched)
    }
    return kept | {"metadata": meta}


async def traces(talk: Talk, space: str) -> list[str]:
    """Return what of a namespace still speaks of fromzero, its Events apart."""
    found = []
    for kind in (*KINDS, "pods"):
        for each in (await talk.get(at(space, kind)))["items"]:
            text = json.dumps(lasting(kind, each))
            if "fromzero" in text or COST in text:
                found.append(f"{kind}/{each['metadata']['name']}: {text}")
    return found


async def within(here: Installed, pod: str, work: Callable[[], Answer]) -> Answer:
    """Do *work* in the network of a pod of fromzero's, in a thread."""

    def inside() -> Answer:
        with here.node.host(here.home, pod).inside():
            return work()

    return await asyncio.to_thread(inside)


async def fromzero(here: Installed, *words: str) -> str:
    """Run a command as `kubectl exec` in the autoscaler would; return what it printed."""
    (pod,) = here.pods("autoscaler")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fromzero", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    done = await within(here, pod, run)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


async def status(here: Installed) -> dict[str, Any]:
    """Return what the autoscaler's `GET /status` says."""
    (pod,) = here.pods("autoscaler")
    return await within(here, pod, Client("127.0.0.1", 9090).status)


async def remarks(here: Installed, space: str) -> set[str]:
    """Return the reasons of what is remarked on a namespace's objects."""
    said = (await status(here))["remarks"]
    return {each["reason"] for each in said if f"{space}/" in json.dumps(each)}
