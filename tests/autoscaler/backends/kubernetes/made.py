"""Facts of a small cluster, made by hand."""

from __future__ import annotations

from autoscaler.backends.kubernetes.facts import (
    Condition,
    Container,
    ContainerState,
    Deployment,
    Happened,
    Meta,
    Owner,
    Pod,
    Service,
    ServicePort,
)
from autoscaler.core.domain import Needs

NAME = "iris-predictor"
SERVING = (Container(name="kserve-container", ports=(("http1", 8080),)),)


def deployment(replicas: int = 1, **kw) -> Deployment:
    kw.setdefault("selector", {"app": f"isvc.{NAME}"})
    return Deployment(meta=Meta(namespace="prod", name=NAME), replicas=replicas, **kw)


def pod(
    name: str = "a",
    *,
    rs: str = "old",
    created: float = 0.0,
    ready: bool = False,
    deleting: bool = False,
    gpus: int = 0,
    **kw,
) -> Pod:
    containers = kw.pop("containers", SERVING)
    if gpus:
        containers = (Container(name="kserve-container", needs=Needs(gpus=gpus)),)
    conditions = kw.pop("conditions", ())
    if ready:
        conditions = (*conditions, Condition(type="Ready", status="True"))
    kw.setdefault("ips", ("10.0.0.7",))
    return Pod(
        meta=Meta(
            namespace="prod",
            name=name,
            uid=f"uid-{name}",
            labels={"app": f"isvc.{NAME}", "pod-template-hash": rs},
            owner=Owner("ReplicaSet", f"{NAME}-{rs}", f"uid-{rs}"),
            created=created,
            deleting=deleting,
        ),
        containers=containers,
        conditions=conditions,
        **kw,
    )


def unplaced(name: str = "a", *, words: str = "", **kw) -> Pod:
    """Return a pod that the scheduler found no node for."""
    words = words or "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    no = Condition(
        type="PodScheduled", status="False", reason="Unschedulable", message=words
    )
    return pod(name, conditions=(no,), ips=(), **kw)


def state(name: str = "kserve-container", **kw) -> ContainerState:
    return ContainerState(name=name, **kw)


def service(*ports: ServicePort, **kw) -> Service:
    ports = ports or (ServicePort(name="http1", port=80, target="http1"),)
    return Service(
        meta=Meta(namespace="prod", name=NAME, uid="uid-service"), ports=ports, **kw
    )


def happened(name: str, reason: str, message: str = "", at: float = 0.0) -> Happened:
    return Happened(
        meta=Meta(namespace="prod", name=f"{name}.{reason}.{at}"),
        kind="Pod",
        name=name,
        uid=f"uid-{name}",
        reason=reason,
        message=message,
        warning=False,
        at=at,
    )
