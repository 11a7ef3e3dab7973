"""Keys and replicas as numbers that every activator makes alike.

Each replica has a score for each key, and the highest has the key: so one that comes
takes its share of keys from all others, one that goes leaves its own to all others, and
no other key moves (Thaler and Ravishankar, "Using name-based mappings", 1998).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_KEYS: Final = 2**53
"""As many as a float tells apart."""
_MASK: Final = 2**64 - 1


def number(data: bytes) -> int:
    """Return 64 bits that say *data*, in every process."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def pick_of(key: bytes) -> float:
    """Return what stands for *key* where others have a uniform: from -1 to below 0.

    >>> pick_of(b"a") == pick_of(b"a"), -1.0 <= pick_of(b"b") < 0.0
    (True, True)
    """
    return -((number(key) % _KEYS) + 1) / _KEYS


def score(seed: int, pick: float) -> int:
    """Return 64 bits that tell nothing of either number alone.

    For one pick different seeds have different scores: each step can be undone.
    """
    mixed = seed ^ int(abs(pick) * _KEYS)
    mixed = (mixed ^ (mixed >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    mixed = (mixed ^ (mixed >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return mixed ^ (mixed >> 33)


def chance(seed: int, pick: float) -> float:
    """Return a uniform in [0, 1] for the two, which tells nothing of their score."""
    return score(score(seed, pick), pick) / _MASK
