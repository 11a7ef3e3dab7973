"""The loop: what is heard goes to the Fleet, what the Fleet commands is applied."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol, TypeVarTuple

from autoscaler.backends.base import Backend, Launch
from autoscaler.clock import Clock, monotonic, wall
from autoscaler.core.commands import Command, Decided, Order, Scale, Status, Tell
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.messages import Downlink, Ready, Uplink, View
from autoscaler.events import Event, Failure, Moment, Observed
from autoscaler.telemetry import Telemetry

Ts = TypeVarTuple("Ts")

_log = logging.getLogger(__name__)
_KEPT = 20  # Decisions of each revision kept for `explain`.
_AGAIN_S = 1.0  # After a Fleet that raised: it is asked again, but not in a spin.


class Decider(Protocol):
    """What the loop asks of a Fleet, recorded or not."""

    @property
    def wake_at(self) -> float:
        """When `advance` is wanted next."""

    def configure(self, key: RevisionKey, spec: RevisionSpec, now: float) -> None:
        """Know *key* by these settings."""

    def remove(self, key: RevisionKey, now: float) -> None:
        """Forget *key*."""

    def joined(self, reporter: str, now: float) -> None:
        """Expect samples of *reporter*."""

    def left(self, reporter: str, now: float) -> None:
        """Expect none of it any more."""

    def hear(self, message: Uplink, now: float) -> None:
        """Take what an activator says."""

    def observe(
        self, key: RevisionKey, replicas: tuple[Replica, ...], now: float
    ) -> None:
        """Take the backend's complete picture of *key*."""

    def failed(self, key: RevisionKey, failure: StartFailure, now: float) -> None:
        """Take a start that failed."""

    def usage(self, key: RevisionKey, percent: float, now: float) -> None:
        """Take the mean use of cpu or memory."""

    def order(self, key: RevisionKey, order: Order, now: float) -> None:
        """Take what a person asks for."""

    def lead(self, *, leading: bool, now: float) -> None:
        """Decide alone, or follow another."""

    def standing(
        self, key: RevisionKey, now: float, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        """Know what a backend alone knows of *key*."""

    def rebudget(self, budget: Budget, now: float) -> None:
        """Know what room there is."""

    def advance(self, now: float) -> None:
        """Do all that is due by *now*."""

    def take(self) -> list[Command]:
        """Return the commands since the last take."""

    def view(self, key: RevisionKey) -> View:
        """Return *key* as activators must see it."""

    def status(self, key: RevisionKey) -> Status:
        """Return *key* as `status` shows it."""

    def keys(self) -> Iterable[RevisionKey]:
        """Return all revisions."""


class Loop:
    """Own the Fleet and its timer; a Sink for the backend, an ear for activators.

    A call that fails is logged with its revision and changes nothing for the others.
    """

    def __init__(
        self, fleet: Decider, telemetry: Telemetry, clock: Clock = monotonic
    ) -> None:
        self._fleet = fleet
        self._telemetry = telemetry
        self._clock = clock
        self._backend: Backend | None = None
        self._links: dict[str, Callable[[Downlink], None]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._known: set[RevisionKey] = set()
        self._moments: dict[RevisionKey, deque[Moment]] = {}
        self._calls: deque[tuple[RevisionKey | None, Callable[[float], None]]] = deque()
        self._events: deque[Event] = deque()
        self._busy = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = inf

    def attach(self, backend: Backend) -> None:
        """Apply commands to *backend* from now on."""
        self._backend = backend

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Tell *listener* of all that happens, in order."""
        self._listeners.append(listener)

    def join(
        self, reporter: str, link: Callable[[Downlink], None] | None = None
    ) -> None:
        """Let an activator in: *link* gets every view now and each change after."""
        if link is not None:
            self._links[reporter] = link
            for view in self.views():
                link(view)
        self._do(None, lambda now: self._fleet.joined(reporter, now))

    def leave(self, reporter: str) -> None:
        """Let an activator go."""
        self._links.pop(reporter, None)
        self._do(None, lambda now: self._fleet.left(reporter, now))

    def hear(self, message: Uplink) -> None:
        """Take what an activator says."""
        key = message.key
        if isinstance(message, Ready) and self._backend is not None:
            self._guarded(key, self._backend.ready, key, message.replica)
        self._do(key, lambda now: self._fleet.hear(message, now), message)

    def configure(
        self, key: RevisionKey, spec: RevisionSpec, launch: Launch | None = None
    ) -> None:
        """Know a revision, or know it by new settings, without a restart.

        Without *launch* its backend knows by itself how a replica is started.
        """
        self._known.add(key)
        backend = self._backend
        if backend is not None and launch is not None:
            self._guarded(key, backend.configure, key, launch)
        self._do(key, lambda now: self._fleet.configure(key, spec, now))

    def remove(self, key: RevisionKey) -> None:
        """Forget a revision; what it still has in flight gets its grace."""
        self._do(key, lambda now: self._fleet.remove(key, now))
        backend = self._backend
        if backend is not None:
            self._guarded(key, backend.remove, key)
        self._known.discard(key)
        self._moments.pop(key, None)
        self._telemetry.forget(key)

    def order(self, key: RevisionKey, order: Order) -> None:
        """Do what a person asks for."""
        _log.info("ordered revision=%s order=%s", key, order.value)
        self._do(key, lambda now: self._fleet.order(key, order, now))

    def lead(self, *, leading: bool) -> None:
        """Decide alone, or follow another that does."""
        _log.info("leading=%s", leading)
        self._do(None, lambda now: self._fleet.lead(leading=leading, now=now))

    def standing(
        self, key: RevisionKey, *, aside: bool, keeps: str, awaits: str
    ) -> None:
        """Know how activators stand to *key*, why it must not go to zero now, and what
        a start waits for that takes its own time."""
        self._do(
            key,
            lambda now: self._fleet.standing(
                key, now, aside=aside, keeps=keeps, awaits=awaits
            ),
        )

    def rebudget(self, budget: Budget) -> None:
        """Know what room there is."""
        self._do(None, lambda now: self._fleet.rebudget(budget, now))

    def usage(self, key: RevisionKey, percent: float) -> None:
        """Take the mean use of cpu or memory by *key*'s replicas, % of the request."""
        self._do(key, lambda now: self._fleet.usage(key, percent, now))

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        """Take the backend's picture of *key*.

        Of a revision that was removed only the Fleet must know: it took room until now.
        """
        event = Observed(key=key, replicas=replicas) if key in self._known else None
        self._do(key, lambda now: self._fleet.observe(key, replicas, now), event)

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        """Take a start that failed."""
        _log.warning("start failed revision=%s reason=%s", key, failure.reason)
        self._keep(key, failure)
        self._do(
            key,
            lambda now: self._fleet.failed(key, failure, now),
            Failure(key=key, failure=failure),
        )

    def keys(self) -> tuple[RevisionKey, ...]:
        """Return all revisions, in order."""
        return tuple(sorted(self._fleet.keys()))

    def views(self) -> tuple[View, ...]:
        """Return all revisions as activators must see them."""
        return tuple(self._fleet.view(key) for key in self.keys())

    def status(self, key: RevisionKey) -> Status:
        """Return one revision as `status` shows it; KeyError: there is none."""
        return self._fleet.status(key)

    def statuses(self) -> tuple[Status, ...]:
        """Return all revisions as `status` shows them."""
        return tuple(self._fleet.status(key) for key in self.keys())

    def moments(self, key: RevisionKey) -> tuple[Moment, ...]:
        """Return what was last decided for *key*, oldest first."""
        return tuple(self._moments.get(key, ()))

    def close(self) -> None:
        """Decide nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _do(
        self,
        key: RevisionKey | None,
        call: Callable[[float], None],
        event: Event | None = None,
    ) -> None:
        """Make *call*, apply what follows, tell listeners; in the order of asking.

        A command may make somebody call again before it returns: that waits its turn.
        """
        if self._closed:
            return
        self._calls.append((key, call))
        if event is not None:
            self._events.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._calls:
                of, one = self._calls.popleft()
                self._guarded(of, one, self._clock())
                for command in self._fleet.take():
                    self._apply(command)
                self._announce()
        finally:
            self._busy = False
        self._arm()

    def _apply(self, command: Command) -> None:
        match command:
            case Scale(key=key, replicas=replicas, stop=stop, reason=reason):
                _log.info(
                    'scale revision=%s replicas=%d stop=%d reason="%s"',
                    key, replicas, len(stop), reason,
                )  # fmt: skip
                self._keep(key, command)
                backend = self._backend
                if backend is not None:
                    self._guarded(key, backend.scale, key, replicas, stop)
            case Tell(message=message):
                for link in tuple(self._links.values()):
                    self._guarded(message.key, link, message)
            case Decided(key=key):
                self._keep(key, command)
        self._events.append(command)

    def _announce(self) -> None:
        while self._events:
            event = self._events.popleft()
            self._guarded(None, self._telemetry.saw, event)
            for listener in tuple(self._listeners):
                self._guarded(None, listener, event)

    def _keep(self, key: RevisionKey, what: Decided | Scale | StartFailure) -> None:
        kept = self._moments.setdefault(key, deque(maxlen=_KEPT))
        if kept and _alike(kept[-1].what, what):
            kept.pop()  # The newest of those that say the same is enough.
        kept.append(Moment(at=wall(), what=what))

    def _guarded(
        self, key: RevisionKey | None, call: Callable[[*Ts], None], *args: *Ts
    ) -> None:
        try:
            call(*args)
        except Exception:
            _log.exception("failed revision=%s", key or "-")

    def _arm(self) -> None:
        """Keep one timer: a wish for later waits until it rings, one for sooner not."""
        at = self._fleet.wake_at
        if self._closed or at >= self._armed_for or at == inf:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = at
        delay_s = max(0.0, at - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._armed_for = None, inf
        now = self._clock()
        if self._fleet.wake_at > now:
            self._arm()
            return
        self._do(None, self._fleet.advance)
        if self._fleet.wake_at <= now and self._timer is not None:
            self._timer.cancel()
            self._armed_for = now + _AGAIN_S
            self._timer = asyncio.get_running_loop().call_later(_AGAIN_S, self._ring)


def _alike(one: Decided | Scale | StartFailure, other: object) -> bool:
    return (
        isinstance(one, Decided)
        and isinstance(other, Decided)
        and (one.replicas, one.reason) == (other.replicas, other.reason)
    )
