"""Activators as an autoscaler's link knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.core.domain import RevisionKey
from autoscaler.core.frames import Opened
from autoscaler.peer import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One activator."""

    name: str
    address: str
    """Where it came from last; empty: it never did."""
    connected: bool
    leaving: bool
    """It was told to stop, and goes on until it hears that it is out."""


class Ears(Protocol):
    """Who wants to know of activators; all are called in the event loop."""

    def admits(self, name: str, address: str) -> bool:
        """Say whether an activator of that name may come from there."""

    def connected(self, name: str) -> None:
        """Know that it can be told things."""

    def disconnected(self, name: str) -> None:
        """Know that it cannot; it may go on by what it was told."""

    def opened(self, name: str, key: RevisionKey) -> None:
        """Know that it said where it listens for *key*, or that it does not."""

    def leaving(self, name: str) -> None:
        """Know that it wants to stop."""


@dataclass(slots=True, kw_only=True)
class Seat:
    """One process of an activator, until it is known to have ended."""

    name: str
    instance: str
    """Empty: it is only known to be there."""
    id: str
    """Its name for Shares; another for each process."""
    address: str = ""
    peer: Peer | None = None
    leaving: bool = False
    out: bool = False
    opened: dict[RevisionKey, Opened] = field(default_factory=dict)
