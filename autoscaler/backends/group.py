"""The replicas of one revision on this machine, and where each is in its life."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from autoscaler.backends.base import Launch
from autoscaler.backends.process import Process
from autoscaler.core.domain import Replica, RevisionKey


class Phase(Enum):
    """Where a replica is in its life; it goes down this list and not back."""

    WAITING = auto()
    """For its model, a GPU or a port: there is no process yet."""
    STARTING = auto()
    READY = auto()
    STOPPING = auto()


class Child:
    """One replica, from the wish for it until nothing of it is left."""

    __slots__ = (
        "attempts",
        "key",
        "launch",
        "model",
        "name",
        "number",
        "phase",
        "port",
        "process",
        "ready_at",
    )

    def __init__(
        self, key: RevisionKey, name: str, number: int, launch: Launch
    ) -> None:
        self.key = key
        self.name = name
        self.number = number
        self.launch = launch
        self.phase = Phase.WAITING
        self.process: Process | None = None
        self.model = ""
        self.port = 0
        self.attempts = 0
        self.ready_at = 0.0


class Group:
    """How replicas of one revision are started, and those there are."""

    __slots__ = ("launch", "lines", "removed", "replicas")

    def __init__(self, launch: Launch, lines: int) -> None:
        self.launch = launch
        self.replicas: dict[str, Child] = {}
        self.lines: deque[str] = deque(maxlen=lines)
        self.removed = False

    def picture(self, host: str) -> tuple[Replica, ...]:
        """Return all replicas there are; one without a process has no address."""
        return tuple(
            Replica(id=each.name, host=host, port=each.port)
            if each.process
            else Replica(id=each.name)
            for each in self.replicas.values()
        )

    def staying(self) -> list[Child]:
        """Return those not told to stop, the ones to keep before the others."""
        return sorted(
            (r for r in self.replicas.values() if r.phase is not Phase.STOPPING),
            # Those that serve nobody yet go first, and the youngest of them.
            key=lambda r: (r.phase is not Phase.READY, r.number),
        )
