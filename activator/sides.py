"""What connections and requests ask of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from activator.core.exchange import Exchange
from activator.core.ticket import Endpoint, Reject
from activator.opening import Opening
from activator.phase import Fate


class Connection(Protocol):
    """A client's connection, as far as its request asks of it."""

    peer: bytes
    opening: Opening | None
    """The entrance that it came by; None: its requests say who they are for."""
    heard: float
    """When bytes came last."""
    write: Callable[[bytes], None]

    def pause(self) -> None:
        """Read nothing."""

    def resume(self) -> None:
        """Read on."""

    def limit(self, at: float) -> None:
        """Look at the request's limits at *at*."""

    def over(self, now: float, *, stays: bool) -> None:
        """Go on to the next request, or close."""

    def cut(self, *, seen: bool) -> None:
        """Break off an answer; *seen*: its framing tells the client so."""

    def tunnel(self) -> None:
        """Pass on what comes, as it is."""


class Client(Protocol):
    """A client's connection, as far as its activator calls it."""

    @property
    def active(self) -> bool:
        """Say whether a request is under way."""

    def hung_up(self) -> None:
        """Know that the client has gone, while nothing was read of it."""

    def drain(self) -> None:
        """Serve nothing new."""

    def abort(self) -> None:
        """Break everything off."""


class Request(Protocol):
    """A request on its way, as far as its activator calls it: a ticket's owner."""

    def released(self, endpoint: Endpoint) -> None:
        """Go on to *endpoint*, having been held."""

    def expired(self, reject: Reject) -> None:
        """Be turned away, having been held."""

    def connected(self, link: Link) -> bool:
        """Take the connection that was asked for; False: it needs none any more."""

    def unreachable(self, reason: str) -> None:
        """Know that there will be no connection."""


class Side(Protocol):
    """A request on its way, as far as the connection to its replica calls it."""

    path: bytes
    peer: bytes

    @property
    def connection(self) -> Connection:
        """The client's connection."""

    def answering(self) -> bytes:
        """Know that the answer's head is here; return lines of our own for it."""

    def send(self, data: bytes) -> None:
        """Write *data* to the client."""

    def answered(self, now: float) -> None:
        """Know that the answer was sent to its end."""

    def switched(self) -> None:
        """Know that both sides speak WebSocket from now on."""

    def broken(self, reason: str, fate: Fate) -> None:
        """Know that there will be no more of an answer."""


class Link(Protocol):
    """A connection to a replica, as far as the request that has it calls it."""

    since: float
    """When it was made, or last given back."""
    tail: bytes
    """The end of the answer's body, where token counts are wanted."""

    def begin(self, side: Side, exchange: Exchange) -> None:
        """Send a request, as far as it is here."""

    def push(self, data: bytes) -> None:
        """Send more of a request's body, or of what a client says in a tunnel."""

    def pause(self) -> None:
        """Read nothing: the client does not take it."""

    def resume(self) -> None:
        """Read on."""

    def close(self) -> None:
        """Break the connection off, and whatever it is about."""
