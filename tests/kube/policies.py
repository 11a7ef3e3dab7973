"""NetworkPolicies by their documents: whom they let connect to whom, and by which rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.kube.flows import Flow

Document = Mapping[str, Any]
NONE: Document = {}
SIDES = (("egress", "to"), ("ingress", "from"))


class Pod(NamedTuple):
    """Where a pod is, and what selects it."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """Who has which address; one that is no pod's is outside."""

    pods: dict[str, Pod] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)


class Rule(NamedTuple):
    """One port of one rule of a policy."""

    policy: str
    side: str
    number: int
    port: str

    def __str__(self) -> str:
        return f"{self.side} {self.number} of {self.policy}, {self.port}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policies say of one connection."""

    used: frozenset[Rule]
    refused: tuple[str, ...]
    """Sides of it that no rule lets through."""


def rules(policies: Iterable[Document]) -> Iterator[Rule]:
    """Walk every port of every rule."""
    for policy in policies:
        for side, _ in SIDES:
            for number, rule in enumerate(policy["spec"].get(side) or ()):
                for port in rule.get("ports") or [NONE]:
                    yield Rule(policy["metadata"]["name"], side, number, said(port))


def said(port: Document) -> str:
    """Return a port of a rule in words.

    >>> said({"protocol": "TCP", "port": 1, "endPort": 9}), said({})
    ('TCP 1-9', 'any port')
    """
    if "port" not in port:
        return "any port"
    last = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{port.get('protocol', 'TCP')} {port['port']}{last}"


def judge(policies: Iterable[Document], world: World, flow: Flow) -> Verdict:
    """Return which rules let *flow* through, on the side of each pod that is isolated."""
    used: set[Rule] = set()
    refused = []
    ends = flow.source, flow.target
    for (side, peers), own, other in zip(SIDES, ends, reversed(ends), strict=True):
        pod = world.pods.get(own)
        binding = [
            each for each in policies if pod and binds(each, pod, side.capitalize())
        ]
        found = {
            Rule(policy["metadata"]["name"], side, number, said(port))
            for policy in binding
            for number, rule in enumerate(policy["spec"].get(side) or ())
            if _peered(rule.get(peers), policy, world, other)
            for port in rule.get("ports") or [NONE]
            if _ported(port, flow)
        }
        used |= found
        if binding and not found:
            refused.append(f"{side} of {own}")
    return Verdict(frozenset(used), tuple(refused))


def binds(policy: Document, pod: Pod, kind: str) -> bool:
    """Say whether *policy* isolates *pod* on the side *kind*."""
    spec = policy["spec"]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and kind in spec["policyTypes"]
        and selects(spec["podSelector"], pod.labels)
    )


def selects(selector: Document, labels: Mapping[str, str]) -> bool:
    """Say whether a selector of matchLabels alone selects.

    >>> selects({}, {"a": "b"}), selects({"matchLabels": {"a": "c"}}, {"a": "b"})
    (True, False)
    """
    assert not selector.keys() - {"matchLabels"}, selector
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items()


def _peered(
    peers: list[Document] | None, policy: Document, world: World, address: str
) -> bool:
    if not peers:
        return True
    pod = world.pods.get(address)
    return pod is not None and any(_is(each, policy, world, pod) for each in peers)


def _is(peer: Document, policy: Document, world: World, pod: Pod) -> bool:
    if "namespaceSelector" in peer:
        there = selects(peer["namespaceSelector"], world.namespaces[pod.namespace])
    else:
        there = pod.namespace == policy["metadata"]["namespace"]
    return there and selects(peer.get("podSelector") or {}, pod.labels)


def _ported(port: Document, flow: Flow) -> bool:
    if "port" not in port:
        return True
    first, last = int(port["port"]), int(port.get("endPort", port["port"]))
    same = port.get("protocol", "TCP") == flow.protocol
    return bool(same and first <= flow.port <= last)
