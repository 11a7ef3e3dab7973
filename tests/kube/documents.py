"""Documents that tests of a cluster begin with, and the small things done to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from tests.kube.admin import Refused
from tests.kube.kserve_objects import CLASS, GROUP
from tests.kube.talk import Object, Talk

Answer = TypeVar("Answer")
PATIENCE_S = 30.0


def isvc(
    namespace: str,
    name: str = "clf",
    *,
    kind: str = "sklearn",
    scaler: str = "external",
    annotations: Mapping[str, str] | None = None,
    model: Mapping[str, Any] | None = None,
    canary: list[Object] | None = None,
    transformer: Object | None = None,
    **predictor: Any,
) -> Object:
    """Return an InferenceService; *kind* is its model format, *scaler* its class."""
    spec: Object = {
        "predictor": {
            "model": {"modelFormat": {"name": kind}, "name": "", **(model or {})},
            **predictor,
        }
    }
    if transformer is not None:
        spec["transformer"] = transformer
    if canary is not None:
        spec["canary"] = canary
    said = ({CLASS: scaler} if scaler else {}) | dict(annotations or {})
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "annotations": said},
        "spec": spec,
    }


def at(namespace: str, kind: str, name: str = "") -> str:
    """Return the path of the objects of a *kind* (plural) in *namespace*.

    >>> at("a", "pods", "b"), at("a", "deployments")
    ('/api/v1/namespaces/a/pods/b', '/apis/apps/v1/namespaces/a/deployments')
    """
    group = {
        "deployments": "/apis/apps/v1",
        "replicasets": "/apis/apps/v1",
        "inferenceservices": f"/apis/{GROUP}/v1beta1",
        "endpointslices": "/apis/discovery.k8s.io/v1",
        "horizontalpodautoscalers": "/apis/autoscaling/v2",
        "scaledobjects": "/apis/keda.sh/v1alpha1",
        "ingresses": "/apis/networking.k8s.io/v1",
        "httproutes": "/apis/gateway.networking.k8s.io/v1",
        "leases": "/apis/coordination.k8s.io/v1",
    }.get(kind, "/api/v1")
    return f"{group}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def scale(replicas: int) -> Object:
    """Return what is merged into a Deployment's /scale."""
    return {"spec": {"replicas": replicas}}


async def until(
    what: str,
    look: Callable[[], Awaitable[Answer]],
    patience_s: float = PATIENCE_S,
) -> Answer:
    """Ask *look* until its answer is true, and return it; no such object counts as no."""
    end = time.monotonic() + patience_s
    last: object = None
    while time.monotonic() < end:
        try:
            if answer := await look():
                return answer
            last = answer
        except (Refused, LookupError) as error:
            last = error
        await asyncio.sleep(0.02)
    raise TimeoutError(f"not in {patience_s:g} s: {what}; at last {last!r}")


async def play_ready(talk: Talk, namespace: str, ready: bool = True) -> int:
    """Say that each pod of *namespace* runs, as its kubelet would; return how many."""
    pods = (await talk.get(at(namespace, "pods")))["items"]
    for number, pod in enumerate(pods, 10):
        address = f"10.244.200.{number}"
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": kind, "status": "True" if ready else "False"}
                for kind in ("Ready", "ContainersReady")
            ],
        }
        path = at(namespace, "pods", pod["metadata"]["name"])
        await talk.patch(f"{path}/status", {"status": status})
    return len(pods)
