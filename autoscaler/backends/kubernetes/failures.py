"""Why a revision's start fails, and what it waits for that takes its own time.

A start has failed only when no pod of any ReplicaSet serves. What may go by itself, as
a first crash or a first image error, is transient: the kubelet tries again in the same
pod. What has come again, or cannot go by itself, is final.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from autoscaler.backends.kubernetes.facts import Deployment, Happened, Pod
from autoscaler.backends.kubernetes.pods import (
    HASH,
    NO_ATTEMPTS,
    chosen,
    living,
    replica_of,
)
from autoscaler.backends.kubernetes.scheduling import node_for, unplaced
from autoscaler.backends.kubernetes.symptoms import (
    HOPELESS,
    PULL_FAILED,
    ends,
    line,
    preparing,
    pulling,
    stuck,
)
from autoscaler.core.domain import StartFailure

_REFUSALS = ("exceeded quota", "denied the request", "is forbidden")
"""In what a ReplicaSet says when asking again does not help."""

_Said = tuple[str, bool]
"""A reason, and whether it is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long is waited for what; see `within` too."""

    unschedulable_s: float = 30.0
    """A pod without a node, if nobody adds one."""
    node_s: float = 900.0
    """A node that was promised: cluster-autoscaler gives one up after 15 minutes."""
    persists_s: float = 30.0
    """What keeps a container or a pod from being made, and might go by itself."""
    unreachable_s: float = 10.0
    within: float = 0.9
    """Of the progress deadline: an init container that runs for so long has stalled,
    and nothing else is waited for longer, so that this is the reason that is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What is known of one revision at one moment."""

    deployment: Deployment
    pods: tuple[Pod, ...] = ()
    events: tuple[Happened, ...] = ()
    """About its pods."""
    keep: Collection[str] = ()
    """Pods told to stop, as for `pictures`."""
    attempts: Mapping[str, int] = field(default_factory=lambda: NO_ATTEMPTS)
    """As for `pictures`."""
    spoken_for: Collection[str] = ()
    """Pods without a node that `Capacity` speaks of."""
    unreached: Collection[str] = ()
    """Pods that activators need and cannot connect to."""
    commanded: bool = True
    """It was told to have replicas: no start fails that nobody has asked for."""
    deadline_s: float = 600.0
    """The revision's progress deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of it now; each failure is said once for each time."""

    failures: tuple[StartFailure, ...] = ()
    awaits: str = ""
    """Why the progress deadline does not run; empty: it runs."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of one pod, or of the Deployment."""

    since: dict[str, float] = field(default_factory=dict)
    """When each trouble that lasts began, or was last said."""
    lasting: set[str] = field(default_factory=set)
    """Those that this look has found."""
    waited: dict[str, str] = field(default_factory=dict)
    """For what each container waited last."""
    ended: dict[str, int] = field(default_factory=dict)
    """Ends that were said, or are no failed starts."""
    promised: float = inf
    """Since when a node is on its way."""
    served: bool = False
    bad: int = 0
    """Troubles of a kind that may go by itself."""

    def forget(self) -> None:
        """Drop what this look has not found."""
        for kind in self.since.keys() - self.lasting:
            del self.since[kind]
        self.lasting.clear()


class Starts:
    """Follow the starts of one revision; every look tells what is new."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._pods: dict[str, _Memory] = {}
        self._deployment = _Memory()
        self._earlier = 0
        """Troubles of pods that are gone, since one served or the template changed."""
        self._most_s = inf
        self._template = ""
        self.wake_at = inf
        """When `look` is wanted next, if nothing else changes."""

    def look(self, glimpse: Glimpse, now: float) -> Verdict:
        """Say what has failed since the last look, and what is waited for."""
        self.wake_at = inf
        self._most_s = self._limits.within * glimpse.deadline_s
        there = living(glimpse.deployment, glimpse.pods)
        self._remember(there)
        shown = [
            pod
            for pod in chosen(glimpse.deployment, there, glimpse.keep)
            if not (pod.ready and pod.meta.name not in glimpse.unreached)
        ]
        awaits = [self._awaits(pod, glimpse, now) for pod in shown]
        failures: list[StartFailure] = []
        if any(pod.ready and pod.meta.name not in glimpse.unreached for pod in there):
            self._serves(there)
        else:
            for pod in shown:
                failures += self._troubles(pod, glimpse, now)
            if glimpse.commanded:
                failures += self._refused(glimpse.deployment, len(there), now)
            else:
                self._deployment.forget()
        return Verdict(
            failures=tuple(failures), awaits=next((why for why in awaits if why), "")
        )

    def _remember(self, there: list[Pod]) -> None:
        uids = {pod.meta.uid for pod in there}
        for uid in [uid for uid in self._pods if uid not in uids]:
            self._earlier += self._pods.pop(uid).bad
        newest = max(there, key=lambda pod: pod.meta.created, default=None)
        template = newest.meta.labels.get(HASH, "") if newest else self._template
        if template != self._template:
            self._template, self._earlier = template, 0
        for pod in there:
            if pod.meta.uid not in self._pods:
                # It may have served before we came: ends of long ago are no news.
                running = {state.name for state in pod.states if state.running}
                old = {
                    e.container: e.number for e in ends(pod) if e.container in running
                }
                self._pods[pod.meta.uid] = _Memory(ended=old)

    def _serves(self, there: list[Pod]) -> None:
        self._earlier = 0
        self._deployment = _Memory()
        for pod in there:
            memory = self._pods[pod.meta.uid]
            memory.since.clear()
            memory.bad = 0
            memory.served |= pod.ready
            memory.ended |= {end.container: end.number for end in ends(pod)}

    def _awaits(self, pod: Pod, glimpse: Glimpse, now: float) -> str:
        memory = self._pods[pod.meta.uid]
        node = node_for(pod, glimpse.events) if unplaced(pod) else ""
        memory.promised = min(memory.promised, now) if node else inf
        if node and now < memory.promised + self._limits.node_s:
            self.wake_at = min(self.wake_at, memory.promised + self._limits.node_s)
            return f"waits for {node}"
        image = pulling(pod, glimpse.events)
        return f"a node is pulling image {image}" if image else ""

    def _troubles(
        self, pod: Pod, glimpse: Glimpse, now: float
    ) -> Iterator[StartFailure]:
        """Yield what is new of one pod."""
        memory = self._pods[pod.meta.uid]
        said = [
            *self._stuck(pod, memory, now),
            *self._ended(pod, memory, glimpse.events),
            *self._stalled(pod, memory, now),
            *self._unreached(pod, memory, now),
        ]
        if pod.meta.name not in glimpse.spoken_for:
            said += self._unplaced(pod, memory, now)
        memory.waited = {state.name: state.waiting for state in pod.states}
        memory.forget()
        attempt = glimpse.attempts.get(pod.meta.name, 0)
        replica = replica_of(pod.meta.name, attempt)
        for reason, final in said:
            yield StartFailure(reason=reason, final=final, replica=replica)

    def _unplaced(self, pod: Pod, memory: _Memory, now: float) -> Iterator[_Said]:
        words = unplaced(pod)
        late_s = now - memory.promised
        if not words or 0 <= late_s < self._limits.node_s:
            return
        limit_s = self._limit(self._limits.unschedulable_s)
        if self._lasted(memory, "node", limit_s, now):
            late = f"no node came in {late_s:.0f} s: " if late_s >= 0 else ""
            yield line(late + words), True

    def _stuck(self, pod: Pod, memory: _Memory, now: float) -> Iterator[_Said]:
        for state, words in stuck(pod):
            kind = f"{state.name} is stuck"
            anew = kind not in memory.since or (
                state.waiting == PULL_FAILED != memory.waited.get(state.name)
            )
            if anew:
                memory.since[kind] = now
            limit_s = self._limit(self._limits.persists_s)
            lasted = self._lasted(memory, kind, limit_s, now)
            if anew or lasted:
                again = self._again(memory)
                yield words, again or lasted or state.waiting in HOPELESS

    def _ended(
        self, pod: Pod, memory: _Memory, events: Iterable[Happened]
    ) -> Iterator[_Said]:
        for end in ends(pod, events):
            news = end.number - memory.ended.get(end.container, 0)
            if news <= 0:
                continue
            memory.ended[end.container] = end.number
            if memory.served:
                # A replica that served has ended: the start that follows is new.
                memory.served = False
                news -= 1
            if news:
                memory.bad += news - 1
                yield end.words, self._again(memory)

    def _stalled(self, pod: Pod, memory: _Memory, now: float) -> Iterator[_Said]:
        limit_s = self._limit(inf)
        for state in preparing(pod):
            kind = f"run {state.restarts} of {state.name}"
            if self._lasted(memory, kind, limit_s, now):
                memory.bad += 1
                # Its kubelet does not try again: another pod may fare better.
                yield f"{state.name} has run for {limit_s:g} s and does not end", True

    def _unreached(self, pod: Pod, memory: _Memory, now: float) -> Iterator[_Said]:
        limit_s = self._limit(self._limits.unreachable_s)
        if pod.ready and self._lasted(memory, "unreached", limit_s, now):
            where = pod.ips[0] if pod.ips else pod.meta.name
            yield (
                f"ready for the kubelet, but no activator could connect to {where} for "
                f"{limit_s:g} s: a NetworkPolicy or a mesh may be in between",
                True,
            )

    def _refused(
        self, deployment: Deployment, there: int, now: float
    ) -> Iterator[StartFailure]:
        """Yield why a ReplicaSet cannot make pods, if it says that."""
        memory = self._deployment
        words = replica_failure(deployment)
        if words and there < deployment.replicas:
            anew = not memory.since
            limit_s = self._limit(self._limits.persists_s)
            lasted = self._lasted(memory, "pods", limit_s, now)
            if anew or lasted:
                final = lasted or any(each in words for each in _REFUSALS)
                yield StartFailure(reason=words, final=final)
        memory.forget()

    def _again(self, memory: _Memory) -> bool:
        """Count a trouble that may go by itself; say whether it is not the first."""
        memory.bad += 1
        return memory.bad + self._earlier > 1

    def _limit(self, limit_s: float) -> float:
        return min(limit_s, self._most_s)

    def _lasted(self, memory: _Memory, kind: str, limit_s: float, now: float) -> bool:
        """Say whether a trouble has lasted for so long; once each time it has."""
        memory.lasting.add(kind)
        since = memory.since.setdefault(kind, now)
        lasted = now >= since + limit_s
        if lasted:
            memory.since[kind] = since = now
        self.wake_at = min(self.wake_at, since + limit_s)
        return lasted


def replica_failure(deployment: Deployment) -> str:
    """Return why a ReplicaSet cannot make pods, in its words; empty: it can."""
    for condition in deployment.conditions:
        if condition.type == "ReplicaFailure" and condition.status == "True":
            return line(condition.message or condition.reason)
    return ""
