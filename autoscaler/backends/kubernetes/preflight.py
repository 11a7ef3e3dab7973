"""What will go wrong with a revision that is managed, said before it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from autoscaler.backends.kubernetes.facts import (
    Container,
    Deployment,
    Meta,
    Writer,
)
from autoscaler.backends.kubernetes.managed import Finding, Managed
from autoscaler.backends.kubernetes.rivals import foreign

_MAIN = ("kserve-container", "transformer-container")
_SPARE_S = 2.0
"""The hold ends so long before the route does, for our answer to get through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is around a revision's Deployment."""

    namespace: Meta
    deployment: Deployment
    writers: tuple[Writer, ...] = ()
    """Those whose target is the Deployment."""
    rival: str = ""
    """Field manager that has written over our replica count; empty: nobody."""
    route_timeout_s: float = 0.0
    """Shortest limit of a route to its service; 0: none is known."""
    learned_s: float = 0.0
    """How long its starts have taken; 0: not known."""


class _Remark(NamedTuple):
    reason: str
    message: str
    warning: bool = True
    blocks: bool = False


def preflight(managed: Managed, seen: Seen) -> tuple[Finding, ...]:
    """Return what is in the way of *managed*; what blocks it comes first."""
    found = [each for check in _CHECKS for each in check(managed, seen)]
    found.sort(key=lambda each: not each.blocks)
    return tuple(
        Finding(
            about=managed.owner,
            key=managed.key,
            reason=each.reason,
            message=each.message,
            warning=each.warning,
            blocks=each.blocks,
        )
        for each in found
    )


def hold_limit(hold_limit_s: float, route_timeout_s: float) -> float:
    """Return how long to hold so that the client gets our answer, not its gateway's.

    >>> hold_limit(300.0, 60.0), hold_limit(300.0, 0.0), hold_limit(300.0, 1.0)
    (58.0, 300.0, 0.5)
    """
    if route_timeout_s <= 0:
        return hold_limit_s
    return min(hold_limit_s, max(route_timeout_s - _SPARE_S, route_timeout_s / 2))


def main_container(containers: Iterable[Container]) -> Container | None:
    """Return the container that serves, as KServe names it; else the first."""
    named = {each.name: each for each in reversed(tuple(containers))}
    for name in (*_MAIN, *reversed(named)):
        if name in named:
            return named[name]
    return None


def _writers(managed: Managed, seen: Seen) -> Iterator[_Remark]:
    for each in seen.writers:
        yield _Remark(
            "OtherScaler",
            f"{each.kind} {each.meta.name} scales Deployment {managed.key.name} too: "
            "delete it to have it scaled here; until then it is left alone",
            blocks=True,
        )
    if seen.rival:
        yield _Remark(
            "OtherScaler",
            f"{seen.rival} has set the replicas of Deployment {managed.key.name} after "
            "us: have it leave spec.replicas out, then scale it once by hand",
            blocks=True,
        )
        return
    for name in foreign(seen.deployment.managers):
        yield _Remark(
            "ReplicasWritten",
            f"{name} has written spec.replicas of Deployment {managed.key.name}: leave "
            "it out of what it applies, or each time it does will start or stop pods",
        )


def _times(managed: Managed, seen: Seen) -> Iterator[_Remark]:
    """Compare starts with how long the first request after a sleep can wait."""
    limit, learned = seen.route_timeout_s, seen.learned_s
    ours = managed.spec.gate.hold_limit_s
    begin = f"a start of {managed.key.name} takes {learned:.0f} s"
    if learned <= hold_limit(ours, limit):
        return
    if hold_limit(math.inf, limit) <= ours:
        yield _Remark(
            "RouteTimeout",
            f"{begin} and its route ends a request after {limit:g} s: set a longer "
            "timeout, or the first request after a sleep fails",
        )
    else:
        yield _Remark(
            "StartTooLong",
            f"{begin} and a request is held {ours:g} s at most: set a longer "
            "fromzero.dev/hold-limit, or the first request after a sleep fails",
        )


def _ending(managed: Managed, seen: Seen) -> Iterator[_Remark]:
    container = main_container(seen.deployment.containers)
    if container is not None and not container.pre_stop:
        yield _Remark(
            "NoPreStop",
            f"container {container.name} of {managed.key.name} has no "
            "lifecycle.preStop: it refuses connections as soon as it is told to stop, "
            "before clients know; set lifecycle.preStop.sleep to 15 s",
        )
    grace, timeout = seen.deployment.grace_s, managed.spec.gate.timeout_s
    if timeout and grace < timeout:
        yield _Remark(
            "GraceTooShort",
            f"terminationGracePeriodSeconds = {grace:g} of {managed.key.name}, must "
            f"be at least its timeout of {timeout:g} s, or requests are cut off when a "
            "pod stops",
        )


def _meshes(managed: Managed, seen: Seen) -> Iterator[_Remark]:
    for mesh, said in (("Istio", _istio(seen)), ("Linkerd", _linkerd(seen))):
        if said:
            yield _Remark(
                "Mesh",
                f"the pods of {managed.key.name} have a sidecar of {mesh} ({said}): "
                "where it insists on mTLS it refuses the activators; let it be "
                "permissive for the model's ports, or leave the sidecar out",
            )


def _istio(seen: Seen) -> str:
    """Return what says that Istio's sidecar is there; empty: nothing."""
    deployment, space = seen.deployment, seen.namespace
    if any(each.name == "istio-proxy" for each in deployment.containers):
        return "container istio-proxy"
    key = "sidecar.istio.io/inject"
    wish = deployment.labels.get(key) or deployment.annotations.get(key)
    if wish is not None:
        return f"{key} = {wish[:20]}" if wish.lower() == "true" else ""
    if space.labels.get("istio-injection") == "enabled":
        return f"istio-injection = enabled on namespace {space.name}"
    if space.labels.get("istio.io/rev"):
        return f"istio.io/rev on namespace {space.name}"
    return ""


def _linkerd(seen: Seen) -> str:
    """Return what says that Linkerd's sidecar is there; empty: nothing."""
    deployment, space = seen.deployment, seen.namespace
    if any(each.name == "linkerd-proxy" for each in deployment.containers):
        return "container linkerd-proxy"
    key = "linkerd.io/inject"
    for where, at in (
        (deployment.annotations, ""),
        (space.annotations, " on namespace"),
    ):
        wish = where.get(key)
        if wish is not None:
            return f"{key} = {wish[:20]}{at}" if wish in ("enabled", "ingress") else ""
    return ""


def _limits(managed: Managed, seen: Seen) -> Iterator[_Remark]:
    limit = managed.spec.gate.container_concurrency
    if limit:
        yield _Remark(
            "ContainerConcurrency",
            f"containerConcurrency = {limit} of {managed.key.name} binds what comes "
            "through the activators; on the Service path, what comes while they stand "
            "aside is not bound",
            warning=False,
        )


_CHECKS: tuple[Callable[[Managed, Seen], Iterator[_Remark]], ...] = (
    _writers,
    _times,
    _ending,
    _meshes,
    _limits,
)
