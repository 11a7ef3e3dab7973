"""What autoscaler and activators tell each other: levels, not edges.

Down go `View` (all an activator must know of one revision), `Gone` and nothing else;
up come `Sample`, `Wake`, `Ready`, `Lost` and `Drained`. Each may be lost, repeated or
late without harm: the next one says it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.domain import Entrance, GateSpec, Probe, RevisionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One replica at which a revision can be served."""

    replica: str
    host: str
    port: int
    slots: int
    """Requests this activator may have there at once; -1: no limit."""
    kept: bool = False
    """But no more than before this view: what others have is not known yet to who has
    just begun to lead."""
    draining: bool = False
    """Finish what it has, send nothing new; say `Drained` when it is empty."""
    ports: tuple[tuple[str, int], ...] = ()
    """Its other ports, by the names of entrances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why no request can be served now: a start that fails, for whoever asks."""

    reason: str
    retry_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One revision as an activator must see it; replaces the view before it."""

    key: RevisionKey
    version: int
    """Grows with every change of this revision; an older one is ignored."""
    epoch: int
    """Number of the sleep the revision is in, or that its next wake will end."""
    gate: GateSpec
    probe: Probe
    addresses: tuple[Address, ...] = ()
    paused: str = ""
    """Not empty: hold new requests, because of this reason (it makes room)."""
    refusal: Refusal | None = None
    """Answer held and new requests with this, at once."""
    entrances: tuple[Entrance, ...] = ()
    """Listen here for it."""
    aside: bool = False
    """Clients can reach replicas by themselves: close each connection that came by an
    entrance after its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The revision is no more."""

    key: RevisionKey


Downlink = View | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLoad:
    """What one activator has at one replica."""

    replica: str
    in_flight: int
    idle_s: float
    """Seconds since it last had a request from this activator; 0 while it has one."""
    ready: bool | None = None
    """What `Ready` or `Lost` said: it heals one that was lost. None: not told."""
    slots: int | None = None
    """Requests it may have there at once; None: no limit, or not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One activator's report of a revision's load over a span that ends now."""

    key: RevisionKey
    reporter: str
    span_s: float
    concurrency: float
    """Time-weighted mean of held requests and requests in flight."""
    requests: int
    """Requests that arrived in the span."""
    held: int
    """Held at this moment: a wake that was lost heals by this."""
    in_flight: int
    """Forwarded and not ended, at this moment; held ones are not counted."""
    epoch: int
    version: int
    """The newest view this activator has acted on."""
    replicas: tuple[ReplicaLoad, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A revision without a replica has a request."""

    key: RevisionKey
    reporter: str
    epoch: int
    """The sleep it ends; a wake of an older sleep is ignored."""
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An activator's own probe of a replica succeeded."""

    key: RevisionKey
    reporter: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An activator can no longer connect to a replica that was ready."""

    key: RevisionKey
    reporter: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """A draining replica has nothing of this activator's any more."""

    key: RevisionKey
    reporter: str
    replica: str


Uplink = Sample | Wake | Ready | Lost | Drained
