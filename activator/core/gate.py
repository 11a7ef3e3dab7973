"""One revision's door: who may be forwarded where, and who waits."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from activator.core.balance import Choose, least_of_two, policy
from activator.core.meter import Meter
from activator.core.ticket import Endpoint, Ticket
from autoscaler.core.affinity import Affinity, affinity
from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, Refusal, ReplicaLoad, View

_SOONEST_S: Final = 1.0
_LATEST_S: Final = 60.0
"""No estimate is believed beyond these."""


class Gate:
    """Written by its Switchboard alone, except that a driver hangs its pools on it.

    The law of `free`: whoever is in it may be given a request right now, so while it is
    not empty nobody is held.
    """

    __slots__ = (
        "affinity",
        "bytes",
        "choose",
        "endpoints",
        "epoch",
        "free",
        "gone",
        "key",
        "leaving",
        "meter",
        "paused",
        "probe",
        "queue",
        "refusal",
        "spec",
        "throughput",
        "version",
        "wake_took_s",
        "waking_since",
        "woken",
    )

    def __init__(self, key: RevisionKey) -> None:
        self.key = key
        self.version = -1
        self.epoch = 0
        self.spec = GateSpec()
        self.probe = Probe()
        self.paused = ""
        self.refusal: Refusal | None = None
        self.gone = False
        self.endpoints: dict[str, Endpoint] = {}
        """Those in the view, in its order."""
        self.leaving: dict[str, Endpoint] = {}
        """Those that left the view while they had requests: if one came back as a new
        object, it could be given more than its slots."""
        self.free: list[Endpoint] = []
        self.choose: Choose = least_of_two
        self.affinity: Affinity | None = None
        """What of a request is the key that it is chosen by."""
        self.queue: OrderedDict[Ticket, None] = OrderedDict()
        """Held requests, first come first: any can leave from the middle at once."""
        self.bytes = 0
        """Sum of the sizes of held requests, and of what is kept of others."""
        self.meter = Meter()
        self.woken: int | None = None
        """The epoch of the last wake."""
        self.waking_since: float | None = None
        """Since when somebody waits for a first endpoint to be ready."""
        self.wake_took_s: float | None = None
        """How long that was, the last time."""
        self.throughput = 0.0
        """Requests per second that ended in the last report's span."""

    @property
    def awake(self) -> bool:
        """Say whether an endpoint is ready and stays."""
        return any(e.ready and not e.draining for e in self.endpoints.values())

    @property
    def least_busy(self) -> Endpoint | None:
        """Return who may be given requests and has the fewest, whatever its limit."""
        may = [each for each in self.endpoints.values() if each.open]
        return min(may, key=lambda each: each.in_flight) if may else None

    def see(self, view: View, now: float) -> None:
        """Be as *view* says; endpoints that stay keep what they have in flight."""
        self.version = view.version
        self.epoch = view.epoch
        self.spec = view.gate
        self.choose = policy(view.gate)
        self.affinity = affinity(view.gate.balance)
        self.probe = view.probe
        self.paused = view.paused
        self.refusal = view.refusal
        before = self.leaving | self.endpoints
        self.endpoints = {}
        for address in view.addresses:
            endpoint = before.pop(address.replica, None)
            if endpoint is None:
                endpoint = Endpoint(address.replica, now)
            self.endpoints[address.replica] = endpoint
            _move(endpoint, address)
        self.leaving = {name: each for name, each in before.items() if each.in_flight}
        for each in before.values():
            each.ready = each.open = each.draining = False
            each.place = -1
            each.slots = 0
        self.sort()

    def close(self) -> None:
        """Let nobody through any more."""
        self.gone = True
        self.refusal = None
        for each in self.endpoints.values():
            each.draining = False
        self.sort()

    def sort(self) -> None:
        """Find out anew who may be given requests; the first of the view goes last."""
        shut = bool(self.gone or self.paused or self.refusal)
        self.free.clear()
        for each in reversed(self.endpoints.values()):
            each.open = each.ready and not each.draining and not shut
            each.place = -1
            if each.open and each.vacant:
                self.join(each)

    def join(self, endpoint: Endpoint) -> None:
        """Let *endpoint*, which is open and vacant, be chosen."""
        endpoint.place = len(self.free)
        self.free.append(endpoint)

    def drop(self, endpoint: Endpoint) -> None:
        """Let *endpoint* be chosen no more; the last takes its place."""
        last = self.free.pop()
        if last is not endpoint:
            self.free[endpoint.place] = last
            last.place = endpoint.place
        endpoint.place = -1

    def another(self, endpoint: Endpoint, pick: float, now: float) -> Endpoint | None:
        """Choose an endpoint for a request that *endpoint* failed; itself at last."""
        if endpoint.place < 0 and endpoint.open and endpoint.vacant:
            self.join(endpoint)
        free = self.free
        if not free:
            return None
        chosen = self.choose(free, pick, now)
        # A negative index goes round: it is another one wherever there is one.
        return free[endpoint.place - 1] if chosen is endpoint else chosen

    def loads(self, now: float) -> tuple[ReplicaLoad, ...]:
        """Return what is where: for each of the view, and what else has anything."""
        loads = [_load(each, now) for each in self.endpoints.values()]
        loads += [_load(each, now) for each in self.leaving.values()]
        return tuple(loads)

    def patience_s(self, now: float) -> float:
        """Estimate when one more request would find a place.

        While a first endpoint starts: what is left of the time that the last start
        took, or as long again as it has taken. Else the time to serve who is held.
        """
        since = self.waking_since
        if since is None:
            wait_s = len(self.queue) / self.throughput if self.throughput else 0.0
        elif self.wake_took_s is None:
            wait_s = now - since
        else:
            wait_s = since + self.wake_took_s - now
        return min(max(wait_s, _SOONEST_S), _LATEST_S)


def _load(endpoint: Endpoint, now: float) -> ReplicaLoad:
    """Return what *endpoint* has; hundreds that stay busy each second cost nothing."""
    load, in_flight = endpoint.load, endpoint.in_flight
    ready = endpoint.ready
    if (
        not in_flight
        or load is None
        or load.in_flight != in_flight
        or load.ready is not ready
    ):
        load = endpoint.load = ReplicaLoad(
            replica=endpoint.replica,
            in_flight=in_flight,
            idle_s=0.0 if in_flight else max(0.0, now - endpoint.used),
            ready=ready,
            slots=None if endpoint.slots < 0 else endpoint.slots,
        )
    return load


def _move(endpoint: Endpoint, address: Address) -> None:
    if (endpoint.host, endpoint.port) != (address.host, address.port):
        # Whatever answered at the old address says nothing of the new one.
        endpoint.host, endpoint.port = address.host, address.port
        endpoint.ready = False
    endpoint.ports = dict(address.ports)
    keeps = address.kept and 0 <= endpoint.slots < address.slots
    if not keeps:
        endpoint.slots = address.slots
    endpoint.load = None
    endpoint.drained = endpoint.drained and address.draining
    endpoint.draining = address.draining
