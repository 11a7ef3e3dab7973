"""A Deployment's pods as the replicas that a Fleet is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from autoscaler.backends.kubernetes.facts import (
    Deployment,
    Pod,
    Service,
    ServicePort,
)
from autoscaler.backends.kubernetes.ports import resolve, tunnelled
from autoscaler.core.domain import Replica

HASH = "pod-template-hash"
_ENDED = ("Failed", "Succeeded")
NO_ATTEMPTS: Mapping[str, int] = MappingProxyType({})
_ATTEMPT = "~"
"""No name in a cluster has it."""


def living(deployment: Deployment, pods: Iterable[Pod]) -> list[Pod]:
    """Return those of *pods* that a ReplicaSet of *deployment* has and keeps."""
    return [
        pod
        for pod in pods
        if _is_of(deployment, pod) and not pod.meta.deleting and pod.phase not in _ENDED
    ]


def pictures(
    deployment: Deployment,
    pods: Iterable[Pod],
    service: Service,
    *,
    keep: Collection[str] = (),
    attempts: Mapping[str, int] = NO_ATTEMPTS,
) -> tuple[Replica, ...]:
    """Return the replicas to show of *deployment*, never more than it is to have.

    While a rollout has more pods, a ready one is shown before one that starts, then
    one of the newest ReplicaSet, then the oldest. Pods in *keep* were told to stop:
    they are shown beside those while they live. *attempts* counts the failed starts
    that were reported of pods that live on: each makes another replica of them.
    """
    there = living(deployment, pods)
    shown = chosen(deployment, there, keep)
    shown += [pod for pod in there if pod.meta.name in keep]
    shown.sort(key=lambda pod: (pod.meta.created, pod.meta.name))
    return tuple(
        _replica(pod, service, attempts.get(pod.meta.name, 0)) for pod in shown
    )


def chosen(
    deployment: Deployment, pods: Iterable[Pod], keep: Collection[str] = ()
) -> list[Pod]:
    """Return the living pods that stand for the replicas there are to be."""
    there = living(deployment, pods)
    newest = _newest(there)
    staying = [pod for pod in there if pod.meta.name not in keep]
    staying.sort(
        key=lambda pod: (
            not pod.ready,
            pod.meta.labels.get(HASH) != newest,
            pod.meta.created,
            pod.meta.name,
        )
    )
    return staying[: deployment.replicas]


def spared(
    deployment: Deployment, pods: Iterable[Pod], stopped: Collection[str]
) -> tuple[str, ...]:
    """Return those told to stop that live on in the place of others that went.

    A ReplicaSet chooses by itself who goes. To be asked only once the Deployment's
    watched number is the one that was commanded with them.
    """
    there = living(deployment, pods)
    if len(there) > deployment.replicas:
        return ()
    return tuple(pod.meta.name for pod in there if pod.meta.name in stopped)


def deployment_of(pod: Pod) -> str:
    """Return the name of the Deployment whose ReplicaSet has *pod*; empty: none has.

    >>> from autoscaler.backends.kubernetes.facts import Meta, Owner
    >>> owner = Owner("ReplicaSet", "iris-predictor-6c9f", "u-1")
    >>> labels = {"pod-template-hash": "6c9f"}
    >>> deployment_of(Pod(meta=Meta(name="iris-x", labels=labels, owner=owner)))
    'iris-predictor'
    """
    owner, its = pod.meta.owner, pod.meta.labels.get(HASH, "")
    if owner is None or owner.kind != "ReplicaSet" or not its:
        return ""
    return owner.name.removesuffix(f"-{its}")


def name_of(replica: str) -> str:
    """Return the name of the pod that a replica is.

    >>> name_of("iris-predictor-6c9f-x2k4p~2")
    'iris-predictor-6c9f-x2k4p'
    """
    return replica.partition(_ATTEMPT)[0]


def replica_of(pod: str, attempt: int) -> str:
    """Return the id of the replica that a pod is after *attempt* failed starts.

    >>> replica_of("iris", 0), replica_of("iris", 2)
    ('iris', 'iris~2')
    """
    return f"{pod}{_ATTEMPT}{attempt}" if attempt else pod


def main_port(service: Service) -> ServicePort | None:
    """Return the port for those who name none: the first that speaks HTTP/1.1."""
    ports = [port for port in service.ports if port.protocol == "TCP"]
    plain = (port for port in ports if not tunnelled(port.name, port.app_protocol))
    return next(plain, ports[0] if ports else None)


def address_of(pod: Pod, families: tuple[str, ...] = ("IPv4",)) -> str:
    """Return a pod's address in the first of *families* that it has; or any, or "".

    >>> from autoscaler.backends.kubernetes.facts import Meta
    >>> address_of(Pod(meta=Meta(name="iris"), ips=("10.0.0.7", "fd00::7")), ("IPv6",))
    'fd00::7'
    """
    for family in families:
        for ip in pod.ips:
            if (":" in ip) == (family == "IPv6"):
                return ip
    return pod.ips[0] if pod.ips else ""


def _is_of(deployment: Deployment, pod: Pod) -> bool:
    meta, owner = pod.meta, pod.meta.owner
    if owner is None or owner.kind != "ReplicaSet" or not deployment.selector:
        return False
    if meta.namespace != deployment.meta.namespace:
        return False
    # Selectors of two Deployments may overlap; names of their ReplicaSets cannot.
    if owner.name != f"{deployment.meta.name}-{meta.labels.get(HASH, '')}":
        return False
    return all(
        meta.labels.get(label) == value for label, value in deployment.selector.items()
    )


def _newest(pods: Iterable[Pod]) -> str | None:
    """Return the hash of the ReplicaSet that made the newest pod."""
    newest = max(pods, key=lambda p: (p.meta.created, p.meta.name), default=None)
    return newest.meta.labels.get(HASH) if newest else None


def _replica(pod: Pod, service: Service, attempt: int) -> Replica:
    host = address_of(pod, service.families)
    main = main_port(service)
    ports = tuple(
        (port.name, number)
        for port in service.ports
        if (number := resolve(pod.containers, port.target))
    )
    return Replica(
        id=replica_of(pod.meta.name, attempt),
        host=host,
        port=resolve(pod.containers, main.target) if main and host else 0,
        ports=ports if host else (),
        ready=pod.ready,
    )
