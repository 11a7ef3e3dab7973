"""What policies let through is read from them as Kubernetes means them."""

from __future__ import annotations

from tests.kube.flows import Flow
from tests.kube.policies import Pod, World, judge, rules

WORLD = World(
    pods={
        "10.0.0.1": Pod("system", {"app": "one"}),
        "10.0.0.2": Pod("system", {"app": "two"}),
        "10.0.1.1": Pod("other", {"app": "two"}),
    },
    namespaces={"system": {}, "other": {"managed": "true"}},
)


def policy(**spec):
    return {
        "metadata": {"name": "p", "namespace": "system"},
        "spec": {"podSelector": {"matchLabels": {"app": "one"}}, **spec},
    }


def refused(found, *flow):
    return bool(judge([found], WORLD, Flow(*flow)).refused)


def test_who_is_not_selected_is_free():
    closed = policy(policyTypes=["Ingress", "Egress"])

    assert not refused(closed, "10.0.0.2", "10.0.1.1", 80)
    assert refused(closed, "10.0.0.1", "10.0.1.1", 80)
    assert refused(closed, "10.0.0.2", "10.0.0.1", 80)
    assert not refused(policy(policyTypes=["Ingress"]), "10.0.0.1", "10.0.0.2", 80)


def test_a_pod_selector_is_of_the_policys_own_namespace():
    peer = {"podSelector": {"matchLabels": {"app": "two"}}}
    found = policy(policyTypes=["Egress"], egress=[{"to": [peer]}])

    assert not refused(found, "10.0.0.1", "10.0.0.2", 80)
    assert refused(found, "10.0.0.1", "10.0.1.1", 80)
    assert refused(found, "10.0.0.1", "192.0.2.1", 80)


def test_a_namespace_selector_is_of_its_labels():
    peer = {"namespaceSelector": {"matchLabels": {"managed": "true"}}}
    found = policy(policyTypes=["Ingress"], ingress=[{"from": [peer]}])

    assert not refused(found, "10.0.1.1", "10.0.0.1", 80)
    assert refused(found, "10.0.0.2", "10.0.0.1", 80)


def test_a_port_counts_with_its_protocol_and_each_that_was_used_is_told():
    ports = [
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": 1, "endPort": 99},
    ]
    found = policy(policyTypes=["Egress"], egress=[{"ports": ports}])

    one, other = rules([found])

    assert judge([found], WORLD, Flow("10.0.0.1", "1.1.1.1", 53, "UDP")).used == {one}
    assert judge([found], WORLD, Flow("10.0.0.1", "1.1.1.1", 53)).used == {other}
    assert refused(found, "10.0.0.1", "1.1.1.1", 100)
