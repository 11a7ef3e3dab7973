"""What goes over a link between an activator and an autoscaler, beyond `messages`.

First the four messages of the handshake, one each; then frames of many messages both
ways, all of them levels: `DownFrame` to activators, `UpFrame` to autoscalers.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.domain import RevisionKey, Route
from autoscaler.core.messages import Downlink, Uplink


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who wants a link, in an activator's first words."""

    name: str
    """The reporter that all of its messages will name."""
    instance: str
    """Another for each process: one that was started again has no requests of old."""
    nonce: str
    oldest: int
    """Versions of the link that it speaks, from this one ..."""
    newest: int
    """... to this one."""
    term: int = -1
    """Of the leader whose views it has; -1: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What an autoscaler answers: it knows the secret; does the other?"""

    nonce: str
    version: int
    """The newest that both speak, which is spoken from here on."""
    proofs: tuple[str, ...]
    """One for each secret that it knows: while they are changed there are two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An activator knows a secret too."""

    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The link is made; frames follow, both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """There will be no link."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Whether this autoscaler leads, and in which term; the first of all frames.

    Views count only from the leader of the highest term that was heard of.
    """

    term: int
    leading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All routes, in one part or in several; they replace those before them."""

    routes: tuple[Route, ...]
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """All views and routes were told: a revision that was not is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """No client is led to this activator any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where an activator listens for a revision, or why it does not."""

    key: RevisionKey
    reporter: str
    version: int
    """Of the view, as the activator was told it."""
    ports: tuple[int, ...] = ()
    """Those of all its entrances; each is listened on."""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """An activator is to stop: nobody else should be led to it."""

    reporter: str


DownFrame = Downlink | Routing | Synced | Lead | Out

UpFrame = Uplink | Opened | Leaving

Handshake = Hello | Challenge | Proof | Welcome | Refused
