"""The GPUs that a cluster still gives, learned from pods that it has none for.

Nobody here sees nodes. When a pod has waited in vain for a GPU, there are as many for
us as our pods have: that is the budget, until more are seen or some time has passed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf

from autoscaler.backends.kubernetes.facts import Happened, Pod
from autoscaler.backends.kubernetes.pods import replica_of
from autoscaler.backends.kubernetes.scheduling import (
    gpus_of,
    node_for,
    unplaced,
    wants_gpus,
)
from autoscaler.backends.kubernetes.symptoms import line
from autoscaler.core.domain import Budget, RevisionKey, StartFailure

UNSCHEDULABLE_S = 30.0
LASTS_S = 300.0
"""After this the cluster is asked again, by a pod."""
_ENDED = ("Failed", "Succeeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A pod that waited in vain for a GPU: the first of its revision's to go."""

    key: RevisionKey
    pod: str
    reason: str
    """In the scheduler's words."""
    final: bool
    """No other revision has a GPU that could become free."""

    def failure(self, attempt: int) -> StartFailure:
        """Return the failed start that this is, after so many of the pod's."""
        replica = replica_of(self.pod, attempt)
        return StartFailure(reason=self.reason, final=self.final, replica=replica)


@dataclass(slots=True)
class _Holding:
    """What one revision's pods have and want, by their uids."""

    bound: dict[str, int] = field(default_factory=dict)
    wanting: dict[str, _Wanting] = field(default_factory=dict)


@dataclass(slots=True)
class _Wanting:
    pod: str
    gpus: int
    words: str
    due: float
    """When it has waited in vain."""


class Capacity:
    """Follow the pods with GPUs of all revisions."""

    def __init__(
        self,
        *,
        patience_s: float = 60.0,
        unschedulable_s: float = UNSCHEDULABLE_S,
        lasts_s: float = LASTS_S,
    ) -> None:
        self._patience_s = patience_s
        self._unschedulable_s = unschedulable_s
        self._lasts_s = lasts_s
        self._holdings: dict[RevisionKey, _Holding] = {}
        self._limit: int | None = None
        self._until = inf

    @property
    def budget(self) -> Budget:
        """Return what there is for all revisions, for `Fleet.rebudget`."""
        return Budget(gpus=self._limit, patience_s=self._patience_s)

    @property
    def wake_at(self) -> float:
        """When `advance` is wanted next, if no pod changes."""
        waits = [
            each.due
            for holding in self._holdings.values()
            for each in holding.wanting.values()
        ]
        return min([*waits, self._until])

    def see(
        self,
        key: RevisionKey,
        pods: Iterable[Pod],
        events: Collection[Happened],
        now: float,
    ) -> None:
        """Know the living and terminating *pods* of *key*, and what *events* say."""
        before = self._holdings.pop(key, None) or _Holding()
        holding = _Holding()
        for pod in pods:
            gpus = gpus_of(pod)
            uid, words = pod.meta.uid, unplaced(pod)
            if not gpus or pod.phase in _ENDED:
                continue
            if pod.node:
                holding.bound[uid] = gpus
            elif pod.meta.deleting or not wants_gpus(words) or node_for(pod, events):
                continue
            else:
                known = before.wanting.get(uid)
                due = known.due if known else now + self._unschedulable_s
                holding.wanting[uid] = _Wanting(pod.meta.name, gpus, line(words), due)
        if holding.bound or holding.wanting:
            self._holdings[key] = holding
        went = before.bound.keys() - holding.bound.keys()
        self._lift_if_wrong(went={before.bound[uid] for uid in went})

    def advance(self, now: float) -> tuple[Lacking, ...]:
        """Learn what is due by *now*; return the pods to give up, after `rebudget`.

        One that lives on is returned again each time the budget would have run out.
        """
        if now >= self._until:
            self._lift()
        found = []
        for key, holding in self._holdings.items():
            for each in holding.wanting.values():
                if now < each.due:
                    continue
                each.due = now + self._lasts_s
                found.append(
                    Lacking(
                        key=key,
                        pod=each.pod,
                        reason=each.words,
                        final=not self._others_have(key, each.gpus),
                    )
                )
        if found:
            self._limit = self._bound()
            self._until = now + self._lasts_s
        return tuple(found)

    def spoken_for(self, key: RevisionKey) -> tuple[str, ...]:
        """Return the pods of *key* that wait for a GPU, for `Starts`."""
        holding = self._holdings.get(key)
        return tuple(w.pod for w in holding.wanting.values()) if holding else ()

    def _lift_if_wrong(self, *, went: Collection[int]) -> None:
        """Know of no limit any more if there is more than we knew, or may be.

        Where all pods need the same number of GPUs, what one leaves fits another and
        is below the limit; else it may be what makes a node have enough.
        """
        if self._limit is None:
            return
        sizes = {
            gpus
            for holding in self._holdings.values()
            for gpus in (*holding.bound.values(), *_sizes(holding))
        }
        if self._bound() > self._limit or (went and len(sizes.union(went)) > 1):
            self._lift()

    def _lift(self) -> None:
        self._limit = None
        self._until = inf

    def _bound(self) -> int:
        return sum(sum(each.bound.values()) for each in self._holdings.values())

    def _others_have(self, key: RevisionKey, gpus: int) -> bool:
        have = sum(
            sum(holding.bound.values())
            for other, holding in self._holdings.items()
            if other != key
        )
        return have >= gpus


def _sizes(holding: _Holding) -> list[int]:
    return [each.gpus for each in holding.wanting.values()]
