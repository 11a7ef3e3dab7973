"""Which service a request is for, and which of its revisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from autoscaler.core.domain import RevisionKey, Route

PREFIX: Final = b"/serving/"
"""Paths /serving/NAMESPACE/SERVICE/… name a service whatever the host.

SERVICE-COMPONENT names a component: so a transformer reaches its predictor where the
name of a Service resolves to nothing.
"""

# Spellings of hosts that are remembered: with and without a port, in any case.
_REMEMBERED: Final = 16_384
_LONGEST: Final = 255
"""Bytes of a name in DNS; longer ones are not remembered."""


@dataclass(frozen=True, slots=True)
class Found:
    """The route of a request, and how much of its path only said so."""

    route: Route
    cut: int = 0

    def path(self, path: bytes) -> bytes:
        """Return the path as the replica must see it.

        >>> Found(Route(namespace="a", service="b"), cut=12).path(b"/serving/a/b?c")
        b'/?c'
        """
        if not self.cut:
            return path
        rest = path[self.cut :]
        return rest if rest.startswith(b"/") else b"/" + rest


@dataclass(frozen=True, slots=True)
class Miss:
    """Nobody is meant by the host, the fields or the path; a body's `model` may."""

    reason: str


class Routes:
    """All routes, by each of the ways in which a request can name one.

    A host or path that is known goes before fields: a transformer that passes its
    request's fields on to its predictor must not be sent to itself.
    """

    __slots__ = (
        "_components",
        "_hosts",
        "_models",
        "_revisions",
        "_services",
        "_spellings",
        "routes",
    )

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.routes = tuple(routes)
        self._hosts: dict[bytes, Found] = {}
        self._services: dict[tuple[bytes, bytes], Route] = {}
        self._components: dict[tuple[bytes, bytes], Route] = {}
        self._models: dict[str, Route] = {}
        self._revisions: dict[RevisionKey, Route] = {}
        self._spellings: dict[bytes, Found] = {}
        for route in self.routes:
            name = f"{route.namespace}/{route.service}"
            if not route.backends:
                raise ValueError(f"the route of {name} has no revision, needs one")
            found = Found(route)
            for host in route.hosts:
                self._hosts.setdefault(host.lower().encode(), found)
            for model in route.models:
                self._models.setdefault(model, route)
            for key, _ in route.backends:
                # A component's own route says more of it than its service's.
                if route.component or key not in self._revisions:
                    self._revisions[key] = route
            namespace, service = route.namespace.encode(), route.service.encode()
            if route.component:
                service += b"-" + route.component.encode()
                self._components.setdefault((namespace, service), route)
            else:
                self._services.setdefault((namespace, service), route)

    def find(
        self, host: bytes, isvc: bytes | None, namespace: bytes | None, path: bytes
    ) -> Found | Miss:
        """Return whom a request is for, by Host, KServe-Isvc-Name and -Namespace, path.

        *isvc* without *namespace* means the namespace "default".
        """
        found = self._spellings.get(host) or self._by_host(host)
        if found is not None:
            return found
        if path.startswith(PREFIX):
            return self._by_path(path)
        if isvc is not None:
            route = self._services.get((namespace or b"default", isvc))
            if route is not None:
                return Found(route)
            where = f"{_words(namespace or b'default')}/{_words(isvc)}"
            return Miss(f"KServe-Isvc-Name names {where}, which is not served here")
        return Miss(f"nothing is served at host {_words(host) or '(none)'}")

    def by_model(self, name: str) -> Route | None:
        """Return the route of the service that OpenAI clients call *name*."""
        return self._models.get(name)

    def of(self, key: RevisionKey) -> Route:
        """Return a route that leads to *key*, or what is known of one without any."""
        route = self._revisions.get(key)
        if route is None:
            route = self._revisions[key] = Route(
                namespace=key.namespace, service=key.name, backends=((key, 100.0),)
            )
        return route

    @property
    def models(self) -> tuple[str, ...]:
        """Return every name that `by_model` knows."""
        return tuple(self._models)

    def _by_host(self, host: bytes) -> Found | None:
        name = host.lower()
        bare, colon, port = name.rpartition(b":")
        if colon and (not port or port.isdigit()):
            name = bare
        found = self._hosts.get(name.removesuffix(b"."))
        if found is not None and len(host) <= _LONGEST:
            if len(self._spellings) >= _REMEMBERED:
                self._spellings.clear()
            self._spellings[host] = found
        return found

    def _by_path(self, path: bytes) -> Found | Miss:
        plain = path.partition(b"?")[0]
        namespace, _, rest = plain[len(PREFIX) :].partition(b"/")
        service = rest.partition(b"/")[0]
        named = namespace, service
        route = self._services.get(named) or self._components.get(named)
        if route is None:
            where = f"{_words(namespace)}/{_words(service)}"
            return Miss(f"the path names {where}, which is not served here")
        return Found(route, cut=len(PREFIX) + len(namespace) + 1 + len(service))


def choose(route: Route, chance: float) -> RevisionKey:
    """Return the revision that a uniform in [0, 1) falls on, by the routes' weights.

    >>> old, new = RevisionKey("a", "1"), RevisionKey("a", "2")
    >>> route = Route(namespace="a", service="b", backends=((old, 80.0), (new, 20.0)))
    >>> choose(route, 0.79).name, choose(route, 0.81).name
    ('1', '2')
    """
    backends = route.backends
    if len(backends) == 1:
        return backends[0][0]
    at = chance * sum(weight for _, weight in backends)
    for key, weight in backends:
        if at < weight:
            return key
        at -= weight
    # Rounding can leave a little over: it belongs to the last that has any weight.
    return next(key for key, weight in reversed(backends) if weight > 0)


def _words(raw: bytes) -> str:
    return raw.decode("ascii", "backslashreplace")
