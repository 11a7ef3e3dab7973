"""Connections to one replica that nobody uses now, kept for who comes next."""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

_KEPT: Final = 256
"""So many at most; a replica may well need as many at once."""
FRESH_S: Final = 1.0
"""A request that must not be sent twice goes on no connection unused for longer:
uvicorn closes its own after 5 s, and nothing would say whether the request arrived."""


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

    def take(self, now: float, *, careful: bool) -> K | None:
        """Return a connection; *careful*: what goes on it must not be sent twice."""
        idle = self._idle
        while idle:
            kept = idle.pop()
            if not careful:
                return kept
            fresh = now - kept.since <= FRESH_S and not self._fleeting
            # Its end may be in the kernel already, and not have been read yet.
            if fresh and kept.is_silent():
                return kept
            kept.close()
        return None

    def give(self, kept: K, now: float) -> None:
        """Keep a connection that is good for another exchange."""
        kept.since = now
        if self._closed or len(self._idle) >= _KEPT:
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
        if self.drop(kept) and now - kept.since < FRESH_S:
            self._fleeting = True

    def close(self) -> None:
        """Keep none from now on."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
