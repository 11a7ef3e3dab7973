"""What happens, as values: told to listeners, kept for `explain`, counted."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.commands import Command, Decided, Scale
from autoscaler.core.domain import Replica, RevisionKey, StartFailure
from autoscaler.core.messages import Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The backend's picture of a revision has changed."""

    key: RevisionKey
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A start failed."""

    key: RevisionKey
    failure: StartFailure


Event = Uplink | Command | Observed | Failure
"""What listeners are told, each after the Fleet has taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that was decided or that went wrong, for `explain`."""

    at: float
    """Unix seconds."""
    what: Decided | Scale | StartFailure
