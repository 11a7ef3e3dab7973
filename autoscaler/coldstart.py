"""Cold starts taken apart: how long each phase of each took."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.commands import Decided, Scale
from autoscaler.core.domain import RevisionKey
from autoscaler.core.messages import Ready, Wake
from autoscaler.events import Event, Failure, Observed


class Phase(StrEnum):
    """Where the time of a cold start goes, in order."""

    DECIDE = "decide"
    """From the wake to the decision."""
    PLACE = "place"
    """From the decision to a process: room, the model's download, a port."""
    START = "start"
    """From a process to an open port."""
    LOAD = "load"
    """From an open port to a model that is ready."""
    FIRST_BYTE = "first_byte"
    """From ready to the first byte of the first answer."""


@dataclass(slots=True)
class _Start:
    """A cold start under way."""

    phase: Phase
    since: float


class ColdStarts:
    """Follow events; say each phase that ended, with its seconds.

    A phase whose end is told only with the next one's has a length of 0.
    """

    def __init__(self) -> None:
        self._starts: dict[RevisionKey, _Start] = {}

    def saw(self, event: Event, now: float) -> list[tuple[Phase, float]]:
        """Return the phases that *event* ends."""
        match event:
            case Wake(key=key):
                self._starts.setdefault(key, _Start(Phase.DECIDE, now))
            case Decided(key=key, replicas=count) | Scale(key=key, replicas=count):
                if count > 0:
                    return self._end(key, Phase.DECIDE, now)
                if isinstance(event, Scale):
                    self.forget(key)
            case Observed(key=key, replicas=replicas):
                if any(each.port for each in replicas):
                    return self._end(key, Phase.PLACE, now)
            case Ready(key=key):
                return self._end(key, Phase.LOAD, now)
            case Failure(key=key):
                self.forget(key)
            case _:
                pass
        return []

    def connected(self, key: RevisionKey, now: float) -> list[tuple[Phase, float]]:
        """Return the phases that the first connection to a replica ends."""
        return self._end(key, Phase.START, now)

    def answered(self, key: RevisionKey, now: float) -> list[tuple[Phase, float]]:
        """Return the phases that the first byte of an answer ends."""
        return self._end(key, Phase.FIRST_BYTE, now)

    def forget(self, key: RevisionKey) -> None:
        """Follow *key*'s start no more."""
        self._starts.pop(key, None)

    def _end(
        self, key: RevisionKey, phase: Phase, now: float
    ) -> list[tuple[Phase, float]]:
        """End all phases up to *phase*; the first of them took all the time."""
        start = self._starts.get(key)
        ended: list[tuple[Phase, float]] = []
        if start is None:
            return ended
        for each in _ORDER[_ORDER.index(start.phase) : _ORDER.index(phase) + 1]:
            ended.append((each, now - start.since))
            start.since = now
        if phase is Phase.FIRST_BYTE:
            self.forget(key)
        elif ended:
            start.phase = _ORDER[_ORDER.index(phase) + 1]
        return ended


_ORDER = tuple(Phase)
