"""What a backend for a cluster acts with, and on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.backends.kubernetes.allotment import Allotment
from autoscaler.backends.kubernetes.capacity import Capacity
from autoscaler.backends.kubernetes.managed import Managed
from autoscaler.backends.kubernetes.slices import Body, Standin
from autoscaler.backends.kubernetes.tended import Seen
from autoscaler.core.commands import Order, Status
from autoscaler.core.domain import (
    Budget,
    Entrance,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)


class Fleet(Protocol):
    """What is told to the loop."""

    def configure(self, key: RevisionKey, spec: RevisionSpec) -> None:
        """Know *key* by these settings."""

    def remove(self, key: RevisionKey) -> None:
        """Forget *key*."""

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        """Say all replicas of *key*."""

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        """Say that a start failed."""

    def standing(
        self, key: RevisionKey, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        """Say how activators stand, and what a start waits for."""

    def order(self, key: RevisionKey, order: Order) -> None:
        """Ask for something."""

    def lead(self, *, leading: bool) -> None:
        """Decide, or follow."""

    def rebudget(self, budget: Budget) -> None:
        """Say what room there is."""

    def status(self, key: RevisionKey) -> Status:
        """Return how *key* is."""


class Cluster(Protocol):
    """What is asked of what was watched."""

    def seen(self, managed: Managed) -> Seen | None:
        """Return what there is of a revision; None: no Deployment or no Service."""

    def exists(self, key: RevisionKey) -> bool:
        """Say whether its Deployment is there."""

    def standins(
        self, key: RevisionKey, entrances: tuple[Entrance, ...]
    ) -> tuple[Standin, ...]:
        """Return the activators that listen on all *entrances* of *key* and stay."""


class Scales(Protocol):
    """What writes replica counts."""

    def want(
        self,
        key: RevisionKey,
        replicas: int,
        *,
        expected_version: str | None,
        costs: tuple[str, ...],
    ) -> None:
        """Have *replicas*, unless the Deployment is not as *expected_version* was.

        It is the leader's wish: nothing is asked for once leadership has ended.
        """

    def wake(self, key: RevisionKey, expected_version: str) -> None:
        """Have one replica of what had none at *expected_version*, whoever leads."""

    def settled(self, key: RevisionKey, replicas: int) -> None:
        """Ask for nothing any more: it has *replicas*, as it is to have."""

    def drop(self, key: RevisionKey) -> None:
        """Ask for nothing any more, and break off what is being asked."""

    def forget(self, key: RevisionKey) -> None:
        """Know that a revision is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a backend acts with."""

    cluster: Cluster
    scales: Scales
    publish: Callable[[RevisionKey, str, tuple[Body, ...]], None]
    """Have these be our slices of a revision's Service."""
    remark: Callable[[Managed, StartFailure], None]
    """Say that a start failed, to whoever looks at the cluster."""
    keeps: Callable[[RevisionKey], str]
    """Why a revision must not go to zero by its load; empty: it may."""
    allotment: Allotment = field(default_factory=Allotment)
    capacity: Capacity = field(default_factory=Capacity)
