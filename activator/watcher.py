"""What an activator tells whoever listens: each request that ended, and cold starts."""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol

from activator.bodies import Tokens, tokens_of
from activator.core.ticket import Outcome
from autoscaler.core.domain import RevisionKey, Route


class Finished(NamedTuple):
    """One request that has ended; moments are in the clock's seconds."""

    key: RevisionKey
    route: Route
    arrived: float
    dispatched: float
    """When it last went to a replica; inf: it never did."""
    ended: float
    status: int
    """0: it ended before there was an answer."""
    outcome: Outcome
    tail: bytes = b""
    """The end of its answer's body, where token counts are wanted."""

    @property
    def service(self) -> str:
        """Return namespace/name of the InferenceService."""
        return f"{self.route.namespace}/{self.route.service}"

    @property
    def service_s(self) -> float | None:
        """Return how long the last replica took; None: it never went to one."""
        return None if self.dispatched == inf else self.ended - self.dispatched

    @property
    def tokens(self) -> Tokens:
        """Return the token counts that its answer said."""
        return tokens_of(self.tail)


class Watcher(Protocol):
    """Somebody who listens; called in between, so it must be quick."""

    def connected(self, key: RevisionKey) -> None:
        """Know that a starting replica accepted its first connection."""

    def answered(self, key: RevisionKey, at: float) -> None:
        """Know that an answer to a request that was held has begun, at *at*."""

    def finished(self, request: Finished) -> None:
        """Know that a request has ended."""
