"""How long a revision whose starts fail is left alone, and whom that is told."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from autoscaler.core.domain import StartFailure

PATIENT = 3
"""Failures in a row that are not final, before held requests are refused."""

SETTLED_S = 10.0
"""A replica that was ready this long has started well: failures count anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The failed starts of one revision since it last started well."""

    count: int = 0
    until: float = -inf
    """No start before this."""
    reason: str = ""
    """The newest failure, for whoever asks meanwhile; empty once one is ready."""
    final: bool = False
    ready_at: float = inf
    """When a replica was last ready after a failure."""

    def failed(self, failure: StartFailure, limit_s: float, now: float) -> Backoff:
        """Wait 1 s, then 2, 4, … up to *limit_s*; failures of one attempt count once.

        >>> failure = StartFailure(reason="exit status 1", final=True)
        >>> once = Backoff().failed(failure, 300.0, now=10.0)
        >>> once.failed(failure, 300.0, now=11.0).until
        13.0
        """
        count, until = self.count, self.until
        if now >= until:
            count = 1 if now - self.ready_at >= SETTLED_S else count + 1
            until = now + min(limit_s, 2.0 ** min(count - 1, 30))
        return Backoff(
            count=count, until=until, reason=failure.reason, final=failure.final
        )

    def ready(self, now: float) -> Backoff:
        """Know that a replica is ready; whether it settles will be seen."""
        if not self.reason:
            return self
        return Backoff(count=self.count, ready_at=now)

    @property
    def refuses(self) -> bool:
        """Whether trying again soon cannot help those who wait."""
        return bool(self.reason) and (self.final or self.count >= PATIENT)
