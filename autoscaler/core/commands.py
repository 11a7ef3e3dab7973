"""What the Fleet asks its driver to do: a closed union, taken after each call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.domain import Decision, Observation, RevisionKey
from autoscaler.core.messages import Downlink


class Order(StrEnum):
    """What a person may ask of one revision."""

    WAKE = "wake"
    """Start now if asleep; load decides from then on."""
    SLEEP = "sleep"
    """Drain and go to zero now if nothing is in flight or held; load may wake it."""
    PIN = "pin"
    """Keep at least one replica until unpinned."""
    UNPIN = "unpin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Have *replicas* replicas; those in *stop* are drained and are the ones to go."""

    key: RevisionKey
    replicas: int
    stop: tuple[str, ...] = ()
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Send *message* to every activator."""

    message: Downlink


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision was made, for metrics, records and `explain`."""

    key: RevisionKey
    seen: Observation
    decision: Decision
    replicas: int
    """After bounds, zero and room."""
    reason: str
    """Why *replicas*, in words: the decision's own reason and what bounded it."""


Command = Scale | Tell | Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One revision as `status` shows it."""

    key: RevisionKey
    state: str
    """asleep, starting, ready, draining, waiting (for room) or failing."""
    min: int
    max: int
    desired: int
    """After bounds; there may not be room for all of them."""
    ready: int
    starting: int
    draining: int
    in_flight: int
    held: int
    mode: str
    reason: str

    @property
    def allowed(self) -> int:
        """Return how many of those desired there may be now; *reason* says why no more.

        Room may have no more, and after a failed start there is one at a time.
        """
        return min(self.desired, self.ready + self.starting)
