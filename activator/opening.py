"""An entrance as its connections see it: whose it is, and whether it still is."""

from __future__ import annotations

from typing import Protocol

from autoscaler.core.domain import Entrance, RevisionKey


class Visitor(Protocol):
    """A connection, as far as the entrance that it came by calls it."""

    @property
    def active(self) -> bool:
        """Say whether something of it is under way."""

    def drain(self) -> None:
        """Serve nothing new."""


class Opening:
    """One entrance of one revision: the same object until the view has it no more."""

    __slots__ = ("entrance", "gone", "key", "last", "name", "visitors")

    def __init__(self, key: RevisionKey, entrance: Entrance) -> None:
        self.key = key
        self.entrance = entrance
        self.name = entrance.name
        """Of the replicas' port."""
        self.last = False
        """The next answer to each who came by it is the last of its connection."""
        self.gone = False
        """Nobody is served by it any more."""
        self.visitors: set[Visitor] = set()
        """Who came by it and is still here."""

    def become(self, entrance: Entrance) -> None:
        """Lead where *entrance* says from now on; its number is the same."""
        self.entrance = entrance
        self.name = entrance.name

    def close(self) -> None:
        """Let what is under way end, and nothing begin."""
        self.last = self.gone = True
        for visitor in tuple(self.visitors):
            if not visitor.active:
                visitor.drain()
