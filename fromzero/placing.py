"""Nodes to simulate on: what --nodes and the options beside it say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from autoscaler.core.domain import RevisionKey, RevisionSpec
from fromzero.errors import CommandError
from fromzero.traces import span
from simulations.coldstart import NODE, ColdStart, describe, in_bytes, size
from simulations.nodes import Nodes, NodesError, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """The options as they were given; empty: not."""

    text: str = ""
    bandwidth: str = ""
    idle: str = ""

    def nodes(
        self, start: ColdStart, specs: Mapping[RevisionKey, RevisionSpec]
    ) -> Nodes | None:
        """Return the nodes on which *specs* start so; None: there are none to share."""
        sized = [phase.name for phase in start if phase.size]
        if not self.text:
            self._refuse_without_nodes(start, sized)
            return None
        try:
            found = parse(self.text)
        except NodesError as error:
            raise CommandError(f"--nodes {error}") from error
        for key, spec in specs.items():
            if spec.needs.gpus > found.gpus:
                raise CommandError(
                    f"--nodes {self.text!r}: {key} needs {spec.needs.gpus} GPUs, but a "
                    f"node has {found.gpus}"
                )
        if found.grow and not any(phase.name == NODE for phase in start):
            raise CommandError(
                f"--nodes {self.text!r}: how long does a node take that is added? Say "
                "it in --cold-start, as node(4m)"
            )
        if self.idle:
            if not found.grow:
                raise CommandError(
                    f"--node-idle {self.idle!r}: no node is ever added to "
                    f"{self.text!r}, so none goes: needs --nodes as 1-2x4"
                )
            found = replace(found, idle_s=span(self.idle))
        return replace(found, bandwidth=self._bandwidth(sized))

    def _refuse_without_nodes(self, start: ColdStart, sized: Sequence[str]) -> None:
        if sized:
            raise CommandError(
                f"--cold-start {describe(start)!r}: it is nodes that load bytes: say "
                "which there are (--nodes 2x4) and how fast (--node-bandwidth 1GB/s)"
            )
        for name, value in (
            ("--node-bandwidth", self.bandwidth),
            ("--node-idle", self.idle),
        ):
            if value:
                raise CommandError(f"{name} {value!r}: needs --nodes, as 2x4")

    def _bandwidth(self, sized: Sequence[str]) -> float:
        given = self.bandwidth
        if not given and not sized:
            return inf
        if not given:
            raise CommandError(
                f"--cold-start: how fast does a node load {' and '.join(sized)}? Say "
                "it by --node-bandwidth, as 1GB/s"
            )
        found = size(given.removesuffix("/s")) if given.endswith("/s") else None
        if found is None:
            raise CommandError(
                f"--node-bandwidth {given!r}: must be bytes per second, as 1GB/s "
                "(1 Gbit/s is 125MB/s)"
            )
        if not sized:
            raise CommandError(
                f"--node-bandwidth {given!r}: nothing is loaded by it: --cold-start "
                "must have a size, as weights(15GB)"
            )
        return found


def remarks(nodes: Nodes | None, start: ColdStart) -> Iterator[str]:
    """Yield what is worth a word of the nodes of a run."""
    if nodes is None:
        return
    shared = ""
    if nodes.bandwidth < inf:
        shared = f"; all that a node loads shares {in_bytes(nodes.bandwidth)}/s"
    yield f"replicas are placed on {nodes}{shared}"
    if not nodes.grow and any(phase.name == NODE for phase in start):
        yield "no node is ever added, so nobody waits for the phase node"
