"""What all connections of an activator share, and what its Switchboard says to them."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable, Coroutine
from math import inf
from random import Random
from typing import Final, TypeVar, assert_never

from prometheus_client import CollectorRegistry

from activator.access_log import AccessLog
from activator.answers import Own, head
from activator.checks import Checks
from activator.core.exchange import Exchange
from activator.core.forwarded import Trust
from activator.core.routes import Routes
from activator.core.switchboard import Switchboard
from activator.core.ticket import Endpoint, Expire, Release, Report, Ticket
from activator.files import clients, limit, spare
from activator.opening import Opening
from activator.pool import Pool
from activator.reading import RequestReader
from activator.search import Search, Searched
from activator.settings import ActivatorSettings
from activator.sides import Client, Connection, Request
from activator.surplus import Surplus
from activator.telemetry import Telemetry
from activator.upstream import Upstream
from activator.watcher import Watcher
from activator.wheel import Wheel
from autoscaler.clock import Clock
from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import Uplink

_log = logging.getLogger(__name__)

P = TypeVar("P", bound=asyncio.BaseProtocol)

_READERS: Final = 256
"""Kept between requests, at most."""


class Plane:
    """The Switchboard with everything around it; one for an activator."""

    def __init__(
        self,
        settings: ActivatorSettings,
        uplink: Callable[[Uplink], None],
        registry: CollectorRegistry,
        watcher: Watcher | None,
        clock: Clock,
        log: AccessLog | None = None,
    ) -> None:
        now = clock()
        self.settings = settings
        self.clock = clock
        self.watcher = watcher
        self.log = log
        self.board = Switchboard(name=settings.name, limits=settings.limits, now=now)
        self.routes = Routes()
        self.chance = Random(settings.seed).random
        self.is_check = Checks()
        self.wheel = Wheel(now)
        self.searched = Searched(settings.limits.max_held_bytes)
        self.trust = Trust.read(settings.trusted)
        self.blank = RequestReader(settings.bounds)
        """Where nothing is read: shared by all who are idle, and never fed."""
        self._readers: list[RequestReader] = []
        """Between two requests, of whichever connections."""
        self.clients: set[Client] = set()
        self.surplus: set[Surplus] = set()
        self.upstreams: set[Upstream] = set()
        self.telemetry = Telemetry(
            registry,
            self.board.gate,
            lambda: len(self.clients),
            lambda: 0 if log is None else log.dropped,
        )
        self.draining = False
        self.listening: Callable[[], int] = _none
        """Entrances that are listened on, which take files that clients cannot have."""
        self._files = limit()
        self.changed: Callable[[], None] = _nothing
        """Called when there may be something to probe."""
        self._uplink = uplink
        self._tasks: asyncio.TaskGroup | None = None
        self._settling = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = inf
        self._silent: dict[int, Client] = {}
        """Clients that nothing is read of, by their file descriptors."""
        self._hangups = select.poll()

    def is_full(self) -> bool:
        """Say whether there may be no more clients."""
        fit = clients(self._files, self.listening())
        return len(self.clients) >= min(fit, self.settings.max_connections)

    @property
    def most_surplus(self) -> int:
        """How many clients may be told at one time that they are too many."""
        return spare(self._files) // 2

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Own what has to wait by *tasks*."""
        self._tasks = tasks

    def close(self) -> None:
        """Break off all that is left, and begin nothing."""
        self._tasks = None
        for client in tuple(self.clients):
            client.abort()
        for surplus in tuple(self.surplus):
            surplus.abort()
        for upstream in tuple(self.upstreams):
            upstream.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def settle(self) -> None:
        """Do what the Switchboard said, until it says no more; keep its timer."""
        if self._settling:
            return
        self._settling = True
        board = self.board
        try:
            while board.stirred:
                for effect in board.take():
                    match effect:
                        case Release(ticket=ticket, endpoint=endpoint):
                            _owner(ticket).released(endpoint)
                        case Expire(ticket=ticket, reject=reject):
                            _owner(ticket).expired(reject)
                        case Report(message=message):
                            self.tell(message)
                            self.changed()
                        case _:
                            assert_never(effect)
        finally:
            self._settling = False
        self._arm()

    def tell(self, message: Uplink) -> None:
        """Send *message* up; who hears it must not be able to stop requests."""
        try:
            self._uplink(message)
        except Exception:
            _log.exception("failed to report revision=%s", message.key)

    def answer(
        self, connection: Connection, exchange: Exchange, own: Own, lines: bytes
    ) -> None:
        """Answer in a replica's stead."""
        opening = connection.opening
        exchange.status = own.status
        self.telemetry.own[own.status] += 1
        closes = exchange.old or self.draining or not exchange.complete
        closes = closes or (opening is not None and opening.last)
        stays = exchange.stays and not closes
        body = b"" if exchange.method == b"HEAD" else own.body
        connection.write(head(own, lines, stays=stays) + body)
        connection.over(self.clock(), stays=stays)

    def reader(self) -> RequestReader:
        """Return one to read requests with, until it is given back or closed."""
        readers = self._readers
        return readers.pop() if readers else RequestReader(self.settings.bounds)

    def give(self, reader: RequestReader) -> None:
        """Take back a reader that has read requests to their ends and no more."""
        if len(self._readers) < _READERS:
            self._readers.append(reader)
        else:
            reader.close()

    def search(self, exchange: Exchange, reason: str) -> Search:
        """Return a search for who is meant, where a head does not say."""
        bound = self.settings.ahead
        return Search(self.routes, exchange, reason, bound, self.searched)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Do *work*, which may wait, unless all has ended."""
        if self._tasks is not None:
            self._tasks.create_task(work)
        else:
            work.close()

    def dial(self, request: Request, pool: Pool[Upstream]) -> None:
        """Open a connection to the address of *pool* for *request*."""
        self.spawn(self._dial(request, pool))

    def pool(self, endpoint: Endpoint, opening: Opening | None) -> Pool[Upstream]:
        """Return the connections to *endpoint*'s port for who came by *opening*."""
        port = endpoint.port if opening is None else endpoint.at(opening.name)
        pool = endpoint.pools.get(port)
        if not isinstance(pool, Pool):
            endpoint.pools[port] = pool = Pool(endpoint.host, port)
        return pool

    def forget(self, endpoint: Endpoint) -> None:
        """Close the unused connections to *endpoint*, which has gone or moved."""
        for pool in endpoint.pools.values():
            if isinstance(pool, Pool):
                pool.close()
        endpoint.pools.clear()

    def lost(
        self, key: RevisionKey, endpoint: Endpoint, opening: Opening | None
    ) -> None:
        """Know that who came by *opening* cannot connect to *endpoint*.

        A replica is lost only if it was the port that is probed: it would be found
        again at once, and lost again.
        """
        if opening is None or endpoint.at(opening.name) == endpoint.port:
            self.board.lost(key, endpoint.replica, self.clock())
            self.changed()

    def watch(self, client: Client, fd: int) -> None:
        """Notice when *client*, of which nothing is read now, hangs up."""
        self._silent[fd] = client
        self._hangups.register(fd, select.POLLRDHUP)

    def unwatch(self, fd: int) -> None:
        """Leave it to reading again."""
        if self._silent.pop(fd, None) is not None:
            self._hangups.unregister(fd)

    def sweep(self, now: float) -> None:
        """Look after limits of time, and who hung up."""
        self.wheel.sweep(now)
        if self.log is not None:
            self.log.tick()
        if self._silent:
            for fd, _ in self._hangups.poll(0):
                client = self._silent.get(fd)
                self.unwatch(fd)
                if client is not None:
                    client.hung_up()

    async def connect(self, make: Callable[[], P], host: str, port: int) -> P | str:
        """Return what *make* made, connected, or why it could not be."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.settings.patience.connect_s):
                return (await loop.create_connection(make, host, port))[1]
        except TimeoutError:
            return "no answer to connecting"
        except OSError as error:
            return str(error)
        except Exception as error:
            # Nor may one address that is none end everybody's connections.
            _log.exception("failed to connect to %s:%s", host, port)
            return str(error)

    async def _dial(self, request: Request, pool: Pool[Upstream]) -> None:
        upstream = await self.connect(
            lambda: Upstream(self, pool), pool.host, pool.port
        )
        if isinstance(upstream, str):
            request.unreachable(upstream)
        elif self._tasks is None:
            upstream.close()
        elif not request.connected(upstream):
            pool.give(upstream, self.clock())
        self.settle()

    def _arm(self) -> None:
        """Keep one timer for the Switchboard: it may ring early, never late."""
        at = self.board.wake_at
        if at >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = at
        delay_s = max(0.0, at - self.clock())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._armed_for = None, inf
        self.board.advance(self.clock())
        self.settle()


def _owner(ticket: Ticket) -> Request:
    # Each ticket here was made by a request, for itself.
    return ticket.owner  # type: ignore[return-value]


def _nothing() -> None:
    pass


def _none() -> int:
    return 0
