"""The names by which services and their components are reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoscaler.core.domain import RevisionKey, Route
from autoscaler.errors import Problem
from autoscaler.service import EXPLAINER, PREDICTOR, TRANSFORMER, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One component's revisions."""

    namespace: str
    service: str
    component: str
    base: str
    """Name of its Service in a cluster, which is a host of its own."""
    backends: tuple[tuple[RevisionKey, float], ...]
    models: tuple[str, ...] = ()
    """What its arguments call the model."""


def routes(entrances: Sequence[Entrance], domain: str) -> tuple[Route, ...]:
    """Return the routes of all services, each service's own entrance first.

    A service without a namespace in its `model` is meant by its bare name only where
    no other namespace has a service of that name.
    """
    services: dict[tuple[str, str], list[Entrance]] = {}
    for each in entrances:
        services.setdefault((each.namespace, each.service), []).append(each)
    bare = Counter(name for _, name in services)
    found: list[Route] = []
    for (namespace, name), its in services.items():
        first = _first(its)
        called = dict.fromkeys(model for each in its for model in each.models)
        alone = (name,) if bare[name] == 1 else ()
        found.append(
            Route(
                namespace=namespace,
                service=name,
                hosts=tuple(hosts_of(name, namespace, domain)),
                models=tuple(dict.fromkeys((*alone, f"{namespace}/{name}", *called))),
                backends=_backends(first),
            )
        )
        found += _components(its, namespace, name, domain)
    return tuple(found)


def _first(its: Sequence[Entrance]) -> list[Entrance]:
    """Return what a request to the service itself goes to."""
    front = [each for each in its if each.component == TRANSFORMER]
    return front or [each for each in its if each.component == PREDICTOR]


def _components(
    its: Sequence[Entrance], namespace: str, name: str, domain: str
) -> Iterator[Route]:
    for component in (PREDICTOR, TRANSFORMER, EXPLAINER):
        group = [each for each in its if each.component == component]
        if not group:
            continue
        whole = f"{name}-{component}"
        yield Route(
            namespace=namespace,
            service=name,
            component=component,
            hosts=tuple(hosts_of(whole, namespace, domain)),
            backends=_backends(group),
        )
        for each in group:
            if each.base != whole:
                yield Route(
                    namespace=namespace,
                    service=name,
                    component=component,
                    hosts=tuple(hosts_of(each.base, namespace, domain)),
                    backends=_scaled(each.backends),
                )


def _backends(its: Sequence[Entrance]) -> tuple[tuple[RevisionKey, float], ...]:
    return tuple(pair for each in its for pair in each.backends)


def _scaled(
    backends: tuple[tuple[RevisionKey, float], ...],
) -> tuple[tuple[RevisionKey, float], ...]:
    """Return *backends* with weights that sum to 100: a variant met by its own name."""
    total = sum(weight for _, weight in backends)
    if not total:
        return tuple((key, 100.0 / len(backends)) for key, _ in backends)
    return tuple((key, weight * 100.0 / total) for key, weight in backends)


def hosts_of(name: str, namespace: str, domain: str) -> Iterator[str]:
    """Return every host that means *name*: outside first, then as in a cluster."""
    if domain:
        yield f"{name}-{namespace}.{domain}"
        yield f"{name}.{namespace}.{domain}"
    for suffix in ("", ".svc", ".svc.cluster.local"):
        yield f"{name}.{namespace}{suffix}"


def clashes(services: Sequence[Service], domain: str) -> Iterator[Problem]:
    """Complain of two services that the same host would mean."""
    taken: dict[str, Service] = {}
    for service in services:
        document = service.document
        names = {document.name, *(each.base for each in service.pieces)}
        names |= {f"{document.name}-{each.component}" for each in service.pieces}
        hosts = {
            host
            for name in names
            for host in hosts_of(name, document.namespace, domain)
        }
        for host in sorted(hosts & taken.keys())[:1]:
            other = taken[host]
            if other.name == service.name:
                continue  # documents.py has said that it is there twice.
            yield Problem(
                file=document.root.file,
                line=document.root.line,
                field=f"InferenceService {service.name}",
                rule=f"is reached at {host}, and so is {other.name}; give one of them "
                "another name",
            )
        taken |= {host: service for host in hosts if host not in taken}
