"""cpu and memory of a revision's pods, from what metrics.k8s.io says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autoscaler.backends.base import Requested
from autoscaler.backends.kubernetes.facts import Pod
from autoscaler.core.domain import Metric
from autoscaler.quantity import amount

_LONGEST = 64
"""Characters of an amount."""
_MOST = 1 << 60


def percent(
    pods: Iterable[Pod], documents: Iterable[object], metric: Metric
) -> float | None:
    """Return what *pods* use on average, in % of their requests; None: not known.

    *documents* are PodMetrics. All pods count together, as a
    HorizontalPodAutoscaler counts them: one without a document makes it unknown, and
    so does a container without a request, for it has no 100 %.
    """
    used = asked = 0.0
    by_name = dict(filter(None, map(_named, documents)))
    for pod in pods:
        containers = by_name.get(pod.meta.name)
        if containers is None:
            return None
        for container in pod.containers:
            request = _request(container.requested, metric)
            use = containers.get(container.name)
            value = None if use is None else _use(use, metric)
            if not request or value is None:
                return None
            used += value
            asked += request
    return 100.0 * used / asked if asked else None


def _request(requested: Requested, metric: Metric) -> float:
    return requested.cpu if metric is Metric.CPU else float(requested.memory)


def _named(document: object) -> tuple[str, dict[str, Mapping[str, Any]]] | None:
    """Return a pod's name and its containers' use; None: no such document."""
    if not isinstance(document, Mapping):
        return None
    meta, containers = document.get("metadata"), document.get("containers")
    name = meta.get("name") if isinstance(meta, Mapping) else None
    if not isinstance(name, str) or not isinstance(containers, list):
        return None
    found: dict[str, Mapping[str, Any]] = {}
    for container in containers:
        if isinstance(container, Mapping):
            use = container.get("usage")
            if isinstance(use, Mapping):
                found[str(container.get("name"))] = use
    return name, found


def _use(use: Mapping[str, Any], metric: Metric) -> float | None:
    said = use.get("cpu" if metric is Metric.CPU else "memory")
    if isinstance(said, int) and not isinstance(said, bool):
        # The standard writes text; a number means the same.
        return float(said) if 0 <= said < _MOST else None
    if not isinstance(said, str) or len(said) > _LONGEST:
        return None
    value = amount(said)
    return None if value is None else float(value)
