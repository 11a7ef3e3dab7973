"""The link: activators connect here, hear what they must know and say what they see."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final, assert_never

from aiohttp import web
from prometheus_client import CollectorRegistry

from autoscaler.clock import Clock, monotonic
from autoscaler.core.commands import Tell
from autoscaler.core.domain import RevisionKey, Route
from autoscaler.core.envelope import LARGEST
from autoscaler.core.frames import Lead, Leaving, Opened, Out, Synced, UpFrame
from autoscaler.core.handshake import Keys
from autoscaler.core.messages import Drained, Gone, Lost, Ready, Sample, View, Wake
from autoscaler.core.plausible import implausible
from autoscaler.core.shares import Shares
from autoscaler.events import Event
from autoscaler.greeter import Greeter, Guest
from autoscaler.health import serving
from autoscaler.link_metrics import LinkMetrics
from autoscaler.loop import Loop
from autoscaler.peer import Peer
from autoscaler.porch import Porch
from autoscaler.seat import Ears, Known, Seat

__all__ = ["Ears", "Known", "LinkServer"]

_log = logging.getLogger(__name__)

_BEAT_S: Final = 5.0
"""Who does not answer a ping for half as long is gone."""
_TURN_S: Final = 1.0
_MOST: Final = 50_000
"""Revisions of which one activator may say where it listens."""


class LinkServer:
    """Speak with all activators, for one autoscaler; a follower only listens.

    *secrets* is asked at each greeting, so that a file that changes counts at once.
    Requests of an activator that has ended may live on at replicas for *rest_s*; a
    leader before may have told of replicas that are first seen within *inherits_s*.
    """

    def __init__(
        self,
        secrets: Callable[[], Keys],
        loop: Loop,
        registry: CollectorRegistry,
        clock: Clock = monotonic,
        *,
        rest_s: float = 60.0,
        inherits_s: float = 1.0,
        rate: float = 5_000.0,
    ) -> None:
        self._loop = loop
        self._rest_s = rest_s
        self._inherits_s = inherits_s
        self._rate = rate
        self._clock = clock
        self._metrics = LinkMetrics(registry, lambda: len(self._peers()))
        self._greeter = Greeter(secrets, self._metrics.trouble)
        self._ears: Ears | None = None
        self._seats: dict[str, Seat] = {}
        """By name."""
        self._resting: dict[str, float] = {}
        """Ids of processes that ended, and until when their slots rest."""
        self._ids = count()
        self._term = -1
        self._shares: Shares | None = None
        """There while it leads."""
        self._routes: tuple[Route, ...] = ()
        self._porch = Porch()
        loop.listen(self._saw)

    def attach(self, ears: Ears) -> None:
        """Tell *ears* from now on."""
        self._ears = ears

    # What the driver says.

    def lead(self, *, leading: bool, term: int) -> None:
        """Tell activators what is true from now on, or leave that to another."""
        if (leading, term) == (self._shares is not None, self._term):
            return
        self._term = term
        now = self._clock()
        self._shares = self._begin(now) if leading else None
        for seat in self._seats.values():
            self._introduce(seat)

    def reroute(self, routes: tuple[Route, ...]) -> None:
        """Tell activators, if it leads, how requests find revisions from now on."""
        if routes == self._routes:
            return
        self._routes = routes
        if self._shares is not None:
            for peer in self._peers():
                peer.reroute(routes)

    def expect(self, name: str) -> None:
        """Know that an activator of that name is there, though it may not have come.

        What it has is not given to others. Said before `lead`, it is not overlooked.
        """
        if name not in self._seats:
            self._sit(name, "", heir=True)

    def ended(self, name: str) -> None:
        """Know that the process of that name has ended: others get what it had."""
        seat = self._seats.pop(name, None)
        if seat is not None:
            self._end(seat, "its process has ended")
            _log.info("activator ended name=%s", name)

    def out(self, name: str) -> None:
        """Tell that activator that no client is led to it any more."""
        seat = self._seats.get(name)
        if seat is not None:
            seat.out = True
            if seat.peer is not None and self._shares is not None:
                seat.peer.tell(Out())

    # What the driver asks.

    def activators(self) -> tuple[Known, ...]:
        """Return all that are there, by name."""
        return tuple(
            Known(
                name=seat.name,
                address=seat.address,
                connected=seat.peer is not None,
                leaving=seat.leaving,
            )
            for _, seat in sorted(self._seats.items())
        )

    def opened(self, name: str, key: RevisionKey) -> Opened | None:
        """Return where that activator said that it listens for *key*."""
        seat = self._seats.get(name)
        return None if seat is None else seat.opened.get(key)

    async def run(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve on *sock*, which listens already, until *stop* is set."""
        app = web.Application()
        app.router.add_get("/link", self.handle)
        async with serving(app, sock):
            try:
                while not stop.is_set():
                    try:
                        async with asyncio.timeout(_TURN_S):
                            await stop.wait()
                    except TimeoutError:
                        self._turn()
            finally:
                for peer in self._peers():
                    peer.cut("this autoscaler stops")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /link."""
        where = request.remote or ""
        if why := self._porch.comes(where, self._clock()):
            self._metrics.trouble("crowded")
            return web.Response(status=503, text=f"{why}\n")
        guest = None
        link = web.WebSocketResponse(
            max_msg_size=LARGEST, heartbeat=_BEAT_S, compress=False, timeout=1.0
        )
        try:
            await link.prepare(request)
            guest = await self._greeter.greet(link, where)
        finally:
            self._porch.goes(where, self._clock(), known=guest is not None)
        if guest is not None and self._admits(guest, where):
            peer = Peer(
                link,
                guest.key,
                guest.version,
                self._clock,
                self._metrics.trouble,
                rate=self._rate,
            )
            try:
                await self._attend(peer, guest, where)
            finally:
                if peer.stuck and request.transport is not None:
                    # What it does not read would stay here for as long as it likes.
                    request.transport.abort()
        await link.close()
        return link

    def _admits(self, guest: Guest, where: str) -> bool:
        """Say whether *guest* is who it says; all activators know the same secret."""
        name = guest.hello.name
        if self._ears is None or self._ears.admits(name, where):
            return True
        self._metrics.trouble("stranger")
        _log.warning("activator not at its address name=%r address=%s", name, where)
        return False

    async def _attend(self, peer: Peer, guest: Guest, where: str) -> None:
        """Listen to *peer* until its end."""
        name = guest.hello.name
        seat = self._welcome(guest)
        seat.address, seat.peer = where, peer
        _log.info("activator connected name=%s address=%s", name, where)
        self._introduce(seat)
        self._tell_ears(lambda ears: ears.connected(name))
        try:
            await peer.run(lambda message: self._heard(seat, peer, message))
        finally:
            if seat.peer is peer:
                seat.peer = None
                self._tell_ears(lambda ears: ears.disconnected(name))
            _log.info(
                'activator disconnected name=%s address=%s reason="%s"',
                name, where, peer.why,
            )  # fmt: skip

    def _welcome(self, guest: Guest) -> Seat:
        """Return the seat of who was let in; an older process or link makes room."""
        hello = guest.hello
        seat = self._seats.get(hello.name)
        if seat is not None and seat.instance not in ("", hello.instance):
            del self._seats[hello.name]
            self._end(seat, "a newer process of its name came")
            seat = None
        if seat is None:
            seat = self._sit(hello.name, hello.instance, heir=hello.term >= 0)
        seat.instance = hello.instance
        if seat.peer is not None:
            self._metrics.trouble("replaced")
            seat.peer.cut("a newer link of its name came")
        return seat

    def _sit(self, name: str, instance: str, *, heir: bool) -> Seat:
        seat = Seat(name=name, instance=instance, id=f"{name} {next(self._ids)}")
        self._seats[name] = seat
        if self._shares is not None:
            self._shares.joined(seat.id, self._clock(), heir=heir)
            self._flush()
        self._loop.join(name)
        return seat

    def _end(self, seat: Seat, why: str) -> None:
        now = self._clock()
        self._resting[seat.id] = now + self._rest_s
        if self._shares is not None:
            self._shares.left(seat.id, now)
        self._loop.leave(seat.name)
        if seat.peer is not None:
            seat.peer.cut(why)

    def _begin(self, now: float) -> Shares:
        """Return Shares that know nothing of what the leader before told."""
        shares = Shares(
            rest_s=self._rest_s,
            turn_s=_TURN_S,
            term=self._term,
            inherits_s=self._inherits_s,
            now=now,
        )
        for seat in self._seats.values():
            shares.joined(seat.id, now, heir=True)
        self._resting = {id_: at for id_, at in self._resting.items() if at > now}
        for id_ in self._resting:
            shares.joined(id_, now, heir=True)
            shares.left(id_, now)
        for view in self._loop.views():
            shares.update(view, now)
        shares.take()
        return shares

    def _introduce(self, seat: Seat) -> None:
        """Tell *seat* all that it has to know, from the beginning."""
        peer, shares = seat.peer, self._shares
        if peer is None:
            return
        peer.clear()
        peer.tell(Lead(term=self._term, leading=shares is not None))
        if shares is None:
            return
        for view in shares.all_of(seat.id):
            peer.tell(view)
        peer.reroute(self._routes)
        peer.tell(Synced())
        if seat.out:
            peer.tell(Out())

    # What happens.

    def _saw(self, event: Event) -> None:
        if not isinstance(event, Tell):
            return
        message = event.message
        if isinstance(message, Gone):
            for seat in self._seats.values():
                seat.opened.pop(message.key, None)
        if self._shares is None:
            return
        match message:
            case View():
                self._shares.update(message, self._clock())
                self._flush()
            case Gone(key=key):
                self._shares.gone(key)
                for peer in self._peers():
                    peer.tell(message)

    def _turn(self) -> None:
        if self._shares is not None:
            self._shares.advance(self._clock())
            self._flush()

    def _flush(self) -> None:
        """Send what Shares have granted."""
        if self._shares is None:
            return
        by_id = {seat.id: seat.peer for seat in self._seats.values()}
        for grant in self._shares.take():
            peer = by_id.get(grant.activator)
            if peer is not None:
                peer.tell(grant.view)

    def _heard(self, seat: Seat, peer: Peer, message: object) -> None:
        """Take what an activator says, which counts for itself alone."""
        if seat.peer is not peer or not isinstance(message, UpFrame):
            return  # A newer link of its name came: this one is on its way out.
        if message.reporter != seat.name:
            self._metrics.trouble("forged")
            return
        if why := implausible(message):
            self._metrics.trouble("garbled")
            _log.debug('message refused name=%s reason="%s"', seat.name, why)
            return
        self._metrics.heard()
        match message:
            case Opened():
                self._listens(seat, message)
            case Leaving():
                seat.leaving = True
                self._tell_ears(lambda ears: ears.leaving(seat.name))
            case Sample():
                self._loop.hear(self._sampled(seat, message))
            case Wake() | Ready() | Lost() | Drained():
                self._loop.hear(message)
            case _:
                assert_never(message)

    def _sampled(self, seat: Seat, sample: Sample) -> Sample:
        """Return *sample* with the version that the Fleet knows."""
        if self._shares is None:
            # What it has seen is another's: nothing of ours is acknowledged.
            return replace(sample, version=-1)
        said = self._shares.heard(replace(sample, reporter=seat.id), self._clock())
        self._flush()
        return replace(said, reporter=seat.name)

    def _listens(self, seat: Seat, said: Opened) -> None:
        if said.key not in seat.opened and len(seat.opened) >= _MOST:
            self._metrics.trouble("crowded")
            return
        seat.opened[said.key] = said
        self._tell_ears(lambda ears: ears.opened(seat.name, said.key))

    def _peers(self) -> list[Peer]:
        return [seat.peer for seat in self._seats.values() if seat.peer is not None]

    def _tell_ears(self, call: Callable[[Ears], None]) -> None:
        """Who hears it must not be able to break the link."""
        if self._ears is None:
            return
        try:
            call(self._ears)
        except Exception:
            _log.exception("failed to tell of an activator")
