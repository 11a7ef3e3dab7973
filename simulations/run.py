"""What a run leaves behind: one entry for each request, replica and decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from autoscaler.core.commands import Decided, Scale
from autoscaler.core.domain import RevisionKey
from simulations.cluster import Machine
from simulations.nodes import Pool
from simulations.workload import Requests


class End(IntEnum):
    """How a request ended."""

    PENDING = 0
    """It had not, when the run did."""
    ANSWERED = 1
    REJECTED = 2
    """At its arrival."""
    EXPIRED = 3
    """After it was held."""
    LEFT = 4
    """Its client lost patience."""
    LOST = 5
    """Its replica broke, and nobody else could have it."""


@dataclass(slots=True, kw_only=True)
class Run:
    """Written by the world while it runs, read by reports."""

    seed: int
    until: float
    requests: Requests
    ends: bytearray
    """An End for each request."""
    waits: dict[int, float]
    """Seconds held, for each request that was held and then dispatched."""
    cold: bytearray
    """1 for each request that found no ready replica."""
    refusals: Counter[tuple[RevisionKey, str]]
    """Why requests were turned away."""
    decisions: list[tuple[float, Decided]]
    scales: list[tuple[float, Scale]]
    machines: list[Machine]
    failures: Counter[RevisionKey]
    crashes: Counter[RevisionKey]
    retries: Counter[tuple[RevisionKey, End]] = field(default_factory=Counter)
    """Attempts after which the client tried again, by how they ended."""
    pool: Pool | None = None
    """The nodes there were; None: replicas were placed nowhere."""
