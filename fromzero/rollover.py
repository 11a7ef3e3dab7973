"""From one set of revisions to the next without losing a request.

A service that is awake goes on with its old revision until the new one is ready; one
that sleeps changes at once. A revision that nothing leads to any more is removed when
it has answered what it had.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from autoscaler.backends.base import Launch
from autoscaler.core.commands import Order, Status
from autoscaler.core.domain import RevisionKey, RevisionSpec, Route
from autoscaler.core.messages import Sample
from autoscaler.events import Event, Observed
from autoscaler.kserve import Wanted

_log = logging.getLogger(__name__)
_AGAIN_S = 30.0  # A new revision that did not start is woken again so much later.

Service = tuple[str, str]
"""Namespace and name."""


class Reviser(Protocol):
    """What a rollover asks of the loop."""

    def configure(self, key: RevisionKey, spec: RevisionSpec, launch: Launch) -> None:
        """Know *key* by these settings."""

    def remove(self, key: RevisionKey) -> None:
        """Forget *key*."""

    def order(self, key: RevisionKey, order: Order) -> None:
        """Wake it."""

    def status(self, key: RevisionKey) -> Status:
        """Return how it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """Routes to be taken when their new revisions are ready."""

    routes: tuple[Route, ...]
    fresh: frozenset[RevisionKey]
    until: float
    """A start that still has no room by then never gets it beside the old one."""
    again: float
    """A start that failed is tried again then."""


class Rollover:
    """Make documents true, one service after the other."""

    def __init__(
        self,
        loop: Reviser,
        reroute: Callable[[tuple[Route, ...]], None],
        patience_s: float,
    ) -> None:
        self._loop = loop
        self._reroute = reroute
        self._patience_s = patience_s
        self._wanted: dict[RevisionKey, Wanted] = {}
        self._there: dict[RevisionKey, Wanted] = {}
        """Configured, wanted or on the way out."""
        self._routes: dict[Service, tuple[Route, ...]] = {}
        self._waiting: dict[Service, _Waiting] = {}
        self._leaving: set[RevisionKey] = set()

    @property
    def there(self) -> Mapping[RevisionKey, Wanted]:
        """All that is configured, those on the way out too."""
        return self._there

    def apply(
        self,
        wanted: Mapping[RevisionKey, Wanted],
        routes: tuple[Route, ...],
        now: float,
    ) -> None:
        """Go to these revisions and routes; settings of known ones change at once."""
        fresh = frozenset(key for key in wanted if key not in self._there)
        for key, each in wanted.items():
            if self._there.get(key) != each:
                self._there[key] = each
                self._loop.configure(key, each.spec, each.launch)
        self._wanted = dict(wanted)
        self._leaving -= wanted.keys()
        by_service = _by_service(routes)
        for service in self._routes.keys() - by_service.keys():
            del self._routes[service]
            self._waiting.pop(service, None)
        for service, its in by_service.items():
            self._turn(service, its, fresh, now)
        self._settle()

    def saw(self, event: Event, now: float) -> None:
        """Take what happened: a new revision may be ready, an old one be done."""
        key = getattr(event, "key", None)
        for service, waiting in tuple(self._waiting.items()):
            if key in waiting.fresh or now >= min(waiting.until, waiting.again):
                self._look(service, waiting, now)
        if key in self._leaving:
            match event:
                case Sample(in_flight=0, held=0):
                    self._finish(key)
                case Observed():
                    self._finish_asleep(key)
                case _:
                    pass

    def _turn(
        self,
        service: Service,
        routes: tuple[Route, ...],
        fresh: frozenset[RevisionKey],
        now: float,
    ) -> None:
        before = self._waiting.pop(service, None)
        if before is not None:
            fresh |= before.fresh
        unready = frozenset(
            key for key in _keys(routes) & fresh if not self._loop.status(key).ready
        )
        old = self._routes.get(service, ())
        awake = any(self._loop.status(key).ready for key in _keys(old))
        if not (unready and awake):
            self._routes[service] = routes
            return
        until = now + self._patience_s
        self._waiting[service] = _Waiting(
            routes=routes, fresh=unready, until=until, again=now + _AGAIN_S
        )
        for key in sorted(unready):
            _log.info("rolling over revision=%s", key)
            self._loop.order(key, Order.WAKE)

    def _look(self, service: Service, waiting: _Waiting, now: float) -> None:
        states = [self._loop.status(key) for key in waiting.fresh]
        stuck = now >= waiting.until and any(s.state == "waiting" for s in states)
        if stuck or all(each.ready for each in states):
            del self._waiting[service]
            self._routes[service] = waiting.routes
            _log.info("rolled over service=%s/%s", *service)
            self._settle()
        elif now >= waiting.again:
            self._waiting[service] = replace(waiting, again=now + _AGAIN_S)
            for key in sorted(waiting.fresh):
                self._loop.order(key, Order.WAKE)

    def _settle(self) -> None:
        """Take the routes of the moment; let go of what they do not lead to."""
        routes = tuple(each for its in self._routes.values() for each in its)
        self._reroute(routes)
        used = _keys(routes) | self._wanted.keys()
        for key in self._there.keys() - used - self._leaving:
            self._leaving.add(key)
            self._finish_asleep(key)

    def _finish_asleep(self, key: RevisionKey) -> None:
        """Remove *key* if it has no replica: only a sample says that one is idle."""
        status = self._loop.status(key)
        if not (status.ready or status.starting or status.draining):
            self._finish(key)

    def _finish(self, key: RevisionKey) -> None:
        status = self._loop.status(key)
        if status.in_flight or status.held:
            return
        self._leaving.discard(key)
        del self._there[key]
        _log.info("removed revision=%s", key)
        self._loop.remove(key)


def _keys(routes: Iterable[Route]) -> frozenset[RevisionKey]:
    return frozenset(
        key for route in routes for key, weight in route.backends if weight > 0
    )


def _by_service(routes: Iterable[Route]) -> dict[Service, tuple[Route, ...]]:
    found: dict[Service, list[Route]] = defaultdict(list)
    for each in routes:
        found[each.namespace, each.service].append(each)
    return {service: tuple(its) for service, its in found.items()}
