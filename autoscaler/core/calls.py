"""The calls that a Fleet can get, as facts: what a recording is made of."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.commands import Order
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.messages import Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """A revision is new or has new settings."""

    key: RevisionKey
    spec: RevisionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """A revision is to go for good."""

    key: RevisionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A reporter will report from now on."""

    reporter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A reporter reports no more."""

    reporter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hear:
    """An activator said something."""

    message: Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """A backend's complete picture of a revision."""

    key: RevisionKey
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A start failed."""

    key: RevisionKey
    failure: StartFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Mean use of cpu or memory, in % of the request."""

    key: RevisionKey
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A person asked for something."""

    key: RevisionKey
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """This Fleet leads, or follows another."""

    leading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How activators stand to a revision changed."""

    key: RevisionKey
    aside: bool
    keeps: str = ""
    awaits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebudget:
    """There is other room than before."""

    budget: Budget


@dataclass(frozen=True, slots=True)
class Advance:
    """Time has come."""


Call = (
    Configure
    | Remove
    | Joined
    | Left
    | Hear
    | Observe
    | Failed
    | Usage
    | Ordered
    | Lead
    | Standing
    | Rebudget
    | Advance
)
