"""What Switchboard and driver hand each other: tickets, endpoints, answers, effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from math import inf
from typing import TYPE_CHECKING, Final

from activator.core.rendezvous import number
from autoscaler.core.messages import Drained, Lost, Ready, ReplicaLoad, Wake

if TYPE_CHECKING:
    from activator.core.gate import Gate


class Endpoint:
    """One replica of a gate: the same object for as long as the view has the replica.

    A driver reads it; all but `pools` is written by the Switchboard alone.
    """

    __slots__ = (
        "drained",
        "draining",
        "host",
        "in_flight",
        "load",
        "open",
        "place",
        "pools",
        "port",
        "ports",
        "ready",
        "ready_at",
        "replica",
        "seed",
        "slots",
        "used",
    )

    def __init__(self, replica: str, now: float) -> None:
        self.replica = replica
        self.seed = number(replica.encode())
        """Its part in the choice by a key."""
        self.host = ""
        self.port = 0
        self.ports: dict[str, int] = {}
        """Its other ports, by the names of entrances."""
        self.slots = 0
        """Requests it may have at once; -1: no limit."""
        self.in_flight = 0
        self.draining = False
        self.drained = False
        """Said to be empty, since it began to drain."""
        self.ready = False
        """A probe succeeded, and nothing has failed to connect since."""
        self.ready_at = now
        """When that was, the last time."""
        self.open = False
        """May be given requests, as far as it has slots for them."""
        self.place = -1
        """Its index in the gate's list of those with a free slot; -1: not there."""
        self.used = now
        """When a request of its last ended."""
        self.load: ReplicaLoad | None = None
        """What was last reported of it: the same again while it is as busy as then."""
        self.pools: dict[int, object] = {}
        """The driver's connections to it, by the port that they go to."""

    @property
    def vacant(self) -> bool:
        """Say whether its limit allows one more request."""
        return self.slots < 0 or self.in_flight < self.slots

    def at(self, name: str) -> int:
        """Return the port that an entrance called *name* leads to."""
        return self.ports.get(name, self.port)

    def __repr__(self) -> str:
        return f"Endpoint({self.replica}, {self.in_flight} of {self.slots})"


class Ticket:
    """One request from its arrival to its end; *owner* is whatever the driver likes."""

    __slots__ = (
        "deadline",
        "endpoint",
        "failures",
        "gate",
        "held",
        "owner",
        "pick",
        "size",
    )

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.gate: Gate | None = None
        self.endpoint: Endpoint | None = None
        """Where it is in flight."""
        self.held = False
        self.deadline = inf
        """When its hold ends at the latest; set once, when it is first held."""
        self.size = 0
        """Bytes of its body that the driver has read."""
        self.pick = 0.0
        """Its uniform for balancing; less than 0: its key."""
        self.failures = 0
        """Endpoints that broke it off."""


class Held:
    """The answer to a request that must wait; there is one, HELD."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "HELD"


HELD: Final = Held()


class Why(StrEnum):
    """Why a request is not served."""

    FULL = "full"
    """As many are held as may be."""
    BYTES = "bytes"
    """As many bytes are held as may be."""
    EXPIRED = "expired"
    """Held for as long as its gate holds."""
    REFUSED = "refused"
    """The revision's starts fail."""
    GONE = "gone"
    """The revision was removed."""
    LOST = "lost"
    """Its replica failed, and sending it again would not be safe."""


_STATUS: Final = {Why.FULL: 429, Why.BYTES: 429, Why.LOST: 502}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """The end of a request that was not served, and what to tell its client."""

    why: Why
    reason: str
    """For a person."""
    retry_after_s: float
    """When trying again may help; 0: at once."""

    @property
    def status(self) -> int:
        """Return the HTTP status that says so."""
        return _STATUS.get(self.why, 503)


class Outcome(Enum):
    """How a request that was forwarded ended."""

    OK = auto()
    """Its answer came to its end, whatever its status."""
    FAILED = auto()
    """The replica broke it off."""
    LEFT = auto()
    """The client did."""


class Grew(Enum):
    """Whether a held request's body may go on growing."""

    OK = auto()
    PAUSE = auto()
    """Read no more of it until it is released: the rest stays with its client."""


@dataclass(frozen=True, slots=True)
class Release:
    """Forward a request that was held."""

    ticket: Ticket
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Expire:
    """Turn away a request that was held."""

    ticket: Ticket
    reject: Reject


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the autoscaler."""

    message: Wake | Ready | Lost | Drained


Effect = Release | Expire | Report
