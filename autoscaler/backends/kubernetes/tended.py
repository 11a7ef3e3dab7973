"""One managed revision as it is looked after: commanded, seen and published."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf

from autoscaler.backends.kubernetes.facts import (
    Deployment,
    Happened,
    Pod,
    Service,
    Slice,
)
from autoscaler.backends.kubernetes.failures import Glimpse, Starts, Verdict
from autoscaler.backends.kubernetes.managed import Managed
from autoscaler.backends.kubernetes.pods import name_of, pictures, spared
from autoscaler.backends.kubernetes.redirect import STEADY_S, Redirect, Scene, Stance
from autoscaler.backends.kubernetes.slices import (
    Body,
    Standin,
    bodies,
    covered,
    families,
    is_ours,
    leads_to,
    listed,
)
from autoscaler.core.commands import Decided, Status
from autoscaler.core.domain import Entrance, Replica, RevisionSpec

ADOPTS_S = 5.0
"""A new revision whose Deployment lacks pods is taken as it is after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the cluster has of one revision."""

    deployment: Deployment
    service: Service
    pods: tuple[Pod, ...] = ()
    slices: tuple[Slice, ...] = ()
    """Of its Service: ours and the controller's."""
    events: tuple[Happened, ...] = ()
    """About its pods."""


@dataclass(slots=True)
class Count:
    """The newest replica count of ours: accepted, and maybe not watched yet."""

    replicas: int
    at: float
    watched: bool = False


class Tended:
    """Keep what is known of one revision between looks; no look does anything twice."""

    __slots__ = (
        "adopted",
        "attempts",
        "called",
        "desired",
        "due",
        "entrances",
        "excess",
        "key",
        "leaves",
        "left_at",
        "managed",
        "reached",
        "redirect",
        "refused",
        "rested",
        "shown",
        "since",
        "stance",
        "starts",
        "stopped",
        "vain",
        "wanted",
    )

    def __init__(self, managed: Managed, seen: Seen, now: float) -> None:
        self.key = managed.key
        self.managed = managed
        self.since = now
        self.due = inf
        """When to look at it again: an Agenda's."""
        self.adopted = False
        """The Fleet knows it."""
        self.rested = False
        """It was found at zero: nobody may have asked for it since."""
        self.called = False
        """Who only follows wants it awake."""
        self.leaves = False
        """It is being let go."""
        self.left_at = inf
        """When even clients that lag know that activators are listed no more."""
        self.vain = False
        """A start has failed for good since it is being let go."""
        self.wanted: int | None = None
        """Replicas that it was last commanded to have; None: not yet."""
        self.desired = seen.deployment.replicas
        self.excess = 0
        self.stopped: set[str] = set()
        """Pods that were told to stop and may still be there."""
        self.attempts: dict[str, int] = {}
        """Failed starts that were reported of pods that live on."""
        self.entrances: tuple[Entrance, ...] = ()
        self.refused = ""
        """Why no activator can stand in."""
        self.shown: tuple[Replica, ...] = ()
        self.starts = Starts()
        self.reached: set[str] = set()
        """Pods that an activator could connect to."""
        published = any(is_ours(each) and each.endpoints for each in seen.slices)
        self.redirect = Redirect(published=published)
        self.stance = Stance()

    def spec(self) -> RevisionSpec:
        """Return its settings, with what being let go and its ports make of them."""
        spec = replace(self.managed.spec, entrances=self.entrances)
        least = 1 if self.leaves or self.refused or self.managed.floor_why else 0
        scaling = spec.scaling
        if scaling.min_replicas < least:
            scaling = replace(scaling, min_replicas=least)
        if self.rested and scaling.initial_scale:
            scaling = replace(scaling, initial_scale=0)
        return spec if scaling is spec.scaling else replace(spec, scaling=scaling)

    def adoptable(self, seen: Seen, now: float) -> bool:
        """Say whether a new revision can be taken as it is.

        A Fleet takes what it is shown first for what there is to be, so pods that are
        about to be made should be there.
        """
        there = len(pictures(seen.deployment, seen.pods, seen.service))
        return there >= seen.deployment.replicas or now >= self.since + ADOPTS_S

    def adopt(self, seen: Seen) -> None:
        """Take it as it is: one that sleeps is not woken by who begins to look."""
        self.adopted = True
        self.rested = not seen.deployment.replicas

    def picture(self, seen: Seen) -> tuple[Replica, ...]:
        """Return the replicas to show to the Fleet."""
        there = {pod.meta.name for pod in seen.pods if not pod.meta.deleting}
        self.stopped &= there
        self.attempts = {k: n for k, n in self.attempts.items() if k in there}
        if self.wanted == seen.deployment.replicas:
            for name in spared(seen.deployment, seen.pods, self.stopped):
                # The ReplicaSet chose another: this one is to be used again.
                self.stopped.discard(name)
                self._again(name)
        return pictures(
            seen.deployment,
            seen.pods,
            seen.service,
            keep=self.stopped,
            attempts=self.attempts,
        )

    def commanded(self, replicas: int, stop: Collection[str]) -> None:
        """Know that it is to have *replicas*, and who is to go."""
        scaling = self.spec().scaling
        self.wanted = max(replicas, scaling.min_replicas)
        self.stopped.update(name_of(each) for each in stop)

    def reach(self, pod: str, *, reached: bool) -> bool:
        """Know whether activators can connect to *pod*; say whether that is news."""
        if reached == (pod in self.reached):
            return False
        (self.reached.add if reached else self.reached.discard)(pod)
        return True

    def led(self, seen: Seen | None, *, leading: bool, before: bool) -> None:
        """Take what is there for what others have commanded; a wake goes on.

        Only who led *before* has commanded what it wants; else it was only seen once.
        Who was told to stop is another replica from now on, for whoever decides anew.
        """
        for name in self.stopped:
            self._again(name)
        self.stopped.clear()
        asked = self.wanted if before and self.wanted else int(self.called)
        waking = 0 if seen and seen.deployment.replicas else asked
        self.wanted = waking or None if leading else None
        self.called = bool(waking) and not leading

    def judged(
        self,
        seen: Seen,
        status: Status,
        now: float,
        *,
        spoken_for: Collection[str],
        leading: bool,
    ) -> Verdict:
        """Say what of its starts has failed since the last time, and what they await.

        While requests are held activators try to connect to every ready pod that who
        leads tells them of.
        """
        pods = {pod.meta.name for pod in seen.pods if pod.ready}
        self.reached &= {pod.meta.name for pod in seen.pods}
        return self.starts.look(
            Glimpse(
                deployment=seen.deployment,
                pods=seen.pods,
                events=seen.events,
                keep=self.stopped,
                attempts=self.attempts,
                spoken_for=spoken_for,
                unreached=pods - self.reached if leading and status.held else (),
                commanded=bool(status.ready or status.starting),
                deadline_s=self.managed.spec.scaling.progress_deadline_s,
            ),
            now,
        )

    @property
    def unreached(self) -> bool:
        """Say whether a pod is ready for its kubelet that no activator has reached."""
        return any(
            each.ready and name_of(each.id) not in self.reached for each in self.shown
        )

    def failed(self, pod: str, *, final: bool) -> None:
        """Know that a start was reported as failed whose pod may live on."""
        self.vain |= self.leaves and final
        self._again(pod)

    def _again(self, pod: str) -> None:
        """Have the Fleet see another replica in *pod*, which it has done with."""
        self.attempts[pod] = self.attempts.get(pod, 0) + 1

    def decided(self, decided: Decided) -> bool:
        """Take in a decision; say whether how activators stand may change by it."""
        before = self.desired, self.excess
        self.desired = decided.replicas
        self.excess = decided.decision.excess_burst_capacity
        return before != (self.desired, self.excess)

    def stand(
        self, seen: Seen, standins: tuple[Standin, ...], ready: int, now: float
    ) -> tuple[Stance, tuple[Body, ...]]:
        """Return how activators are to stand, and our slices for that.

        *standins* have acknowledged its entrances, or stay where they are for as long
        as they are not heard; *ready* replicas are known to serve.
        """
        scaling = self.spec().scaling
        standins = tuple(
            each
            for each in standins
            if each.heard or leads_to(seen.slices, self.entrances, each)
        )
        wanted = bodies(seen.service, self.entrances, standins)
        scene = Scene(
            ready=ready,
            desired=self.desired,
            covered=covered(
                seen.slices,
                [port.name for port in seen.service.ports if port.protocol == "TCP"],
                families(seen.service, standins),
            ),
            activators=tuple(each.name for each in standins),
            listed=listed(seen.slices, wanted),
            burst=scaling.target_burst_capacity,
            excess=self.excess,
            min_replicas=scaling.min_replicas,
            grace_s=scaling.grace_s,
            leaves=self.leaves,
            vain=self.vain,
        )
        stance = self.stance = self.redirect.look(scene, now)
        shown = any(is_ours(each) and each.endpoints for each in seen.slices)
        leaving = self.leaves and stance.aside and not shown
        self.left_at = min(self.left_at, now + STEADY_S) if leaving else inf
        if stance.published:
            return stance, wanted
        gone = self.leaves or not self.entrances
        return stance, () if gone else bodies(seen.service, self.entrances, ())

    def left(self, now: float) -> bool:
        """Say whether nothing of ours is in its way any more."""
        return now >= self.left_at
