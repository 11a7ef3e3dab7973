"""What the Fleet decides, made true in a cluster; what the cluster has, told to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from math import inf

from autoscaler.backends.base import Launch
from autoscaler.backends.kubernetes.allotment import Refused
from autoscaler.backends.kubernetes.facts import Slice
from autoscaler.backends.kubernetes.hands import Fleet, Hands
from autoscaler.backends.kubernetes.managed import Managed
from autoscaler.backends.kubernetes.pods import name_of
from autoscaler.backends.kubernetes.slices import changes, is_ours
from autoscaler.backends.kubernetes.tended import Count, Seen, Tended
from autoscaler.clock import Clock, monotonic
from autoscaler.core.agenda import Agenda
from autoscaler.core.commands import Decided, Order
from autoscaler.core.domain import Replica, RevisionKey, StartFailure
from autoscaler.core.messages import Lost, Ready, Sample
from autoscaler.events import Event

_log = logging.getLogger(__name__)

_LOOKS_S = 30.0
"""Every revision is looked at that often, whatever is missed."""
_KEPT_S = 2.0
"""What is kept awake because of its load is looked at that often."""
_OURS_S = 10.0
"""A count of ours that was accepted and was not watched by then was written over."""


class KubernetesBackend:
    """Look after every managed revision; a Backend for the loop that leads or follows.

    Nothing here waits: what is due is done in `tend`, which the driver calls when
    `stirred` is set or `wake_at` has come.
    """

    def __init__(self, loop: Fleet, hands: Hands, clock: Clock = monotonic) -> None:
        self._loop = loop
        self._hands = hands
        self._clock = clock
        self._tended: dict[RevisionKey, Tended] = {}
        self._counts: dict[RevisionKey, Count] = {}
        self._agenda: Agenda[Tended] = Agenda()
        self._dirty: dict[RevisionKey, None] = {}
        self._leading = False
        self._released: set[RevisionKey] = set()
        self._budget = hands.capacity.budget
        self.stirred = asyncio.Event()

    # What the loop asks.

    def configure(self, key: RevisionKey, launch: Launch) -> None:
        """Nothing to know: a Deployment says how its replicas are started."""

    def remove(self, key: RevisionKey) -> None:
        """Nothing to stop: who lets go of a revision leaves it running."""

    def scale(self, key: RevisionKey, replicas: int, stop: tuple[str, ...]) -> None:
        tended = self._tended.get(key)
        if tended is not None:
            if self._leading:
                tended.commanded(replicas, stop)
            else:
                tended.called = True
            self.look_at(key)

    def ready(self, key: RevisionKey, replica: str) -> None:
        self.look_at(key)

    # What happens.

    @property
    def wake_at(self) -> float:
        """When `tend` is wanted, if nothing happens before."""
        return min(self._agenda.wake_at, self._hands.capacity.wake_at)

    @property
    def keys(self) -> Iterable[RevisionKey]:
        """All that is looked after, what is being let go too."""
        return self._tended

    def managed(self, key: RevisionKey) -> Managed | None:
        """Return a revision as it is known."""
        tended = self._tended.get(key)
        return None if tended is None else tended.managed

    def shown(self, key: RevisionKey) -> tuple[Replica, ...]:
        """Return the replicas that the Fleet was last shown."""
        tended = self._tended.get(key)
        return () if tended is None else tended.shown

    def refusals(self) -> dict[RevisionKey, str]:
        """Return why no activator can stand in for whom."""
        return {key: each.refused for key, each in self._tended.items() if each.refused}

    def look_at(self, key: RevisionKey) -> None:
        """Look at *key* soon: something about it changed."""
        if key in self._tended:
            self._dirty[key] = None
            self.stirred.set()

    def look_at_all(self) -> None:
        """Look at everything soon."""
        self._dirty = dict.fromkeys(self._tended)
        self.stirred.set()

    def saw(self, event: Event) -> None:
        """Take what happened in the loop."""
        match event:
            case Decided(key=key):
                tended = self._tended.get(key)
                if tended is not None and tended.decided(event):
                    self.look_at(key)
            case Ready(key=key, replica=replica):
                self._reached(key, replica, reached=True)
            case Lost(key=key, replica=replica):
                self._reached(key, replica, reached=False)
            case Sample(key=key, replicas=replicas):
                for each in replicas:
                    if each.ready is not None:
                        self._reached(key, each.replica, reached=each.ready)
                tended = self._tended.get(key)
                if event.held and tended is not None and tended.unreached:
                    # How long that has been so counts from here.
                    self.look_at(key)
            case _:
                pass

    def _reached(self, key: RevisionKey, replica: str, *, reached: bool) -> None:
        tended = self._tended.get(key)
        if tended is not None and tended.reach(name_of(replica), reached=reached):
            self.look_at(key)

    def accepted(self, key: RevisionKey, replicas: int) -> None:
        """Know that the API server took a count of ours."""
        self._counts[key] = Count(replicas, self._clock())

    def refused(self, key: RevisionKey, reason: str) -> None:
        """Know that the API server will not take a count, however often it is asked."""
        tended = self._tended.get(key)
        if tended is None:
            return
        failure = StartFailure(reason=reason, final=True)
        self._hands.remark(tended.managed, failure)
        seen = self._hands.cluster.seen(tended.managed)
        if seen is not None and (tended.wanted or 0) > seen.deployment.replicas:
            self._loop.failed(key, failure)
            self.look_at(key)

    def lead(self, *, leading: bool) -> None:
        """Decide and publish from now on, or follow."""
        before, self._leading = self._leading, False
        self._loop.lead(leading=False)
        for key, tended in self._tended.items():
            self._hands.scales.drop(key)
            seen = self._hands.cluster.seen(tended.managed)
            tended.led(seen, leading=leading, before=before)
            if seen and seen.deployment.replicas and tended.adopted:
                self._show(tended, tended.picture(seen))
        if leading:
            self._leading = True
            self._loop.lead(leading=True)
        self.look_at_all()

    @property
    def released(self) -> frozenset[RevisionKey]:
        """Return what was let go whatever a census says."""
        return frozenset(self._released)

    def release(self, key: RevisionKey) -> None:
        """Let go of *key*, until a census has it no more and then has it again."""
        self._released.add(key)
        tended = self._tended.get(key)
        if tended is not None:
            self._let_go(tended)

    def recorded(self, front: RevisionKey, slices: Iterable[Slice]) -> None:
        """Know the ports of a Service by all its *slices*, managed or not."""
        now, leads = self._clock(), self._leading
        self._hands.allotment.learn(front, slices, now, leads=leads)

    def counted(self, namespace: str, managed: Iterable[Managed]) -> None:
        """Take a census of *namespace*: what is managed there, and nothing else."""
        every = {each.key: each for each in managed}
        gone = {k for k in self._released if k.namespace == namespace} - every.keys()
        self._released -= gone
        wanted = {k: each for k, each in every.items() if k not in self._released}
        for key, each in wanted.items():
            tended = self._tended.get(key)
            if tended is None:
                self._begin(each)
            elif tended.managed != each or tended.leaves:
                if tended.managed.front != each.front:
                    self._hands.allotment.free(tended.managed.front, self._clock())
                tended.managed, tended.leaves = each, False
                self._configure(tended)
        for key, tended in tuple(self._tended.items()):
            if key.namespace == namespace and key not in wanted:
                self._let_go(tended)

    def tend(self) -> None:
        """Do all that is due."""
        self.stirred.clear()
        now = self._clock()
        keys, self._dirty = self._dirty, {}
        while (due := self._agenda.pop(now)) is not None:
            keys[due.key] = None
        for tended in filter(None, map(self._tended.get, keys)):
            self._agenda.put(tended, now + _LOOKS_S)
            try:
                self._look(tended, now)
            except Exception:  # One revision's fault is not another's.
                _log.exception("failed to look after revision=%s", tended.key)
        self._ration(now)

    def _ration(self, now: float) -> None:
        """Say what GPUs there are; give up who waits for one in vain."""
        lacking = self._hands.capacity.advance(now)
        budget = self._hands.capacity.budget
        if budget != self._budget:
            self._budget = budget
            self._loop.rebudget(budget)
        for each in lacking:
            tended = self._tended.get(each.key)
            if tended is not None:
                failure = each.failure(tended.attempts.get(each.pod, 0))
                self._hands.remark(tended.managed, failure)
                tended.failed(each.pod, final=each.final)
                self._loop.failed(each.key, failure)
                self.look_at(each.key)

    def _begin(self, managed: Managed) -> None:
        seen = self._hands.cluster.seen(managed)
        if seen is None:
            return
        self._tended[managed.key] = Tended(managed, seen, self._clock())
        self.look_at(managed.key)

    def _allot(self, tended: Tended, seen: Seen, now: float) -> None:
        """Have the ports that are its now, by what we gave or what others recorded."""
        before, managed = (tended.entrances, tended.refused), tended.managed
        given = self._hands.allotment.allot(
            managed.front, managed.doors, seen.deployment.containers, now
        )
        if isinstance(given, Refused):
            tended.entrances, tended.refused = (), given.reason
            self._look_by(tended, given.again_at)
        else:
            tended.entrances, tended.refused = given, ""
        if (tended.entrances, tended.refused) != before:
            self._configure(tended)

    def _configure(self, tended: Tended) -> None:
        if tended.adopted:
            self._loop.configure(tended.key, tended.spec())
        self.look_at(tended.key)

    def _let_go(self, tended: Tended) -> None:
        seen = self._hands.cluster.seen(tended.managed)
        if seen is None or seen.deployment.meta.deleting or not tended.adopted:
            self._forget(tended)
        elif not (tended.leaves or any(map(is_ours, seen.slices))):
            self._forget(tended)  # Nothing of ours is in its way.
        elif not tended.leaves:
            _log.info("letting go revision=%s", tended.key)
            tended.leaves, tended.vain = True, False
            self._configure(tended)

    def _forget(self, tended: Tended) -> None:
        key = tended.key
        _log.info("let go revision=%s", key)
        del self._tended[key]
        self._hands.scales.forget(key)
        self._hands.capacity.see(key, (), (), self._clock())
        self._agenda.put(tended, inf)
        self._counts.pop(key, None)
        self._hands.allotment.free(tended.managed.front, self._clock())
        if self._leading:
            self._hands.publish(key, tended.managed.service, ())
        if tended.adopted:
            self._loop.remove(key)
            # Its pods stay, and are somebody else's from now on.
            self._loop.observed(key, ())

    def _look_by(self, tended: Tended, at: float) -> None:
        self._agenda.put(tended, min(tended.due, at))

    def _look(self, tended: Tended, now: float) -> None:
        managed, hands = tended.managed, self._hands
        key = managed.key
        seen = hands.cluster.seen(managed)
        if seen is None:
            # A Deployment that is gone takes its pods with it; a Service does not.
            if tended.adopted and not hands.cluster.exists(key):
                self._show(tended, ())
            return
        self._allot(tended, seen, now)
        if not tended.adopted:
            if not tended.adoptable(seen, now):
                self._look_by(tended, now + 1.0)
                return
            tended.adopt(seen)
            self._loop.configure(key, tended.spec())
        self._show(tended, tended.picture(seen))
        status = self._loop.status(key)
        hands.capacity.see(key, seen.pods, seen.events, now)
        spoken_for, leading = hands.capacity.spoken_for(key), self._leading
        verdict = tended.judged(
            seen, status, now, spoken_for=spoken_for, leading=leading
        )
        for failure in verdict.failures:
            hands.remark(managed, failure)
            if failure.final:
                # Else the kubelet tries again, in the same pod.
                tended.failed(name_of(failure.replica), final=True)
                self._loop.failed(key, failure)
                self._show(tended, tended.picture(seen))
        self._stand(tended, seen, verdict.awaits, now)
        if tended.left(now):
            self._forget(tended)
            return
        self._count(tended, seen, now)

    def _show(self, tended: Tended, picture: tuple[Replica, ...]) -> None:
        if picture != tended.shown or tended.wanted is None:
            tended.shown = picture
            if tended.wanted is None:
                least = tended.spec().scaling.min_replicas
                tended.wanted = max(len(picture), least)
            self._loop.observed(tended.key, picture)

    def _stand(self, tended: Tended, seen: Seen, awaits: str, now: float) -> None:
        hands, key = self._hands, tended.key
        entrances = tended.entrances
        standins = hands.cluster.standins(key, entrances) if entrances else ()
        stance, wanted = tended.stand(seen, standins, self._loop.status(key).ready, now)
        keeps = stance.keeps or tended.managed.floor_why
        last = tended.desired <= 1 and not tended.spec().scaling.min_replicas
        if not keeps and last and (keeps := hands.keeps(key)):
            self._look_by(tended, now + _KEPT_S)
        self._loop.standing(key, aside=stance.aside, keeps=keeps, awaits=awaits)
        ends = tended.redirect.wake_at, tended.starts.wake_at, tended.left_at
        todo = changes(seen.slices, wanted)
        if self._leading and (todo.create or todo.replace or todo.delete):
            hands.publish(key, tended.managed.service, wanted)
        self._look_by(tended, max(now, min(ends)))

    def _count(self, tended: Tended, seen: Seen, now: float) -> None:
        """Have the Deployment ask for what was commanded, and for nothing less safe."""
        key, have, wanted = tended.key, seen.deployment.replicas, tended.wanted
        version = seen.deployment.meta.resource_version
        if not self._leading:
            if have:
                tended.called = False
                self._hands.scales.settled(key, have)
            elif tended.called:
                # Of what was seen: the leader may have asked for more by now.
                self._hands.scales.wake(key, version)
            return
        if wanted is None or (have and tended.leaves):
            self._hands.scales.drop(key)
            return  # Others may scale what is let go by now.
        if wanted == 0 and have and tended.stance.keeps:
            self._hands.scales.drop(key)
            return  # Who stood in has gone since it was decided.
        if have == wanted:
            self._hands.scales.settled(key, have)
            self._counts[key] = Count(have, now, watched=True)
            return
        count = self._counts.get(key)
        if count is not None:
            count.watched |= have == count.replicas or now >= count.at + _OURS_S
            if not count.watched and count.replicas == wanted:
                self._look_by(tended, count.at + _OURS_S)
                return
        if wanted == 0 and count is not None and count.replicas == 0:
            # It was at zero and is not any more: the other autoscaler woke it.
            tended.wanted = None
            del self._counts[key]
            self._show(tended, tended.picture(seen))
            self._loop.order(key, Order.WAKE)
            return
        self._hands.scales.want(
            key,
            wanted,
            expected_version=version if wanted < have else None,
            costs=tuple(sorted(tended.stopped)) if 0 < wanted < have else (),
        )
