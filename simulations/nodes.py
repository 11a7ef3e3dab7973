"""Nodes with GPUs: which there are, who is on them, and where somebody fits.

Placed as Kubernetes' scheduler does by default: where the image is there already, then
where most is free. A pool that may grow gets nodes one by one, and gives those beyond
its first ones back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from simulations.link import Link

_MOST = 1_000
_NODES = re.compile(r"(?:([0-9]{1,9})-)?([0-9]{1,9})x([0-9]{1,9})")


class NodesError(Exception):
    """A text that names no nodes: what, and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """What nodes there are, and may be."""

    count: int
    """There from the begin, and for ever."""
    most: int
    """As many there may be, if starts find no place on those there are."""
    gpus: int
    """Of each node."""
    bandwidth: float = inf
    """Bytes per second that a node loads, all loads on it together."""
    idle_s: float = 600.0
    """A node beyond the first goes when it has been empty for so long."""
    limit_s: float = 30.0
    """A start fails when it has waited so long for a place, and no node is coming."""

    def __str__(self) -> str:
        many = f"{self.count} to {self.most}" if self.grow else f"{self.count}"
        return (
            f"{many} node{'s' * (self.most > 1)} of {self.gpus} "
            f"GPU{'s' * (self.gpus > 1)}"
        )

    @property
    def grow(self) -> bool:
        """Say whether there may be more than there are in the begin."""
        return self.most > self.count


def parse(text: str) -> Nodes:
    """Return the nodes that *text* says; NodesError: it says none.

    >>> str(parse("2x4")), str(parse("0-3x1"))
    ('2 nodes of 4 GPUs', '0 to 3 nodes of 1 GPU')
    """
    found = _NODES.fullmatch(text)
    if found is None:
        raise NodesError(
            f"{text!r}: must be as 2x4, 2 nodes of 4 GPUs, or 0-3x4, none in the begin "
            "and up to 3 while starts need them"
        )
    most, gpus = int(found[2]), int(found[3])
    count = most if found[1] is None else int(found[1])
    if not 1 <= most <= _MOST:
        raise NodesError(f"{text!r}: must have 1 to {_MOST:,} nodes, has {most:,}")
    if not 1 <= gpus <= _MOST:
        raise NodesError(
            f"{text!r}: a node must have 1 to {_MOST:,} GPUs, has {gpus:,}"
        )
    if count > most:
        raise NodesError(f"{text!r}: must have no more nodes in the begin than at most")
    return Nodes(count=count, most=most, gpus=gpus)


class Node:
    """One node, and what is on it."""

    __slots__ = (
        "added",
        "asked",
        "due",
        "empty",
        "free",
        "gone",
        "gpus",
        "images",
        "link",
        "number",
        "pulled",
        "pulls",
        "replicas",
        "up",
    )

    def __init__(self, number: int, gpus: int, bandwidth: float, now: float) -> None:
        self.number = number
        self.added = False
        """Asked for because others had no room; given back when it is empty."""
        self.gpus = gpus
        self.free = gpus
        self.replicas = 0
        self.asked = now
        """Since when it is paid for."""
        self.up = inf
        """Since when replicas may be on it; inf: it is coming."""
        self.gone = inf
        self.empty = now
        """Since when nobody is on it, if nobody is."""
        self.images: set[str] = set()
        self.pulls: dict[str, object] = {}
        """What stands for each image that is on its way."""
        self.pulled = 0
        """Images that have come."""
        self.link = Link(bandwidth)
        self.due = inf
        """When the next load ends, as far as somebody has set an alarm."""


class Pool:
    """All nodes of a run."""

    def __init__(self, nodes: Nodes, now: float) -> None:
        self.facts = nodes
        self.nodes: list[Node] = []
        """Each there has been, by its number."""
        self.living: list[Node] = []
        """Those that are not gone, by their numbers."""
        for _ in range(nodes.count):
            node = self.add(now)
            node.up, node.added = now, False

    def add(self, now: float) -> Node:
        """Ask for one more node, which is coming until its *up* is set."""
        facts = self.facts
        node = Node(len(self.nodes) + 1, facts.gpus, facts.bandwidth, now)
        node.added = True
        self.nodes.append(node)
        self.living.append(node)
        return node

    @property
    def may_grow(self) -> bool:
        return len(self.living) < self.facts.most

    @property
    def coming(self) -> list[Node]:
        """Those that are not up yet, in the order in which they were asked for."""
        return [node for node in self.living if node.up == inf]

    def place(self, gpus: int, image: str) -> Node | None:
        """Put a replica on the best node that has room for it; None: none has."""
        best: Node | None = None
        rank = (False, -1, 0)
        for node in self.living:
            if node.up == inf or node.free < gpus:
                continue
            its = (image in node.images, node.free, -node.replicas)
            if best is None or its > rank:
                best, rank = node, its
        if best is not None:
            best.free -= gpus
            best.replicas += 1
        return best

    def leave(self, node: Node, gpus: int, now: float) -> None:
        """Take a replica off its node."""
        node.free += gpus
        node.replicas -= 1
        if not node.replicas:
            node.empty = now

    def spare(self, node: Node) -> bool:
        """Say whether a node is one to give back when it is empty for long enough."""
        return node.added and not node.replicas

    def remove(self, node: Node, now: float) -> None:
        """Give a node back, with all that was loaded onto it."""
        node.gone = now
        self.living.remove(node)
