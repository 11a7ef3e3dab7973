"""From what is watched to what is managed: a census of each namespace that changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf

from autoscaler.backends.kubernetes import overrides
from autoscaler.backends.kubernetes.backend import KubernetesBackend
from autoscaler.backends.kubernetes.census import Census, census
from autoscaler.backends.kubernetes.facts import (
    Deployment,
    Happened,
    Pod,
    Slice,
)
from autoscaler.backends.kubernetes.facts import Service as KubeService
from autoscaler.backends.kubernetes.managed import Finding, Managed, Reference
from autoscaler.backends.kubernetes.pods import deployment_of
from autoscaler.backends.kubernetes.routing import distinct
from autoscaler.backends.kubernetes.slices import Standin
from autoscaler.backends.kubernetes.space import Settings, Space
from autoscaler.backends.kubernetes.store import Fact, Kind, Store
from autoscaler.backends.kubernetes.tended import Seen
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import Entrance, RevisionKey, Route

_log = logging.getLogger(__name__)

_RESTS_S = 0.2
"""A namespace that changes all the time is counted that often."""

_LONGEST = 900
"""Characters of what is said; an Event's note has at most 1,024."""

_ASKS_S = 0.2
"""So often it is asked whether a namespace was listed."""

_DOCUMENTS = (
    Kind.ISVC,
    Kind.DEPLOYMENT,
    Kind.SERVICE,
    Kind.HPA,
    Kind.SCALED_OBJECT,
    Kind.ROUTE,
)
"""What a census reads."""


class Overseer:
    """Take a census where something changed, and hand it to the backend.

    It is the backend's Cluster as well: what there is of a revision is asked here.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[Finding], None],
        route: Callable[[tuple[Route, ...]], None],
        standins: Callable[[RevisionKey, tuple[Entrance, ...]], tuple[Standin, ...]],
        learned: Callable[[RevisionKey], float],
        clock: Clock = monotonic,
    ) -> None:
        self._settings = settings
        self._say = say
        self._route = route
        self._standins = standins
        self._learned = learned
        """Seconds that a start takes; 0: not known."""
        self._clock = clock
        self._store: Store
        self._backend: KubernetesBackend
        self._censuses: dict[str, Census] = {}
        self._due: dict[str, float] = {}
        self._counted_at: dict[str, float] = {}
        self._unread: set[str] = set()
        """Namespaces that are left alone, since nobody knows what is in them."""
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._more: dict[RevisionKey, Finding] = {}
        """What is found out about revisions later, one each."""
        self._services: dict[str, dict[str, RevisionKey]] = {}
        """By namespace, then by name."""
        self._refused: dict[RevisionKey, str] = {}
        self._routes: tuple[Route, ...] | None = None

    def attach(self, store: Store, backend: KubernetesBackend) -> None:
        """Read from *store*, and tell *backend*."""
        self._store, self._backend = store, backend

    # What is asked.

    @property
    def wake_at(self) -> float:
        """When `tend` is wanted next."""
        return min(self._due.values(), default=inf)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return all that a person should know now."""
        found = [each for its in self._findings.values() for each in its]
        for key, reason in self._backend.refusals().items():
            managed = self._backend.managed(key)
            if managed is not None:
                found.append(no_stand_in(managed, reason))
        found += self._more.values()
        found += [
            unread(name, why)
            for name in self._unread
            if (why := self._store.unread(name))
        ]
        return (*self._settings.overrides.findings, *dict.fromkeys(found))

    def manages(self, key: RevisionKey) -> bool:
        """Say whether the last census has *key*, or would, if it could be taken."""
        counted = self._censuses.get(key.namespace)
        may = key.namespace in self._unread
        return may or (counted is not None and key in counted.managed)

    def seen(self, managed: Managed) -> Seen | None:
        """Return what there is of a revision."""
        namespace, name = managed.key
        deployment = self._store.deployment(namespace, name)
        service = self._store.service(namespace, managed.service)
        if deployment is None or service is None:
            return None
        pods = self._store.pods(namespace, name)
        return Seen(
            deployment=deployment,
            service=service,
            pods=pods,
            slices=self._store.slices(namespace, managed.service),
            events=self._store.events(namespace, pods),
        )

    def exists(self, key: RevisionKey) -> bool:
        """Say whether its Deployment is there."""
        return self._store.deployment(*key) is not None

    def standins(
        self, key: RevisionKey, entrances: tuple[Entrance, ...]
    ) -> tuple[Standin, ...]:
        """Return the activators that can stand in for *key*."""
        return self._standins(key, entrances)

    # What happens.

    def heard(
        self, namespace: str, kind: Kind, was: Fact | None, now: Fact | None
    ) -> None:
        """Take a change of an object."""
        if kind in _DOCUMENTS:
            self._count_soon(namespace)
        for service in {each.service for each in (was, now) if isinstance(each, Slice)}:
            self._record(namespace, service)
        for each in (was, now):
            key = self._key(namespace, each)
            if key is not None:
                self._backend.look_at(key)

    @property
    def counted(self) -> bool:
        """Say whether every namespace was counted since it changed."""
        return all(name not in self._due for name in self._store.spaces)

    def space(self, namespace: str) -> None:
        """Know that a namespace is managed, or is not any more."""
        self._due[namespace] = -inf
        self._backend.stirred.set()

    def override(self, data: dict[str, str], about: Reference) -> None:
        """Take the settings of single revisions from our ConfigMap."""
        found = overrides.read(data, about)
        if found != self._settings.overrides:
            self._settings = replace(self._settings, overrides=found)
            for finding in found.findings:
                self._say(finding)
            for namespace in self._store.spaces:
                self.space(namespace)

    def found(self, key: RevisionKey, finding: Finding | None) -> None:
        """Know what is the matter with a revision's load; None: nothing."""
        before = self._more.pop(key, None)
        if finding is not None:
            self._more[key] = finding
            if before is None or before.message != finding.message:
                self._say(finding)

    def look_round(self) -> None:
        """Say for whom no activator can stand in, where that is new."""
        before, self._refused = self._refused, self._backend.refusals()
        for key, reason in self._refused.items():
            managed = self._backend.managed(key)
            if managed is not None and before.get(key) != reason:
                self._say(no_stand_in(managed, reason))

    def tend(self) -> None:
        """Count what is due, and drop what was let go of."""
        now = self._clock()
        for namespace in self._unread:
            if not self._store.unread(namespace):
                self._due.setdefault(namespace, now)
        for namespace in [name for name, at in self._due.items() if at <= now]:
            if not self._ready(namespace):
                self._due[namespace] = now + _ASKS_S
                continue
            del self._due[namespace]
            self._counted_at[namespace] = now
            try:
                self._count(namespace)
            except Exception:
                _log.exception("failed to count namespace=%s", namespace)
                self._due[namespace] = now + 30.0

    def _ready(self, namespace: str) -> bool:
        """Say whether a namespace was listed or given up, or is to be let go."""
        space = self._store.spaces.get(namespace)
        return (
            space is None
            or space.synced
            or not self._store.manages(namespace)
            or bool(self._store.unread(namespace))
        )

    def _count_soon(self, namespace: str) -> None:
        at = self._counted_at.get(namespace, -inf) + _RESTS_S
        self._due.setdefault(namespace, at)
        self._backend.stirred.set()

    def _count(self, namespace: str) -> None:
        self._unread.discard(namespace)
        if not self._store.manages(namespace):
            self._leave(namespace)
        elif reason := self._store.unread(namespace):
            # Never counted before either, so there is nothing to let go of.
            self._unread.add(namespace)
            self._say(unread(namespace, reason))
        else:
            before = self._censuses.get(namespace)
            found = census(self._space(namespace), self._settings, before)
            self._censuses[namespace] = found
            self._services[namespace] = {
                each.service: key for key, each in found.managed.items()
            }
            skipped = self._store.spaces[namespace].skipped
            lost = (unread(namespace, f"{of}: {why}") for of, why in skipped.items())
            self._find(namespace, (*found.findings, *lost))
            self._backend.counted(namespace, found.managed.values())
            self._tell_routes()

    def _record(self, namespace: str, service: str) -> None:
        slices = self._store.slices(namespace, service)
        self._backend.recorded(RevisionKey(namespace, service), slices)

    def _leave(self, namespace: str) -> None:
        """Let go of all in a namespace; once that is done, know nothing of it."""
        self._backend.counted(namespace, ())
        self._censuses.pop(namespace, None)
        self._findings.pop(namespace, None)
        self._tell_routes()
        if any(key.namespace == namespace for key in self._backend.keys):
            self._due[namespace] = self._clock() + 1.0
        else:
            self._services.pop(namespace, None)
            self._counted_at.pop(namespace, None)
            space = self._store.spaces.get(namespace)
            self._store.drop(namespace)
            for service in space.slices if space else ():
                self._record(namespace, service)

    def _find(self, namespace: str, findings: tuple[Finding, ...]) -> None:
        """Say what of *findings* is new."""
        known = frozenset(self._findings.get(namespace, ()))
        self._findings[namespace] = findings
        for finding in findings:
            if finding not in known:
                self._say(finding)

    def _space(self, namespace: str) -> Space:
        items = self._store.items
        deployments: tuple[Deployment, ...] = tuple(items(namespace, Kind.DEPLOYMENT))
        keys = [RevisionKey(namespace, each.meta.name) for each in deployments]
        learned = {key: took for key in keys if (took := self._learned(key))}
        return Space(
            namespace=self._store.spaces[namespace].meta,
            isvcs=tuple(items(namespace, Kind.ISVC)),
            deployments=deployments,
            services=tuple(items(namespace, Kind.SERVICE)),
            writers=(
                *items(namespace, Kind.HPA),
                *items(namespace, Kind.SCALED_OBJECT),
            ),
            routes=tuple(items(namespace, Kind.ROUTE)),
            learned=learned,
        )

    def _tell_routes(self) -> None:
        routes = tuple(distinct(_routes(self._censuses.values())))
        if routes != self._routes:
            self._routes = routes
            self._route(routes)

    def _key(self, namespace: str, fact: Fact | None) -> RevisionKey | None:
        match fact:
            case Deployment(meta=meta):
                return RevisionKey(namespace, meta.name)
            case Pod():
                return RevisionKey(namespace, deployment_of(fact))
            case Slice(service=service):
                return self._services.get(namespace, {}).get(service)
            case KubeService(meta=meta):
                return self._services.get(namespace, {}).get(meta.name)
            case Happened(name=name):
                # Pods are named after their ReplicaSet, and that after its Deployment.
                return RevisionKey(namespace, name.rsplit("-", 2)[0])
            case _:
                return None


def _routes(censuses: Iterable[Census]) -> Iterable[Route]:
    for each in censuses:
        yield from each.routes


def no_stand_in(managed: Managed, reason: str) -> Finding:
    """Say why no activator can stand in for a revision."""
    return Finding(
        about=managed.owner,
        key=managed.key,
        reason="NoStandIn",
        message=f"it stays awake, since no activator can stand in: {reason}",
    )


def unread(namespace: str, reason: str) -> Finding:
    """Say what of a namespace is not known."""
    return Finding(
        about=Reference(
            api_version="v1", kind="Namespace", namespace="", name=namespace
        ),
        reason="Unread",
        message=f"what cannot be read is left alone: {reason}"[:_LONGEST],
    )
