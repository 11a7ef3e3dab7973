"""What an activator tells whoever listens: each request that ended, and cold starts."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from activator.core.ticket import Outcome
from autoscaler.core.domain import RevisionKey

Tokens = tuple[int | None, int | None]
"""Prompt and completion tokens, where an answer said so."""


class Finished(NamedTuple):
    """One request that has ended; moments are in the clock's seconds."""

    key: RevisionKey
    service: str
    """Namespace/name of the InferenceService."""
    arrived: float
    dispatched: float | None
    """When it last went to a replica; None: it never did."""
    ended: float
    status: int
    """0: it ended before there was an answer."""
    outcome: Outcome
    tokens: Tokens = (None, None)


class Watcher(Protocol):
    """Somebody who listens; called in between, so it must be quick."""

    def connected(self, key: RevisionKey) -> None:
        """Know that a starting replica accepted its first connection."""

    def answered(self, key: RevisionKey, at: float) -> None:
        """Know that an answer to a request that was held has begun, at *at*."""

    def finished(self, request: Finished) -> None:
        """Know that a request has ended."""
