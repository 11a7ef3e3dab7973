"""What a request has in common with others that should meet the same replica."""

from __future__ import annotations

from typing import Final

from activator.bodies import prompt_of
from activator.core.exchange import Exchange
from activator.core.framing import NONE
from activator.core.rendezvous import pick_of
from autoscaler.core.affinity import Affinity

LOOK: Final = 4096
"""Bytes of a body in which its prompt begins; else its own start stands for it."""


def keyed(affinity: Affinity, exchange: Exchange, pick: float) -> float | None:
    """Return what stands for the key of *exchange*, or *pick* where it has none.

    None: more of its body is needed, though never more than LOOK and the prompt's part.
    """
    if affinity.header:
        key = exchange.field(affinity.header.encode())
    elif exchange.length == NONE:
        key = b""
    else:
        enough = affinity.prompt + LOOK
        if exchange.received < enough and not exchange.complete:
            return None
        key = prompt_of(_beginning(exchange, enough), LOOK)[: affinity.prompt]
    return pick_of(key) if key else pick


def _beginning(exchange: Exchange, size: int) -> bytes:
    """Return the first *size* bytes of a body, without joining all of it."""
    begun = b""
    for piece in exchange.pieces:
        begun += piece[: size - len(begun)]
        if len(begun) == size:
            break
    return begun
