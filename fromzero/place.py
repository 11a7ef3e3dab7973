"""Where an autoscaler of a cluster is, and where it can be reached."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this autoscaler is."""

    namespace: str
    """Its own, and its activators'."""
    name: str
    """Of its pod: who leads is told by it."""
    only: str = ""
    """The one namespace that it manages; empty: all that are labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Sockets that listen already."""

    admin: socket.socket
    link: socket.socket
