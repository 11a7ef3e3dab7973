"""Requests that come, whatever happens to them: when, for how long, for whom."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import inf

from autoscaler.core.domain import RevisionKey
from simulations.chance import exponential, uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of one revision, one column for each fact about them."""

    key: RevisionKey
    arrivals: array[float]
    """When each comes, ascending, in seconds."""
    services: array[float]
    """How long each keeps its place at a replica, in seconds."""
    patience_s: float = inf
    """A client that has no whole answer by then leaves, or tries again."""
    retries: int = 0
    """How often a client that was not answered tries again, at most."""
    size: int = 0
    """Bytes of a request's body, held with it."""
    replayable: bool = False
    """Whether a request that a replica has seen may be sent to another one."""

    def __post_init__(self) -> None:
        if len(self.arrivals) != len(self.services):
            raise ValueError(
                f"{self.key}: {len(self.arrivals)} arrivals, but "
                f"{len(self.services)} service times"
            )
        before = -inf
        for number, at in enumerate(self.arrivals):
            if at < before:
                raise ValueError(
                    f"{self.key}: arrival {number} at {at} s, but the one before it "
                    f"came at {before} s: arrivals must ascend"
                )
            before = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of time with one mean rate."""

    length_s: float
    rate: float
    """Requests per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """All requests of a run in the order in which they come."""

    workloads: tuple[Workload, ...]
    arrivals: Sequence[float]
    sources: Sequence[int]
    """Which workload each belongs to."""
    services: Sequence[float]
    picks: Sequence[float]
    """The uniform that balances each."""
    numbers: Sequence[int]
    """Which request of its workload each is."""


def poisson(
    key: RevisionKey,
    phases: Sequence[Phase],
    *,
    service_s: float,
    until: float,
    seed: int,
) -> Workload:
    """Draw Poisson arrivals whose rate goes through *phases* again and again.

    Service times are exponential with a mean of *service_s*. One phase is a plain
    Poisson process; two with a rate of 0 in one of them are a square wave.

    >>> key = RevisionKey("default", "llm")
    >>> wave = (Phase(length_s=10, rate=5), Phase(length_s=50, rate=0))
    >>> load = poisson(key, wave, service_s=0.1, until=600, seed=1)
    >>> {int(at % 60) // 10 for at in load.arrivals}
    {0}
    """
    if all(phase.length_s * phase.rate <= 0 for phase in phases):
        raise ValueError(f"{key}: no phase has a length and a rate above 0")
    arrivals = array("d", _points(key, phases, until, seed))
    chances = uniforms(seed, f"{key}/service", len(arrivals))
    services = array("d", [exponential(service_s, chance) for chance in chances])
    return Workload(key=key, arrivals=arrivals, services=services)


def paced(
    key: RevisionKey,
    phases: Sequence[Phase],
    *,
    service_s: float,
    until: float,
) -> Workload:
    """Let requests come evenly through *phases*, with no chance in it.

    >>> key = RevisionKey("default", "llm")
    >>> wave = (Phase(length_s=2, rate=2), Phase(length_s=8, rate=0))
    >>> list(paced(key, wave, service_s=0.1, until=12).arrivals)
    [0.0, 0.5, 1.0, 1.5, 10.0, 10.5, 11.0, 11.5]
    """
    arrivals = array("d")
    begin = 0.0
    for phase in cycle(phases):
        if begin >= until:
            break
        count = round(phase.length_s * phase.rate)
        times = [begin + number / phase.rate for number in range(count)]
        arrivals.extend([at for at in times if at < until])
        begin += phase.length_s
    services = array("d", [service_s]) * len(arrivals)
    return Workload(key=key, arrivals=arrivals, services=services)


def merge(workloads: Sequence[Workload], *, seed: int) -> Requests:
    """Put requests of several revisions in one order; at one instant by workload.

    What a request draws is keyed by its number in its own workload, so that it draws
    the same whoever else is there.
    """
    picks = [
        uniforms(seed, f"{load.key}/pick", len(load.arrivals)) for load in workloads
    ]
    if len(workloads) == 1:
        load = workloads[0]
        count = len(load.arrivals)
        return Requests(
            workloads=(load,),
            arrivals=load.arrivals,
            sources=bytes(count),
            services=load.services,
            picks=picks[0],
            numbers=range(count),
        )
    order = sorted(
        (at, source, number)
        for source, load in enumerate(workloads)
        for number, at in enumerate(load.arrivals)
    )
    return Requests(
        workloads=tuple(workloads),
        arrivals=array("d", [at for at, _, _ in order]),
        sources=array("I", [source for _, source, _ in order]),
        services=array("d", [workloads[w].services[n] for _, w, n in order]),
        picks=array("d", [picks[source][number] for _, source, number in order]),
        numbers=array("I", [number for _, _, number in order]),
    )


def _points(
    key: RevisionKey, phases: Sequence[Phase], until: float, seed: int
) -> Iterator[float]:
    """Yield the arrivals: unit gaps of the mean count, mapped back to time."""
    begin, behind, block = 0.0, 0.0, 0
    wanted = 0.0
    chances: Sequence[float] = ()
    place = 0
    for phase in cycle(phases):
        ahead = behind + phase.length_s * phase.rate
        while wanted < ahead:
            if wanted > 0.0:
                at = begin + (wanted - behind) / phase.rate
                if at >= until:
                    return
                yield at
            if place == len(chances):
                chances, place = uniforms(seed, f"{key}/gap/{block}", 4096), 0
                block += 1
            wanted += exponential(1.0, chances[place])
            place += 1
        begin, behind = begin + phase.length_s, ahead
        if begin >= until:
            return
