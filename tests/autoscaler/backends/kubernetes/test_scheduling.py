"""What is read of a pod that the scheduler finds no node for."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.backends.kubernetes.scheduling import (
    gpus_of,
    is_about,
    node_for,
    unplaced,
    wants_gpus,
)
from tests.autoscaler.backends.kubernetes.made import happened, pod
from tests.autoscaler.backends.kubernetes.made import unplaced as pending

WORDS = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def test_a_pod_without_a_node_is_unplaced_in_the_schedulers_words():
    assert unplaced(pending("a")) == WORDS
    assert unplaced(pending("a", node="node-1")) == ""
    assert unplaced(pod("a")) == ""


def test_a_node_is_on_its_way_when_somebody_has_promised_one():
    lost = pending("a")

    assert node_for(lost, [happened("a", "TriggeredScaleUp")]).startswith("a node")
    assert node_for(lost, [happened("a", "Nominated")]).startswith("a node")
    assert node_for(replace(lost, nominated="node-1"), []).startswith("room on node")
    assert node_for(lost, [happened("a", "NotTriggerScaleUp")]) == ""
    assert node_for(lost, [happened("b", "TriggeredScaleUp")]) == ""
    assert node_for(pod("a", node="n"), [happened("a", "TriggeredScaleUp")]) == ""


def test_an_event_about_nobody_is_about_no_pod():
    nobody = replace(happened("a", "Pulled"), uid="")
    bare = replace(pod("a"), meta=replace(pod("a").meta, uid=""))

    assert not is_about(nobody, bare)


def test_only_a_lack_of_gpus_is_a_lack_of_gpus():
    assert wants_gpus(f"{WORDS} preemption: 0/1 nodes are available")
    assert not wants_gpus("0/1 nodes are available: 1 Insufficient cpu.")
    assert gpus_of(pod("a", gpus=2)) == 2
    assert gpus_of(pod("a")) == 0
