"""What a policy sees of a revision and what it wants: one interface for them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Protocol

from autoscaler.core.domain import (
    Observation,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One revision as last reported: nothing that a live policy could not see."""

    key: RevisionKey
    scaling: ScalingSpec
    load: Observation
    in_flight: int
    held: int
    """Requests that wait; 1 at least if somebody else wants it up."""
    used_at: float
    """When it last had a request, as far as known; -inf: never."""
    load_s: float
    """How long its starts take, the mean of those seen; 0: none was."""
    evicted: bool = False
    """It was put to sleep for another's sake, or by hand, and not asked for since."""
    gpus: int = 0
    """Of a replica."""

    @property
    def busy(self) -> bool:
        return self.in_flight > 0 or self.held > 0

    @property
    def needed(self) -> int:
        """Return the replicas for what there is at this moment, one at least."""
        return max(1, ceil((self.in_flight + self.held) / self.scaling.total_value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be; what serves a request is not stopped, whatever this says."""

    replicas: int
    reason: str
    again_at: float = inf
    """Ask again then, at the latest."""
    until: float = -inf
    """Until when each answer is this one, and leaves nothing else behind, if nobody
    comes, ends or is started: nobody asks before. Not after now: that is not known."""
    worth: float | None = None
    """Among the idle, who is worth least makes room first; None: who was used first."""


class Mind(Protocol):
    """Decides in one run, and remembers what it needs of each revision."""

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return what is wanted of a revision now."""


def unchanged(spec: RevisionSpec) -> RevisionSpec:
    """Return the same settings."""
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A way to decide for all revisions of a run."""

    name: str
    begin: Callable[[], Mind] | None = None
    """Return a mind that knows nothing yet; None: the production judge decides."""
    adapt: Callable[[RevisionSpec], RevisionSpec] = unchanged
    """Return the settings to decide by."""
