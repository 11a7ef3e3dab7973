"""What waits to go to one autoscaler: levels, the newest of each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar, assert_never

from autoscaler.core.domain import RevisionKey
from autoscaler.core.frames import Leaving, Opened, UpFrame
from autoscaler.core.messages import Drained, Lost, Ready, Sample, Wake

K = TypeVar("K")
V = TypeVar("V")

MOST: Final = 20_000
"""Words that wait at most, samples apart, which are bounded by their revisions."""


class Outbox:
    """Wakes first, then what else is no sample, then samples; each in order."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._wakes: dict[RevisionKey, Wake] = {}
        self._words: dict[Hashable, UpFrame] = {}
        self._samples: dict[RevisionKey, Sample] = {}

    def __len__(self) -> int:
        return len(self._wakes) + len(self._words) + len(self._samples)

    def put(self, message: UpFrame) -> bool:
        """Keep *message* in place of an older one; False: the oldest was let go."""
        match message:
            case Wake(key=key):
                self._wakes[key] = message
                return _bounded(self._wakes, self._most)
            case Sample(key=key):
                self._samples[key] = message
                return _bounded(self._samples, self._most)
            case Ready(key=key, replica=replica) | Lost(key=key, replica=replica):
                of: Hashable = (key, replica)
            case Drained(key=key, replica=replica):
                of = (key, replica, "drained")
            case Opened(key=key):
                of = key
            case Leaving():
                of = ""
            case _:
                assert_never(message)
        # The newest goes last: a sample of between is older than it.
        self._words.pop(of, None)
        self._words[of] = message
        return _bounded(self._words, self._most)

    def take(self) -> UpFrame | None:
        """Return what goes next; None: nothing waits."""
        if self._wakes:
            return _first(self._wakes)
        if self._words:
            return _first(self._words)
        return _first(self._samples) if self._samples else None

    def clear(self) -> None:
        """Let go of all that waits: what is said later says it again."""
        self._wakes.clear()
        self._words.clear()
        self._samples.clear()


def _bounded(waiting: dict[K, V], most: int) -> bool:
    if len(waiting) <= most:
        return True
    del waiting[next(iter(waiting))]
    return False


def _first(waiting: dict[K, V]) -> V:
    return waiting.pop(next(iter(waiting)))
