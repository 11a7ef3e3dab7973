"""The objects of managed namespaces, as they were watched last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from autoscaler.backends.kubernetes import reading
from autoscaler.backends.kubernetes.api import Api, Query
from autoscaler.backends.kubernetes.facts import (
    Deployment,
    Happened,
    HttpRoute,
    InferenceService,
    Meta,
    Pod,
    Service,
    Slice,
    Writer,
)
from autoscaler.backends.kubernetes.pods import deployment_of
from autoscaler.backends.kubernetes.reflector import Reflector, Sink, Source
from autoscaler.clock import Clock, monotonic

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PATIENCE_S = 30.0
"""Nobody waits for longer for a namespace of which something cannot be listed."""

LABEL = "fromzero.dev/managed=true"
"""Of namespaces that are managed."""

Fact = (
    Deployment
    | Happened
    | HttpRoute
    | InferenceService
    | Meta
    | Pod
    | Service
    | Slice
    | Writer
)


class Kind(StrEnum):
    """What is watched in each namespace."""

    ISVC = "inferenceservices"
    DEPLOYMENT = "deployments"
    SERVICE = "services"
    POD = "pods"
    SLICE = "endpointslices"
    EVENT = "events"
    HPA = "horizontalpodautoscalers"
    SCALED_OBJECT = "scaledobjects"
    ROUTE = "httproutes"


@dataclass(frozen=True, slots=True)
class _Watched:
    group: str
    read: Callable[[Mapping[str, Any]], Any]
    query: Mapping[str, Query] = field(default_factory=dict)


_KINDS: Mapping[Kind, _Watched] = {
    Kind.ISVC: _Watched("/apis/serving.kserve.io/v1beta1", reading.inference_service),
    Kind.DEPLOYMENT: _Watched("/apis/apps/v1", reading.deployment),
    Kind.SERVICE: _Watched("/api/v1", reading.service),
    Kind.POD: _Watched("/api/v1", reading.pod),
    Kind.SLICE: _Watched("/apis/discovery.k8s.io/v1", reading.slice_),
    Kind.EVENT: _Watched(
        "/api/v1", reading.happened, {"fieldSelector": "involvedObject.kind=Pod"}
    ),
    Kind.HPA: _Watched("/apis/autoscaling/v2", reading.writer),
    Kind.SCALED_OBJECT: _Watched("/apis/keda.sh/v1alpha1", reading.writer),
    Kind.ROUTE: _Watched("/apis/gateway.networking.k8s.io/v1", reading.http_route),
}

Heard = Callable[[str, Kind, Fact | None, Fact | None], None]
"""Namespace, kind, an object as it was and as it is; None: it is not there."""


class Shelf(Generic[T]):
    """The objects of one kind in one namespace, by name; a reflector's sink."""

    def __init__(self, changed: Callable[[T | None, T | None], None]) -> None:
        self.items: dict[str, T] = {}
        self._changed = changed

    def replaced(self, items: Mapping[str, T]) -> None:
        before, self.items = self.items, dict(items)
        for name in before.keys() | items.keys():
            was, now = before.get(name), items.get(name)
            if was != now:
                self._changed(was, now)

    def changed(self, name: str, item: T) -> None:
        was = self.items.get(name)
        self.items[name] = item
        if was != item:
            self._changed(was, item)

    def gone(self, name: str) -> None:
        was = self.items.pop(name, None)
        if was is not None:
            self._changed(was, None)


class Space:
    """One namespace: its shelves, an index of what is asked for often, its watches."""

    def __init__(self, name: str, heard: Heard, since: float = 0.0) -> None:
        self.name = name
        self.since = since
        """When it began to be watched."""
        self.meta = Meta(name=name)
        self.shelves: dict[Kind, Shelf[Any]] = {
            kind: Shelf(self._hearing(kind, heard)) for kind in Kind
        }
        self.reflectors: dict[Kind, Reflector[Any]] = {}
        self.pods: dict[str, dict[str, Pod]] = {}
        """By the name of the Deployment whose ReplicaSet has them."""
        self.slices: dict[str, dict[str, Slice]] = {}
        """By the name of their Service."""
        self.events: dict[str, dict[str, Happened]] = {}
        """By the uid of what they are about."""

    @property
    def synced(self) -> bool:
        """Say whether all that there is was listed, once at least."""
        return all(each.synced for each in self.reflectors.values())

    @property
    def missing(self) -> Mapping[Kind, str]:
        """Return what was never listed, and why."""
        return {
            kind: each.failing or "no answer yet"
            for kind, each in self.reflectors.items()
            if not each.synced
        }

    @property
    def skipped(self) -> Mapping[str, str]:
        """Return objects that cannot be read, and why."""
        return {
            f"{kind}/{name}": reason
            for kind, each in self.reflectors.items()
            for name, reason in each.skipped.items()
        }

    def _hearing(
        self, kind: Kind, heard: Heard
    ) -> Callable[[Fact | None, Fact | None], None]:
        def hear(was: Fact | None, now: Fact | None) -> None:
            match kind:
                case Kind.POD:
                    _index(self.pods, deployment_of, was, now)
                case Kind.SLICE:
                    _index(self.slices, lambda each: each.service, was, now)
                case Kind.EVENT:
                    _index(self.events, lambda each: each.uid, was, now)
                case _:
                    pass
            heard(self.name, kind, was, now)

        return hear


class Store:
    """Watch every namespace that is managed, and no other.

    Memory is bounded by what is in those; a namespace that is not managed any more is
    kept until `drop`, so that what was managed there can be let go.
    """

    def __init__(
        self,
        api: Api,
        heard: Heard,
        spaces: Callable[[str], None],
        uniform: Callable[[], float],
        *,
        only: str = "",
        clock: Clock = monotonic,
    ) -> None:
        self._api = api
        self._heard = heard
        self._told = spaces
        """Called when a namespace becomes managed, or is not any more."""
        self._uniform = uniform
        self._clock = clock
        self._only = only
        """The one namespace to manage, label or not; empty: all that have the label."""
        self._spaces: dict[str, Space] = {}
        self._managed: dict[str, Meta] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._names: Reflector[Meta] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            if self._only:
                self._found(self._only, Meta(name=self._only))
                return
            source = Source(
                path="/api/v1/namespaces",
                read=reading.namespace,
                query={"labelSelector": LABEL},
            )
            sink: Shelf[Meta] = Shelf(self._named)
            self._names = Reflector(self._api, source, sink, self._uniform, self._clock)
            await self._names.run()

    @property
    def synced(self) -> bool:
        """Say whether all that is managed was listed, once at least, or given up."""
        known = bool(self._only) or (self._names is not None and self._names.synced)
        return known and all(
            each.synced or self.unread(name) for name, each in self._spaces.items()
        )

    @property
    def failing(self) -> str:
        """Say why what is known may be old; empty: it is not."""
        reflectors = [
            each for s in self._spaces.values() for each in s.reflectors.values()
        ]
        if self._names is not None:
            reflectors.append(self._names)
        return next((each.failing for each in reflectors if each.failing), "")

    @property
    def spaces(self) -> Mapping[str, Space]:
        """Return the namespaces that are watched, those to be dropped too."""
        return self._spaces

    def manages(self, namespace: str) -> bool:
        """Say whether a namespace is managed."""
        return namespace in self._managed

    def unread(self, namespace: str) -> str:
        """Return why a namespace cannot be known; empty: it is, or is waited for.

        The server has answered for a while then, but something was never listed.
        """
        space = self._spaces.get(namespace)
        if space is None or not (missing := space.missing):
            return ""
        asked = [*space.reflectors.values(), *([self._names] if self._names else ())]
        answers = min(each.well_since for each in asked)
        if self._clock() < max(answers, space.since) + _PATIENCE_S:
            return ""
        return ", ".join(f"{kind}: {reason}" for kind, reason in missing.items())

    def drop(self, namespace: str) -> None:
        """Watch a namespace no longer that is not managed any more."""
        if namespace not in self._managed and namespace in self._spaces:
            del self._spaces[namespace]
            self._watches.pop(namespace).cancel()

    def items(self, namespace: str, kind: Kind) -> Iterable[Any]:
        """Return all objects of a kind in a namespace."""
        space = self._spaces.get(namespace)
        return () if space is None else space.shelves[kind].items.values()

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """Return a Deployment; None: there is none of that name."""
        return cast(Deployment | None, self._item(namespace, Kind.DEPLOYMENT, name))

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service; None: there is none of that name."""
        return cast(Service | None, self._item(namespace, Kind.SERVICE, name))

    def pods(self, namespace: str, deployment: str) -> tuple[Pod, ...]:
        """Return the pods that ReplicaSets of a Deployment have, leaving ones too."""
        space = self._spaces.get(namespace)
        return tuple(space.pods.get(deployment, {}).values()) if space else ()

    def slices(self, namespace: str, service: str) -> tuple[Slice, ...]:
        """Return all EndpointSlices of a Service, whoever keeps them."""
        space = self._spaces.get(namespace)
        return tuple(space.slices.get(service, {}).values()) if space else ()

    def events(self, namespace: str, pods: Iterable[Pod]) -> tuple[Happened, ...]:
        """Return the Events about *pods*."""
        space = self._spaces.get(namespace)
        if space is None:
            return ()
        return tuple(
            event
            for pod in pods
            for event in space.events.get(pod.meta.uid, {}).values()
        )

    def _item(self, namespace: str, kind: Kind, name: str) -> object:
        space = self._spaces.get(namespace)
        return None if space is None else space.shelves[kind].items.get(name)

    def _named(self, was: Meta | None, now: Meta | None) -> None:
        if now is not None:
            self._found(now.name, now)
        elif was is not None:
            _log.info("namespace not managed any more namespace=%s", was.name)
            self._managed.pop(was.name, None)
            self._told(was.name)

    def _found(self, name: str, meta: Meta) -> None:
        self._managed[name] = meta
        space = self._spaces.get(name)
        if space is None and self._tasks is not None:
            _log.info("namespace managed namespace=%s", name)
            space = self._spaces[name] = Space(name, self._heard, self._clock())
            for kind, watched in _KINDS.items():
                path = f"{watched.group}/namespaces/{name}/{kind.value}"
                source = Source(path=path, read=watched.read, query=watched.query)
                sink: Sink[Any] = space.shelves[kind]
                space.reflectors[kind] = Reflector(
                    self._api, source, sink, self._uniform, self._clock
                )
            self._watches[name] = self._tasks.create_task(
                _watch(space.reflectors.values())
            )
        if space is not None:
            space.meta = meta
        self._told(name)


async def _watch(reflectors: Iterable[Reflector[Any]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for each in reflectors:
            tasks.create_task(each.run())


def _index(
    index: dict[str, dict[str, T]],
    place: Callable[[Any], str],
    was: Any,
    now: Any,
) -> None:
    """Keep *index* right as an object changes."""
    if was is not None and (at := place(was)) in index:
        index[at].pop(was.meta.name, None)
        if not index[at]:
            del index[at]
    if now is not None:
        index.setdefault(place(now), {})[now.meta.name] = now
