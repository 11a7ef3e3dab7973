"""What becomes of each revision, a log line for each change, from the loop's events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.clock import Clock, monotonic
from autoscaler.core.commands import Status
from autoscaler.core.domain import Replica, RevisionKey
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Event, Observed

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """What was last said of a revision."""

    since: dict[str, float] = field(default_factory=dict)
    """When each replica that exists was first seen."""
    ready: set[str] = field(default_factory=set)
    held: bool = False
    """It was said that requests wait, and nothing has become of it."""


class Changes:
    """Say once that requests are held, that a replica is ready, that all sleeps."""

    def __init__(
        self, status: Callable[[RevisionKey], Status], clock: Clock = monotonic
    ) -> None:
        self._status = status
        self._clock = clock
        self._seen: dict[RevisionKey, _Seen] = {}

    def saw(self, event: Event) -> None:
        """Take an event, after the Fleet has."""
        match event:
            case Wake(key=key, held=held):
                seen = self._of(key)
                if not seen.held:
                    seen.held = True
                    _log.info("held revision=%s requests=%d", key, held)
            case Ready(key=key, replica=replica):
                self._is_ready(key, replica)
            case Observed(key=key, replicas=replicas):
                self._are(key, replicas)
            case _:
                pass

    def _are(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        seen, now = self._of(key), self._clock()
        for gone in seen.since.keys() - {each.id for each in replicas}:
            del seen.since[gone]
            seen.ready.discard(gone)
        for each in replicas:
            seen.since.setdefault(each.id, now)
            if each.ready:
                self._is_ready(key, each.id)
        if not replicas:
            del self._seen[key]
            self._says_why(key)

    def _is_ready(self, key: RevisionKey, replica: str) -> None:
        seen = self._of(key)
        if replica in seen.ready or replica not in seen.since:
            return
        seen.ready.add(replica)
        seen.held = False
        took_s = self._clock() - seen.since[replica]
        _log.info("ready revision=%s replica=%s after_s=%.2f", key, replica, took_s)

    def _says_why(self, key: RevisionKey) -> None:
        try:
            status = self._status(key)
        except KeyError:  # It was removed, and is gone for good.
            return
        _log.info('%s revision=%s reason="%s"', status.state, key, status.reason)

    def _of(self, key: RevisionKey) -> _Seen:
        return self._seen.setdefault(key, _Seen())
