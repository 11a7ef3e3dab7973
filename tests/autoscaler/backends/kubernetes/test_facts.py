from __future__ import annotations

from autoscaler.backends.kubernetes.facts import Condition, Meta, Pod


def test_a_pod_is_ready_when_its_kubelet_says_so_and_not_before():
    pod = Pod(meta=Meta(name="iris"))
    scheduled = Condition(type="PodScheduled", status="True")

    assert not pod.ready
    for status, ready in (("True", True), ("False", False), ("Unknown", False)):
        said = (scheduled, Condition(type="Ready", status=status))
        assert Pod(meta=Meta(name="iris"), conditions=said).ready is ready
