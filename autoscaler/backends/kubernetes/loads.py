"""The load of all revisions on the Service path, told to a Fleet once a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from autoscaler.backends.kubernetes.engines import Reading
from autoscaler.backends.kubernetes.facts import Pod, Service
from autoscaler.backends.kubernetes.managed import Finding, Managed, Reference
from autoscaler.backends.kubernetes.merge import GATEWAY, REPORTER, Merge
from autoscaler.backends.kubernetes.pages import places
from autoscaler.backends.kubernetes.pods import address_of, name_of
from autoscaler.backends.kubernetes.scrape import Scraper, Target
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Sample, View

_log = logging.getLogger(__name__)

MISSING_S = 30.0
"""A load that is not known for so long is worth saying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A revision whose load is to be told."""

    about: Reference
    """What an Event is about."""
    ready: tuple[tuple[str, Pod], ...] = ()
    """Replicas that clients can reach, by their ids."""
    leaving: tuple[tuple[str, Pod], ...] = ()
    """Those that were told to stop, and finish what they have."""
    families: tuple[str, ...] = ("IPv4",)
    timeout_s: float = 0.0
    """The longest that a request may take; 0: no bound."""

    @property
    def finishes(self) -> bool:
        """Say whether its pods finish what they have when they are stopped."""
        return all(finishes(pod, self.timeout_s) for _, pod in self.ready)


def subject_of(
    managed: Managed,
    service: Service | None,
    pods: Iterable[Pod],
    replicas: Iterable[Replica],
) -> Subject:
    """Return whose load is to be told of a revision: its *replicas* that are ready."""
    by_name = {pod.meta.name: pod for pod in pods}
    leaving = [pod for pod in by_name.values() if pod.meta.deleting and pod.ips]
    return Subject(
        about=managed.owner,
        ready=tuple(
            (each.id, by_name[name_of(each.id)])
            for each in replicas
            if each.ready and name_of(each.id) in by_name
        ),
        leaving=tuple((pod.meta.name, pod) for pod in leaving),
        families=service.families if service else ("IPv4",),
        timeout_s=managed.spec.gate.timeout_s,
    )


def finishes(pod: Pod, timeout_s: float) -> bool:
    """Say whether *pod*, when stopped, finishes a request that takes *timeout_s*.

    >>> from autoscaler.backends.kubernetes.facts import Container, Meta
    >>> serving = Container(name="kserve-container", pre_stop=True)
    >>> finishes(Pod(meta=Meta(name="a"), containers=(serving,), grace_s=60), 60)
    True
    >>> finishes(Pod(meta=Meta(name="a"), containers=(serving,), grace_s=30), 60)
    False
    """
    waits = any(container.pre_stop for container in pod.containers)
    return waits and pod.grace_s >= timeout_s


class Loads:
    """Keep one Merge for each revision, and tell its Fleet.

    *hear* takes the samples, and *view* says what a revision's activators were told
    last; KeyError: there is none. An autoscaler that follows reads the pages too, so
    that it knows all windows when it has to lead.
    """

    def __init__(
        self,
        *,
        hear: Callable[[Sample], None],
        view: Callable[[RevisionKey], View],
        clock: Clock = monotonic,
    ) -> None:
        self._hear = hear
        self._view = view
        self._clock = clock
        self._scraper = Scraper(self, clock)
        self._merges: dict[RevisionKey, tuple[Subject, Merge]] = {}

    def watch(self, key: RevisionKey, subject: Subject) -> None:
        """Tell the load of *key*, whose pods are these now."""
        before = self._merges.get(key)
        merge = before[1] if before else Merge()
        self._merges[key] = subject, merge
        if before is None or before[0] != subject:
            merge.keep([name for name, _ in (*subject.ready, *subject.leaving)])
            self._aim(key, subject)

    def forget(self, key: RevisionKey) -> None:
        """Tell nothing of *key* any more."""
        if self._merges.pop(key, None) is not None:
            self._scraper.want(key, {})

    def heard(self, sample: Sample) -> None:
        """Take in what an activator says of a revision."""
        found = self._merges.get(sample.key)
        if found is not None and sample.reporter != REPORTER:
            found[1].heard(sample, self._clock())

    def left(self, activator: str) -> None:
        """Know that an activator is no more."""
        for _, merge in self._merges.values():
            merge.left(activator)

    def read(self, key: RevisionKey, replica: str, reading: Reading) -> None:
        """Take what a replica's page says now."""
        found = self._merges.get(key)
        if found is not None:
            found[1].read(replica, reading, self._clock())

    def failed(self, key: RevisionKey, replica: str, why: str) -> None:
        """Know why there is nothing to be read of it now."""
        found = self._merges.get(key)
        if found is not None:
            found[1].failed(replica, why)

    def keeps(self, key: RevisionKey) -> str:
        """Return why *key* must not go to zero by what is known of its load."""
        found = self._merges.get(key)
        if found is None:
            return ""
        subject, merge = found
        now = self._clock()
        why = merge.why_missing([name for name, _ in subject.ready], now)
        if why:
            return f"its load is not known: {why}"
        return merge.keeps(subject.timeout_s, subject.finishes, now)

    def finding(self, key: RevisionKey) -> Finding | None:
        """Return what a person should know of *key*'s load; None: nothing."""
        found = self._merges.get(key)
        if found is None:
            return None
        subject, merge = found
        now = self._clock()
        if merge.missing != inf:
            if now - merge.missing < MISSING_S:
                return None
            why = merge.why_missing([name for name, _ in subject.ready], now)
            message = (
                f"its load has not been known for {MISSING_S:.0f} s, so it is not "
                f"scaled down: {why}; {GATEWAY}"
            )
            return Finding(
                about=subject.about, key=key, reason="LoadUnknown", message=message
            )
        why = merge.keeps(subject.timeout_s, subject.finishes, now)
        if GATEWAY not in why:
            return None
        return Finding(
            about=subject.about, key=key, reason="NotScaledToZero", message=why
        )

    async def run(self) -> None:
        """Scrape and tell, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scraper.run())
            at = self._clock()
            while True:
                self.tell()
                # A beat that is late makes the next no later, and is not made up for.
                at = max(at + 1.0, self._clock())
                await asyncio.sleep(at - self._clock())

    def tell(self) -> None:
        """Tell the second that ends now."""
        now = self._clock()
        for key, (subject, merge) in tuple(self._merges.items()):
            try:
                view = self._view(key)
            except KeyError:
                # Its Fleet has not heard of it yet, or has forgotten it already.
                continue
            if not (subject.ready or view.addresses):
                continue  # It sleeps: nobody waits for a sample.
            ready = [name for name, _ in subject.ready]
            leaving = [name for name, _ in subject.leaving]
            sample = merge.sample(view, ready, now, leaving)
            if sample is not None:
                self._hear(sample)

    def _aim(self, key: RevisionKey, subject: Subject) -> None:
        targets = {}
        for name, pod in (*subject.ready, *subject.leaving):
            host = address_of(pod, subject.families)
            if host:
                targets[name] = Target(key, name, host, places(pod))
        self._scraper.want(key, targets)
