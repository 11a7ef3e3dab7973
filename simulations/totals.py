"""The figures that outcomes are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.cluster import Part
from simulations.outcome import Outcome
from simulations.report import Figures, NodeFigures
from simulations.run import End


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One outcome, over all its revisions; seconds of GPUs, or of replicas without."""

    requests: int
    answered: int
    cold: int
    """Found no ready replica."""
    delayed: int
    """Waited though one was ready."""
    rejected: int
    """Turned away, at once or after a while."""
    lost: int
    """Left, or lost with their replica."""
    starts: int
    failures: int
    most: int
    loading_s: float
    busy_s: float
    idle_s: float
    draining_s: float
    unused_s: float
    """Of nodes that may be added, so that they are paid, with no replica on it."""
    p50_s: float
    """Of the waits of all that were answered."""
    p95_s: float
    p99_s: float
    longest_s: float
    mean_wait_s: float
    retries: int
    """Attempts that were not answered, and that their clients made again."""
    unplaced: int
    """Starts that waited for a place on a node."""
    unplaced_max_s: float
    nodes: NodeFigures | None

    @property
    def cost_s(self) -> float:
        """All seconds that somebody pays for."""
        used = self.loading_s + self.busy_s + self.idle_s + self.draining_s
        return used + self.unused_s

    @property
    def cold_share(self) -> float:
        return self.cold / self.requests if self.requests else 0.0


def totals(outcome: Outcome) -> Totals:
    """Return the figures of an outcome."""
    sums = outcome.figures
    ends = _ends(sums)
    quantiles = dict(outcome.waits)
    nodes = outcome.nodes

    def seconds(part: Part) -> float:
        return sum(
            (each.gpus if outcome.gpus else 1) * dict(each.seconds)[part]
            for each in sums
        )

    unused_s = 0.0
    if nodes is not None and nodes.paid and outcome.gpus:
        unused_s = max(0.0, nodes.gpu_s - sum(map(seconds, Part)))
    return Totals(
        requests=sum(each.requests for each in sums),
        answered=ends[End.ANSWERED],
        cold=sum(each.cold for each in sums),
        delayed=sum(each.delayed for each in sums),
        rejected=ends[End.REJECTED] + ends[End.EXPIRED],
        lost=ends[End.LOST] + ends[End.LEFT],
        starts=sum(each.starts for each in sums),
        failures=sum(each.failures for each in sums),
        most=outcome.most,
        loading_s=seconds(Part.LOADING),
        busy_s=seconds(Part.BUSY),
        idle_s=seconds(Part.IDLE),
        draining_s=seconds(Part.DRAINING),
        unused_s=unused_s,
        p50_s=quantiles.get(0.5, 0.0),
        p95_s=quantiles.get(0.95, 0.0),
        p99_s=quantiles.get(0.99, 0.0),
        longest_s=quantiles.get(1.0, 0.0),
        mean_wait_s=outcome.mean_wait_s,
        retries=sum(each.retries for each in sums),
        unplaced=sum(each.unplaced for each in sums),
        unplaced_max_s=max((each.unplaced_max_s for each in sums), default=0.0),
        nodes=nodes,
    )


def _ends(sums: Sequence[Figures]) -> dict[End, int]:
    found = dict.fromkeys(End, 0)
    for each in sums:
        for end, count in each.ends:
            found[end] += count
    return found


def compared(ours: float, theirs: float, name: str) -> str:
    """Say in words how one cost is to that of *name*, which must not be 0.

    >>> compared(8.0, 10.0, "always on"), compared(2.0, 2.001, "Knative's")
    ('20% less than always on', "as much as Knative's")
    """
    less = 1 - ours / theirs
    share = f"{abs(less):.0%}"
    if share == "0%":
        return f"as much as {name}"
    return f"{share} {'less' if less > 0 else 'more'} than {name}"
