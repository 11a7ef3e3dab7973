"""What an activator is told once, when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from activator.core.switchboard import Limits
from activator.reading import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each phase of a connection may take, in seconds."""

    head_s: float = 30.0
    """From a head's first byte to its last; nginx gives 60."""
    idle_s: float = 120.0
    """A client's connection without a request; longer than the 60 to 90 s that load
    balancers keep theirs, so that they close first."""
    stall_s: float = 120.0
    """Without a byte of body from a client, or one taken of what it is sent."""
    connect_s: float = 5.0
    """To a replica; the kernel repeats a lost SYN after 1 and 3 s."""
    first_byte_s: float = 0.0
    """From dispatch, or the end of the request where that is later, to the answer's
    head; 0: for as long as the request may take."""
    kept_s: float = 30.0
    """An unused connection to a replica."""
    silent_s: float = 300.0
    """Without a byte either way in a tunnel: a WebSocket, or what is spliced where no
    request may take longer."""
    linger_s: float = 2.0
    """For a client to take an answer that came before it had sent its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatorSettings:
    """Settings of one activator."""

    name: str = "activator-1"
    limits: Limits = field(default_factory=Limits)
    max_connections: int = 20_000
    """Of clients; fewer where files for them and their replicas are fewer."""
    trusted: str = "private"
    """Peers whose word on their clients counts, as `Trust.read` has them."""
    domain: str = "localhost"
    """Hosts are SERVICE-NAMESPACE.DOMAIN; said to who asks for one that is not."""
    seed: int | None = None
    """Makes canary and balancing draw the same each time; None: different."""
    want_tail: bool = False
    """Look for token counts at the end of answers."""
    unheard_s: float = 30.0
    """A stopping activator that others lead clients to goes on for as long, at most,
    until it hears that they do not any more."""
    linger_s: float = 0.0
    """And then, or at once where nobody leads clients to it, for as long: what was said
    takes a while to be known."""
    drain_s: float = 30.0
    """Time for running answers to end when the activator stops."""
    patience: Patience = field(default_factory=Patience)
    bounds: Bounds = field(default_factory=Bounds)
    ahead: int = 1 << 20
    """Bytes of a body that are read before it is known where they go."""
