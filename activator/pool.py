"""Connections to one replica that nobody uses now, kept for who comes next."""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from activator.core.exchange import Exchange

KEPT: Final = 1024
"""So many at most: what a burst has opened serves the next one, or times out."""
FRESH_S: Final = 1.0
"""A request that must not be sent twice goes on no connection unused for longer:
uvicorn closes its own after 5 s, and nothing would say whether the request arrived."""
HOT_S: Final = 0.001
"""Unused for no longer, a look at what is in the kernel costs more than it tells."""
READ_AT_ONCE: Final = 64 << 10
"""Bytes of a body that a replica reads at once, so that a reset says it read none."""


class Kept(Protocol):
    """A connection, as far as a pool asks of it."""

    since: float
    """When it was last given back."""

    def is_silent(self) -> bool:
        """Say whether nothing has come on it, not even its end."""

    def close(self) -> None:
        """Close it."""


K = TypeVar("K", bound=Kept)


class Pool(Generic[K]):
    """The connections to one address, the last used first."""

    __slots__ = ("_closed", "_fleeting", "_idle", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: list[K] = []
        self._closed = False
        self._fleeting = False
        """The replica closes connections soon after an answer, and unannounced."""

    def take(self, exchange: Exchange, now: float) -> K | None:
        """Return a connection for *exchange*; None: open one.

        What must not be sent twice goes only on one that is still open, as far as
        anybody can tell, and where that can be told of it should it break.
        """
        idle = self._idle
        if exchange.repeatable:
            return idle.pop() if idle else None
        length = exchange.length
        if length < 0:
            if not exchange.complete:
                return None
            length = exchange.received
        if length > READ_AT_ONCE:
            return None
        while idle:
            kept = idle.pop()
            unused_s = now - kept.since
            fresh = unused_s <= FRESH_S and not self._fleeting
            # Its end may be in the kernel already, and not have been read yet.
            if fresh and (unused_s <= HOT_S or kept.is_silent()):
                return kept
            kept.close()
        return None

    def give(self, kept: K, now: float) -> None:
        """Keep a connection that is good for another exchange."""
        kept.since = now
        if self._closed or len(self._idle) >= KEPT:
            kept.close()
        else:
            self._idle.append(kept)

    def drop(self, kept: K) -> bool:
        """Forget a connection; say whether it was here."""
        if kept not in self._idle:
            return False
        self._idle.remove(kept)
        return True

    def lost(self, kept: K, now: float) -> None:
        """Know that the replica closed a connection, used or not."""
        if self.drop(kept):
            self.broke(kept, now)

    def broke(self, kept: K, now: float) -> None:
        """Know that it closed one that was used, before or as it was used again."""
        self._fleeting = self._fleeting or now - kept.since < FRESH_S

    def close(self) -> None:
        """Keep none from now on."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
