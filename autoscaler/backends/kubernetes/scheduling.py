"""What the scheduler says of pods that it finds no node for."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.backends.kubernetes.facts import Happened, Pod

COMING = ("TriggeredScaleUp", "Nominated")
"""Reasons of Events by which cluster-autoscaler and Karpenter say that a node comes."""

_NO_GPU = "Insufficient nvidia.com/gpu"


def unplaced(pod: Pod) -> str:
    """Return why *pod* has no node, in the scheduler's words; empty: it has, or may."""
    if pod.node:
        return ""
    for condition in pod.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message or condition.reason
    return ""


def node_for(pod: Pod, events: Iterable[Happened]) -> str:
    """Say what node is on its way for *pod* that has none; empty: none is.

    >>> from autoscaler.backends.kubernetes.facts import Meta
    >>> node_for(Pod(meta=Meta(name="iris"), nominated="node-1"), [])
    'room on node node-1, which others are leaving'
    """
    if pod.node:
        return ""
    if pod.nominated:
        return f"room on node {pod.nominated}, which others are leaving"
    if any(is_about(event, pod) and event.reason in COMING for event in events):
        return "a node that the cluster is adding"
    return ""


def wants_gpus(words: str) -> bool:
    """Say whether the scheduler lacked GPUs.

    >>> wants_gpus("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    True
    """
    return _NO_GPU in words


def is_about(event: Happened, pod: Pod) -> bool:
    """Say whether *event* is about *pod*."""
    return event.uid == pod.meta.uid and bool(event.uid)


def gpus_of(pod: Pod) -> int:
    """Return the GPUs that *pod* asks for."""
    return sum(container.needs.gpus for container in pod.containers)
