"""The facts of a namespace -> which revisions are managed, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from autoscaler.backends.kubernetes import isvc, plain, rivals, routing
from autoscaler.backends.kubernetes.enrol import Enrolled, Owner, enrol
from autoscaler.backends.kubernetes.facts import (
    Deployment,
    HttpRoute,
    InferenceService,
    Meta,
    Service,
    Writer,
)
from autoscaler.backends.kubernetes.managed import Finding, Managed, reference
from autoscaler.backends.kubernetes.piece import Piece, Sheet
from autoscaler.backends.kubernetes.preflight import Seen
from autoscaler.backends.kubernetes.rivals import Written
from autoscaler.backends.kubernetes.space import Settings, Space
from autoscaler.core.domain import RevisionKey, Route

_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one document, and of what it was made."""

    document: Any
    sheet: Sheet
    around: tuple[Any, ...]
    managed: tuple[Managed, ...] = ()
    findings: tuple[Finding, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All that is managed in a namespace."""

    managed: Mapping[RevisionKey, Managed] = field(default_factory=lambda: _NONE)
    findings: tuple[Finding, ...] = ()
    routes: tuple[Route, ...] = ()
    settings: Settings = field(default_factory=Settings)
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=lambda: _NONE)
    """By kind and name of the document; what did not change is not read again."""
    writers: Mapping[str, Written] = field(default_factory=lambda: _NONE)
    """By Deployment: who had written its replicas."""


def census(space: Space, settings: Settings, before: Census | None = None) -> Census:
    """Count the revisions of *space*; *before* is the last census of it, if any.

    *before* saves work, and tells who wrote a replica count after us.
    """
    return _Taker(space, settings, before or Census(settings=settings)).census()


class _Taker:
    def __init__(self, space: Space, settings: Settings, before: Census) -> None:
        self._space = space
        self._settings = settings
        same = before.settings == settings
        self._entries = before.entries if same else _NONE
        self._deployments = {each.meta.name: each for each in space.deployments}
        self._services = {each.meta.name: each for each in space.services}
        self._writers = _grouped(space.writers)
        self._timeouts = _timeouts(space.routes)
        self._written = {
            each.meta.name: rivals.written(each, before.writers.get(each.meta.name))
            for each in space.deployments
        }
        self._claimed: dict[str, str] = {}

    def census(self) -> Census:
        entries: dict[tuple[str, str], Entry] = {}
        for one in sorted(self._space.isvcs, key=lambda each: each.meta.name):
            entry = self._service(one)
            self._claim(entry)
            entries["InferenceService", one.meta.name] = entry
        for its in sorted(self._space.deployments, key=_age):
            entry = self._deployment(its)
            self._claim(entry)
            if entry.sheet != Sheet():
                entries["Deployment", its.meta.name] = entry
        every = entries.values()
        managed = {each.key: each for entry in every for each in entry.managed}
        return Census(
            managed=MappingProxyType(managed),
            findings=tuple(each for entry in every for each in entry.findings),
            routes=tuple(each for entry in every for each in entry.routes),
            settings=self._settings,
            entries=MappingProxyType(entries),
            writers=MappingProxyType(self._written),
        )

    def _claim(self, entry: Entry) -> None:
        for each in entry.managed:
            self._claimed[each.service] = str(each.owner)

    def _service(self, one: InferenceService) -> Entry:
        # Its status changes often, and nothing here reads it but for the mode.
        document = (_lasting(one.meta), one.spec, one.too_large, one.mode)
        before = self._entries.get(("InferenceService", one.meta.name))
        if before is not None and before.document == document:
            sheet = before.sheet
        else:
            before = None
            sheet = _too_large(one) or isvc.read(
                one, self._settings.defaults, self._settings.overrides
            )
        around = self._around(sheet.pieces)
        if before is not None and before.around == around:
            return before
        owner = Owner(reference=reference(one), isvc=one.meta.name)
        enrolled = [
            enrol(piece, owner, seen, service)
            for piece, (seen, service) in zip(sheet.pieces, around, strict=True)
        ]
        managed = tuple(routing.together(_managed(enrolled), sheet.pieces))
        return Entry(
            document=document,
            sheet=sheet,
            around=around,
            managed=managed,
            findings=_findings(sheet, enrolled),
            routes=routing.of_service(
                one.meta.name, sheet.pieces, managed, self._settings.domain
            ),
        )

    def _deployment(self, its: Deployment) -> Entry:
        document = (_lasting(its.meta), its.meta.owner)
        before = self._entries.get(("Deployment", its.meta.name))
        if before is not None and before.document == document:
            sheet = before.sheet
        else:
            before = None
            sheet = plain.read(its, self._settings.defaults, self._settings.overrides)
        clash = self._clash(its, sheet.pieces)
        met = self._around(sheet.pieces)
        around = (*met, clash)
        if before is not None and before.around == around:
            return before
        owner = Owner(reference=reference(its))
        enrolled = [
            enrol(piece, owner, seen, service)
            for piece, (seen, service) in zip(sheet.pieces, met, strict=True)
        ]
        if clash is not None:
            enrolled = [Enrolled(findings=(clash,))]
        managed = _managed(enrolled)
        return Entry(
            document=document,
            sheet=sheet,
            around=around,
            managed=managed,
            findings=_findings(sheet, enrolled),
            routes=tuple(
                routing.of_deployment(each, self._settings.domain) for each in managed
            ),
        )

    def _clash(self, its: Deployment, pieces: Sequence[Piece]) -> Finding | None:
        """Return why a Deployment cannot have its Service; the oldest one has it."""
        for piece in pieces:
            holder = self._claimed.get(piece.service)
            if holder is not None:
                return Finding(
                    about=reference(its),
                    key=RevisionKey(its.meta.namespace, its.meta.name),
                    reason="ServiceShared",
                    message=f"Service {piece.service} is that of {holder} already, "
                    f"{plain.SERVICE} must name another",
                    blocks=True,
                )
        return None

    def _around(
        self, pieces: Sequence[Piece]
    ) -> tuple[tuple[Seen | None, Service | None], ...]:
        """Return what each piece meets; equal, where nothing that matters changed."""
        timeouts = [
            found for each in pieces if (found := self._timeouts.get(each.service))
        ]
        timeout = min(timeouts, default=self._settings.route_timeout_s)
        return tuple(
            (self._seen(each, timeout), self._front(each.service)) for each in pieces
        )

    def _seen(self, piece: Piece, timeout_s: float) -> Seen | None:
        deployment = self._deployments.get(piece.name)
        if deployment is None:
            return None
        key = RevisionKey(deployment.meta.namespace, piece.name)
        return Seen(
            namespace=_lasting(self._space.namespace),
            deployment=replace(
                deployment,
                meta=_lasting(deployment.meta),
                replicas=0,
                ready=0,
                conditions=(),
            ),
            writers=self._writers.get(piece.name, ()),
            rival=self._written[piece.name].rival,
            route_timeout_s=timeout_s,
            learned_s=float(round(self._space.learned.get(key, 0.0))),
        )

    def _front(self, name: str) -> Service | None:
        found = self._services.get(name)
        return replace(found, meta=_lasting(found.meta)) if found else None


def _too_large(one: InferenceService) -> Sheet | None:
    """Return what is said instead of a spec that was not kept."""
    if not one.too_large:
        return None
    finding = Finding(
        about=reference(one),
        reason="Malformed",
        message=f"spec has {one.too_large}, with nothing counted but what is read",
        blocks=True,
    )
    return Sheet(findings=(finding,))


def _lasting(meta: Meta) -> Meta:
    """Return *meta* without what each write changes."""
    return replace(meta, resource_version="", generation=0)


def _age(deployment: Deployment) -> tuple[float, str]:
    return deployment.meta.created, deployment.meta.name


def _grouped(writers: Iterable[Writer]) -> Mapping[str, tuple[Writer, ...]]:
    found: dict[str, tuple[Writer, ...]] = {}
    for each in sorted(writers, key=lambda one: (one.kind, one.meta.name)):
        its = replace(each, meta=Meta(name=each.meta.name))
        found[each.target] = (*found.get(each.target, ()), its)
    return found


def _timeouts(routes: Iterable[HttpRoute]) -> Mapping[str, float]:
    """Return the shortest limit of the routes to each Service."""
    found: dict[str, float] = {}
    for route in routes:
        for service in route.services if route.timeout_s > 0 else ():
            found[service] = min(found.get(service, route.timeout_s), route.timeout_s)
    return found


def _managed(enrolled: Iterable[Enrolled]) -> tuple[Managed, ...]:
    return tuple(each.managed for each in enrolled if each.managed)


def _findings(sheet: Sheet, enrolled: Iterable[Enrolled]) -> tuple[Finding, ...]:
    """Return everything said, each once."""

    def walk() -> Iterator[Finding]:
        yield from sheet.findings
        for each in enrolled:
            yield from each.findings

    return tuple(dict.fromkeys(walk()))
