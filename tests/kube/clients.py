"""Clients as kube-proxy serves them: each behind the EndpointSlices by a lag of its own.

A new connection goes to any endpoint of all slices of a Service, at random; a kept one
stays where it is, also when its endpoint has left the slices; a Service without endpoints
refuses.  A request is tried once, and each ends in one Outcome.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from tests.kube.calls import Connection, Outcome, Reply, Request, Unfinished
from tests.kube.documents import at
from tests.kube.talk import Mirror, Object, Talk

LAG_S = 5.0
CONNECT_S = 5.0
PATIENCE_S = 120.0
KEPT = 4
"""How many idle connections a client keeps."""
TOLD = 300
"""How many troubles a report tells of one by one."""
POD = re.compile(rb'"pod": ?"([^"]+)"')


class Endpoint(NamedTuple):
    address: str
    port: int
    pod: str = ""
    """By the slice's targetRef; empty: an activator, or unknown."""


Ports = Mapping[str, tuple[Endpoint, ...]]
"""Ready endpoints by the name of the Service's port."""

View = Callable[[float], tuple[Endpoint, ...]]
"""The endpoints of one port of a Service, as they were at a monotonic time."""

Asks = Callable[[str, random.Random], Request]
"""Makes the request with an id."""


class History:
    """What was so, and since when; what is older than every lag is forgotten."""

    def __init__(self) -> None:
        self._known: list[tuple[float, Ports]] = []

    def add(self, ports: Ports, now: float) -> None:
        self._known.append((now, ports))
        while len(self._known) > 1 and self._known[1][0] < now - LAG_S - 1.0:
            self._known.pop(0)

    def at(self, port: str, when: float) -> tuple[Endpoint, ...]:
        found: tuple[Endpoint, ...] = ()
        for since, ports in self._known:
            if since > when:
                break
            found = ports.get(port, ())
        return found


class Slices:
    """What the EndpointSlices of a namespace said, and when."""

    def __init__(self, talk: Talk, namespace: str, family: str = "IPv4") -> None:
        self._mirror = Mirror(talk, at(namespace, "endpointslices"), self._told)
        self._family = family
        self._histories: dict[str, History] = {}

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[Slices]:
        """Follow them until the block ends."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._mirror.run())
            try:
                await self._mirror.synced.wait()
                yield self
            finally:
                task.cancel()

    def _told(self, changed: Object) -> None:
        name = service_of(changed)
        every = self._mirror.objects.values()
        slices = [each for each in every if service_of(each) == name]
        history = self._histories.setdefault(name, History())
        history.add(by_port(slices, self._family), time.monotonic())

    def view(self, service: str, port: str) -> View:
        """Return the view of a Service's port, by the port's name."""

        def seen(when: float) -> tuple[Endpoint, ...]:
            history = self._histories.get(service)
            return history.at(port, when) if history else ()

        return seen


def service_of(slice_: Object) -> str:
    labels = slice_["metadata"].get("labels") or {}
    return str(labels.get("kubernetes.io/service-name", ""))


def by_port(slices: Collection[Object], family: str = "IPv4") -> Ports:
    """Return the ready endpoints of all *slices* by the name of the Service's port."""
    found: dict[str, set[Endpoint]] = {}
    for each in slices:
        if each.get("addressType") != family:
            continue
        for port in each.get("ports") or ():
            for endpoint in each.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is False:
                    continue
                pod = (endpoint.get("targetRef") or {}).get("name", "")
                where = Endpoint(endpoint["addresses"][0], port["port"], pod)
                found.setdefault(port.get("name") or "", set()).add(where)
    return {name: tuple(sorted(each)) for name, each in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One request that did not get a right answer."""

    id: str
    outcome: Outcome
    why: str
    endpoint: Endpoint | None = None
    pod: str = ""
    """Which pod answered, or would have; empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The account of all requests: `sent` is the sum of `ends`, `killed` and `open`."""

    sent: int
    open: int
    """Without an end yet."""
    ends: Counter[Outcome]
    killed: int
    """Cut or broken by the end of a replica that the test killed."""
    pods: Counter[str]
    """Right answers by pod."""
    waits_s: tuple[float, ...]
    """How long each right answer took, sorted."""
    troubles: tuple[Trouble, ...]

    @property
    def whole(self) -> bool:
        """Say whether the account adds up: no request has no end, and none has two."""
        return self.sent == sum(self.ends.values()) + self.killed + self.open

    @property
    def right(self) -> int:
        return self.ends[Outcome.RIGHT]

    @property
    def lost(self) -> int:
        """Requests that were sent and got no complete right answer, 429 and 503 apart."""
        ends = (Outcome.WRONG, Outcome.RACED, Outcome.BROKEN, Outcome.CUT)
        return sum(self.ends[each] for each in ends)

    def quantile(self, part: float) -> float:
        """Return how long *part* of the right answers took at most."""
        if not self.waits_s:
            return 0.0
        return self.waits_s[min(int(part * len(self.waits_s)), len(self.waits_s) - 1)]

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        told = "".join(
            f"\n  {each.id} {each.outcome}: {each.why} at {each.endpoint} {each.pod}"
            for each in self.troubles[:20]
        )
        waits = f"p50 {self.quantile(0.5):.3f} s, max {self.quantile(1.0):.3f} s"
        return f"{self.sent} sent: {ends}, {self.killed} killed, {self.open} open; {waits}{told}"


class _Client:
    """One client: its lag, its chance, and the connections it keeps."""

    def __init__(self, seed: str, lag_s: float) -> None:
        self.random = random.Random(seed)
        self.lag_s = self.random.uniform(0.0, lag_s)
        self.idle: list[tuple[Connection, Endpoint]] = []


class Clients:
    """A number of clients of one port of a Service; close them at the end."""

    def __init__(
        self,
        view: View,
        asks: Asks,
        *,
        count: int = 10,
        seed: int = 0,
        lag_s: float = LAG_S,
        fresh: float = 0.2,
        name: str = "r",
    ) -> None:
        """*fresh* is the share of requests on new connections although one is kept.

        *lag_s* is the longest lag; a test in a hurry scales it down.
        """
        self._view, self._asks, self._fresh, self._name = view, asks, fresh, name
        self._clients = [_Client(f"{seed}/{each}", lag_s) for each in range(count)]
        self._random = random.Random(f"{seed}/arrivals")
        self._sent = self._open = 0
        self._ends: Counter[Outcome] = Counter()
        self._pods: Counter[str] = Counter()
        self._waits_s: list[float] = []
        self._troubles: list[Trouble] = []
        self._stopping = asyncio.Event()

    @property
    def lags_s(self) -> tuple[float, ...]:
        """How far each client is behind the slices."""
        return tuple(each.lag_s for each in self._clients)

    def stop(self) -> None:
        """Send nothing more; what is in flight ends as it may."""
        self._stopping.set()

    def close(self) -> None:
        """Close the connections that are kept."""
        for client in self._clients:
            while client.idle:
                client.idle.pop()[0].close()

    async def rate(self, per_s: float, for_s: float) -> None:
        """Send *per_s* requests a second, at random times, whatever becomes of them."""
        end = next_ = time.monotonic()
        end += for_s
        async with asyncio.TaskGroup() as group:
            while (next_ := next_ + self._random.expovariate(per_s)) < end:
                if await self._stopped(next_ - time.monotonic()):
                    break
                client = self._random.choice(self._clients)
                group.create_task(self._send(client))

    async def loops(self, for_s: float) -> None:
        """Have each client send its next request when it has the answer to its last."""
        end = time.monotonic() + for_s

        async def loop(client: _Client) -> None:
            while time.monotonic() < end and not self._stopping.is_set():
                outcome = await self._send(client)
                if outcome in (Outcome.NOWHERE, Outcome.REFUSED):
                    await self._stopped(0.05)

        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(loop(client))

    async def one(self) -> Outcome:
        """Send one request now."""
        return await self._send(self._random.choice(self._clients))

    async def _stopped(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(max(within_s, 0.0)):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, client: _Client) -> Outcome:
        """Send the next request by *client*, and account for its end."""
        self._sent += 1
        self._open += 1
        try:
            return await self._try(client)
        finally:
            self._open -= 1

    async def _try(self, client: _Client) -> Outcome:
        request = self._asks(f"{self._name}-{self._sent}", client.random)
        began = time.monotonic()
        connection, endpoint = self._kept(client)
        if connection is None or endpoint is None:
            choice = self._view(began - client.lag_s)
            if not choice:
                return self._end(request, Outcome.NOWHERE, "no endpoint")
            endpoint = client.random.choice(choice)
            try:
                async with asyncio.timeout(CONNECT_S):
                    connection = await Connection.to(endpoint.address, endpoint.port)
            except (OSError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
                return self._end(request, Outcome.REFUSED, why, endpoint)
        try:
            async with asyncio.timeout(PATIENCE_S):
                reply = await connection.ask(request.data)
        except (Unfinished, TimeoutError) as error:
            kept, got = connection.answers > 0, connection.got
            connection.close()
            raced = isinstance(error, Unfinished) and kept and not got
            outcome = Outcome.RACED if raced else broken(request, got)
            why = f"{type(error).__name__}: {error}"
            return self._end(request, outcome, why, endpoint, answering(got, endpoint))
        if reply.closes:
            connection.close()
        else:
            client.idle.append((connection, endpoint))
            if len(client.idle) > KEPT:
                client.idle.pop(0)[0].close()
        return self._judge(request, reply, endpoint, time.monotonic() - began)

    def _kept(self, client: _Client) -> tuple[Connection | None, Endpoint | None]:
        """Return a kept connection, unless chance wants a new one."""
        while client.idle and client.random.random() >= self._fresh:
            connection, endpoint = client.idle.pop()
            if connection.open:
                return connection, endpoint
            connection.close()
        return None, None

    def _judge(
        self, request: Request, reply: Reply, endpoint: Endpoint, took_s: float
    ) -> Outcome:
        pod = answering(reply.body, endpoint)
        said = reply.body[:200].decode(errors="replace")
        match reply.status:
            case 200:
                if why := request.check(reply):
                    return self._end(request, Outcome.WRONG, why, endpoint, pod)
                self._ends[Outcome.RIGHT] += 1
                self._pods[pod] += 1
                self._waits_s.append(took_s)
                return Outcome.RIGHT
            case 429:
                return self._end(request, Outcome.BUSY, said, endpoint, pod)
            case 503:
                return self._end(request, Outcome.UNAVAILABLE, said, endpoint, pod)
            case other:
                return self._end(
                    request, Outcome.WRONG, f"{other} {said}", endpoint, pod
                )

    def _end(
        self,
        request: Request,
        outcome: Outcome,
        why: str,
        endpoint: Endpoint | None = None,
        pod: str = "",
    ) -> Outcome:
        self._ends[outcome] += 1
        trouble = Trouble(
            id=request.id, outcome=outcome, why=why, endpoint=endpoint, pod=pod
        )
        self._troubles.append(trouble)
        return outcome

    def report(self, killed: Collection[str] = ()) -> Report:
        """Return the account so far; *killed* are the pods whose end a test brought about."""
        ends, counted = Counter(self._ends), 0
        for each in self._troubles:
            ended = each.outcome in (Outcome.CUT, Outcome.BROKEN, Outcome.RACED)
            if ended and each.pod in killed:
                ends[each.outcome] -= 1
                counted += 1
        return Report(
            sent=self._sent,
            open=self._open,
            ends=+ends,
            killed=counted,
            pods=Counter(self._pods),
            waits_s=tuple(sorted(self._waits_s)),
            troubles=tuple(self._troubles[:TOLD]),
        )


def broken(request: Request, got: bytes) -> Outcome:
    """Return how a request ended of whose answer only *got* came."""
    begun = request.stream and b"\ndata:" in got
    return Outcome.CUT if begun else Outcome.BROKEN


def answering(got: bytes, endpoint: Endpoint) -> str:
    """Return the pod that an answer names, or that of the endpoint."""
    found = POD.search(got)
    return found[1].decode() if found else endpoint.pod
