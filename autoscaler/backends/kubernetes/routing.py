"""How requests that a gateway sends to the activators find revisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from autoscaler.backends.kubernetes.managed import Managed
from autoscaler.backends.kubernetes.piece import Piece
from autoscaler.core.domain import RevisionKey, Route
from autoscaler.entrances import Entrance, hosts_of, routes
from autoscaler.service import PREDICTOR, TRANSFORMER

_FRONT = (TRANSFORMER, PREDICTOR)
"""What a request to the service itself goes to: the first of these that there is."""


def of_service(
    name: str, pieces: Sequence[Piece], managed: Sequence[Managed], domain: str
) -> tuple[Route, ...]:
    """Return the routes to an InferenceService's revisions.

    A canary that is not managed, or not there yet, leaves its share to the others.
    Where the stable one is not managed, only canaries by their own names are reached.
    """
    known = {each.key.name: each.key for each in managed}
    if not known:
        return ()
    namespace = managed[0].key.namespace
    front = _front(pieces)
    entrances = [
        Entrance(
            namespace=namespace,
            service=name,
            component=piece.component,
            base=piece.name,
            backends=((known[piece.name], weight),),
            models=_models(name, piece) if piece.component == front else (),
        )
        for piece, weight in _weighted([p for p in pieces if p.name in known])
    ]
    stable = {each.component: each.name for each in reversed(pieces)}
    lost = {component for component, its in stable.items() if its not in known}

    def serves(route: Route) -> bool:
        whole = f"{name}-{route.component}.{namespace}"
        if (route.component or front) not in lost:
            return True
        return bool(route.component) and whole not in route.hosts

    return tuple(each for each in routes(entrances, domain) if serves(each))


def _weighted(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, float]]:
    """Walk *pieces* with weights that sum to 100 within each component."""
    sums: dict[str, float] = {}
    first: dict[str, str] = {}
    for each in pieces:
        sums[each.component] = sums.get(each.component, 0.0) + each.share
        first.setdefault(each.component, each.name)
    for each in pieces:
        total = sums[each.component]
        if total:
            yield each, each.share * 100.0 / total
        else:
            yield each, 100.0 if first[each.component] == each.name else 0.0


def of_deployment(managed: Managed, domain: str) -> Route:
    """Return the route to a plain Deployment, by the name of its Service."""
    namespace, service = managed.key.namespace, managed.service
    return Route(
        namespace=namespace,
        service=service,
        hosts=tuple(hosts_of(service, namespace, domain)),
        models=(service, f"{namespace}/{service}"),
        backends=((managed.key, 100.0),),
    )


def together(managed: Sequence[Managed], pieces: Sequence[Piece]) -> Iterator[Managed]:
    """Have transformers and explainers wake the predictor that they call."""
    stable = next((each.name for each in pieces if each.component == PREDICTOR), None)
    called: tuple[RevisionKey, ...] = tuple(
        each.key for each in managed if each.key.name == stable
    )
    for each in managed:
        if each.component in ("", PREDICTOR):
            yield each
        else:
            yield replace(each, spec=replace(each.spec, together=called))


def distinct(every: Iterable[Route]) -> tuple[Route, ...]:
    """Return all routes of a cluster, without what two namespaces or services claim.

    Hosts are NAME-NAMESPACE.DOMAIN, so a-b in c and a in b-c have one: it is neither's,
    or one tenant could take another's requests. As a model, NAMESPACE/SERVICE is
    nobody's but that service's.
    """
    found = tuple(every)
    claimants: dict[str, set[str]] = defaultdict(set)
    for each in found:
        for host in each.hosts:
            claimants[host].add(each.namespace)
    own = {f"{each.namespace}/{each.service}" for each in found}
    claims = Counter(model for route in found for model in route.models)

    def its(route: Route, model: str) -> bool:
        if model in own:
            return model == f"{route.namespace}/{route.service}"
        return claims[model] < 2

    return tuple(
        replace(
            route,
            hosts=tuple(each for each in route.hosts if len(claimants[each]) < 2),
            models=tuple(each for each in route.models if its(route, each)),
        )
        for route in found
    )


def _front(pieces: Sequence[Piece]) -> str:
    there = {each.component for each in pieces}
    return next((each for each in _FRONT if each in there), "")


def _models(name: str, piece: Piece) -> tuple[str, ...]:
    return (piece.model,) if piece.model and piece.model != name else ()
