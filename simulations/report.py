"""A run in figures, and as a page of text that is the same for the same run."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import compress
from math import ceil, inf

from autoscaler.core.domain import Mode, RevisionKey
from simulations.cluster import Machine, Part
from simulations.run import End, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one revision's requests met and its replicas cost."""

    key: RevisionKey
    requests: int
    ends: tuple[tuple[End, int], ...]
    """How many ended in which way; they sum to *requests*."""
    cold: int
    """Requests that found no ready replica."""
    delayed: int
    """Requests that were held although a replica was ready."""
    wait_p50_s: float
    """Waits are from arrival to dispatch, of all that were answered, most being 0."""
    wait_p95_s: float
    wait_p99_s: float
    wait_max_s: float
    refusals: tuple[tuple[str, int], ...]
    """Why requests were turned away, and how many for each reason."""
    starts: int
    failures: int
    crashes: int
    most: int
    """Replicas alive at once, at most."""
    seconds: tuple[tuple[Part, float], ...]
    """Replica-seconds, from its place until gone, by what they were spent on."""
    unplaced: int = 0
    """Starts that waited for a place on a node."""
    unplaced_max_s: float = 0.0
    """The longest of those waits."""
    gpus: int = 0
    """Of a replica."""
    retries: int = 0
    """Attempts that were not answered, and that their clients made again."""

    @property
    def replica_s(self) -> float:
        """All replica-seconds."""
        return sum(seconds for _, seconds in self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """What nodes there were in a run."""

    most: int
    """Asked for and not gone, at most."""
    added: int
    """Asked for because starts found no place."""
    gpu_s: float
    """GPU-seconds of all nodes, from asked for until gone, used or not."""
    pulled: int
    """Images that came to a node."""
    paid: bool
    """Nodes may be added, so that they are what is paid, and not replicas alone."""


def figures(run: Run) -> tuple[Figures, ...]:
    """Sum a run up, one entry for each workload, in their order."""
    sources = run.requests.sources
    ends = Counter(zip(sources, run.ends, strict=True))
    # Requests that had not come when a run was stopped are none of it.
    for source in sources[bisect_right(run.requests.arrivals, run.until) :]:
        ends[source, End.PENDING] -= 1
    cold = Counter(compress(sources, run.cold))
    waits: dict[int, list[float]] = defaultdict(list)
    delayed: Counter[int] = Counter()
    answered = int(End.ANSWERED)
    for number, wait in run.waits.items():
        delayed[sources[number]] += not run.cold[number]
        if run.ends[number] == answered:
            waits[sources[number]].append(wait)
    machines: dict[RevisionKey, list[Machine]] = defaultdict(list)
    for machine in run.machines:
        machines[machine.key].append(machine)
    return tuple(
        _figures(
            run,
            load.key,
            ends=tuple((end, ends[source, end]) for end in End),
            cold=cold[source],
            delayed=delayed[source],
            waits=sorted(waits[source]),
            machines=machines[load.key],
        )
        for source, load in enumerate(run.requests.workloads)
    )


def node_figures(run: Run) -> NodeFigures | None:
    """Sum up the nodes of a run; None: replicas were placed nowhere."""
    if run.pool is None:
        return None
    nodes = run.pool.nodes
    return NodeFigures(
        most=most_at_once((node.asked, node.gone) for node in nodes),
        added=sum(1 for node in nodes if node.added),
        gpu_s=sum(
            node.gpus * (min(node.gone, run.until) - node.asked) for node in nodes
        ),
        pulled=sum(node.pulled for node in nodes),
        paid=run.pool.facts.grow,
    )


def quantile_of(ordered: Sequence[float], zeros: int, share: float) -> float:
    """Return the nearest-rank quantile of *zeros* zeros and *ordered* after them.

    >>> quantile_of([1.0, 2.0, 8.0], 7, 0.5), quantile_of([1.0, 2.0, 8.0], 7, 0.9)
    (0.0, 2.0)
    """
    rank = ceil(share * (zeros + len(ordered))) - 1
    return ordered[rank - zeros] if rank >= zeros else 0.0


def render(run: Run) -> str:
    """Write a run as text: figures, then each decision that changed something."""
    lines = [f"{run.until:g} s, seed {run.seed}"]
    nodes = node_figures(run)
    if nodes is not None:
        lines.append(
            f"at most {nodes.most} nodes, {nodes.added} of them added: "
            f"{nodes.gpu_s:.3f} GPU-seconds, {nodes.pulled} images pulled"
        )
    for each in figures(run):
        lines += ["", *_page(each)]
    lines += ["", *_decisions(run), "", *_scales(run), ""]
    return "\n".join(lines)


def _figures(
    run: Run,
    key: RevisionKey,
    *,
    ends: tuple[tuple[End, int], ...],
    cold: int,
    delayed: int,
    waits: Sequence[float],
    machines: Sequence[Machine],
) -> Figures:
    zeros = dict(ends)[End.ANSWERED] - len(waits)
    placed = [machine for machine in machines if machine.placed < inf]
    unplaced = [
        min(machine.placed, machine.gone, run.until) - machine.launched
        for machine in machines
        if machine.placed > machine.launched
    ]
    return Figures(
        key=key,
        requests=sum(count for _, count in ends),
        ends=ends,
        cold=cold,
        delayed=delayed,
        wait_p50_s=quantile_of(waits, zeros, 0.5),
        wait_p95_s=quantile_of(waits, zeros, 0.95),
        wait_p99_s=quantile_of(waits, zeros, 0.99),
        wait_max_s=waits[-1] if waits else 0.0,
        refusals=tuple(
            sorted((why, n) for (of, why), n in run.refusals.items() if of == key)
        ),
        starts=len(machines),
        failures=run.failures[key],
        crashes=run.crashes[key],
        most=most_at_once((machine.placed, machine.gone) for machine in placed),
        seconds=tuple(
            (part, sum(machine.seconds[part] for machine in machines)) for part in Part
        ),
        unplaced=len(unplaced),
        unplaced_max_s=max(unplaced, default=0.0),
        gpus=max((machine.gpus for machine in machines), default=0),
        retries=sum(n for (of, _), n in run.retries.items() if of == key),
    )


def most_at_once(lives: Iterator[tuple[float, float]]) -> int:
    """Return how many of *lives* there were at once, at most."""
    turns = []
    for begin, end in lives:
        turns += [(begin, 1), (end, -1)]
    alive = most = 0
    for _, turn in sorted(turns):
        alive += turn
        most = max(most, alive)
    return most


def _page(each: Figures) -> Iterator[str]:
    yield f"{each.key}"
    ends = ", ".join(f"{count} {end.name.lower()}" for end, count in each.ends if count)
    yield f"  requests         {each.requests}: {ends or 'none'}"
    for why, count in each.refusals:
        yield f"    {count} x {why}"
    if each.retries:
        yield f"    {each.retries} times a client tried again"
    yield f"  cold             {each.cold}, and {each.delayed} delayed"
    yield (
        f"  waits            p50 {each.wait_p50_s:.3f} s, p95 {each.wait_p95_s:.3f} s, "
        f"p99 {each.wait_p99_s:.3f} s, most {each.wait_max_s:.3f} s"
    )
    yield (
        f"  starts           {each.starts}: {each.failures} failed, "
        f"{each.crashes} crashed, at most {each.most} at once"
    )
    if each.unplaced:
        yield (
            f"    {each.unplaced} of them waited for a place on a node, at most "
            f"{each.unplaced_max_s:.3f} s"
        )
    parts = ", ".join(f"{s:.3f} {part.name.lower()}" for part, s in each.seconds)
    yield f"  replica-seconds  {each.replica_s:.3f}: {parts}"


def _decisions(run: Run) -> Iterator[str]:
    digest = sha256()
    shown: dict[RevisionKey, tuple[int, int, Mode]] = {}
    lines = []
    for at, made in run.decisions:
        decision = made.decision
        line = (
            f"  {at:10.3f} {made.key} ready {made.seen.ready} wanted "
            f"{decision.desired} ({decision.mode}) applied {made.replicas}: "
            f"{made.reason}"
        )
        digest.update(line.encode())
        now = (decision.desired, made.replicas, decision.mode)
        if shown.get(made.key) != now:
            shown[made.key] = now
            lines.append(line)
    number, mark = len(run.decisions), digest.hexdigest()[:16]
    yield f"{number} decisions, all together {mark}; those that differ:"
    yield from lines


def _scales(run: Run) -> Iterator[str]:
    yield f"{len(run.scales)} scale commands:"
    for at, scale in run.scales:
        stop = f", stop {', '.join(scale.stop)}" if scale.stop else ""
        yield f"  {at:10.3f} {scale.key} to {scale.replicas}{stop}: {scale.reason}"
