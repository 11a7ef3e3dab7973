"""Uniforms that depend on a seed, a purpose and a number, and on nothing else.

So the same request draws the same chances whatever else happens in a run: two runs
that differ in a setting differ by that setting only (common random numbers).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from math import log

from numpy.random import PCG64, Generator

_WORDS = 8
"""Uniforms from one digest of 64 bytes: 0.2 µs each, half of a splitmix64 in Python."""

_UNIT = 2.0**-53


def uniforms(seed: int, purpose: str, count: int) -> array[float]:
    """Return the first *count* uniforms in [0, 1) of a purpose.

    >>> uniforms(7, "service", 3)[2] == uniform(7, "service", 2)
    True
    """
    begun = blake2b(f"{seed}/{purpose}/".encode(), digest_size=8 * _WORDS)
    digests = []
    for block in range((count + _WORDS - 1) // _WORDS):
        hashed = begun.copy()
        hashed.update(block.to_bytes(8, "little"))
        digests.append(hashed.digest())
    words = array("Q", b"".join(digests))
    if sys.byteorder == "big":
        words.byteswap()
    return array("d", [(word >> 11) * _UNIT for word in words[:count]])


def uniform(seed: int, purpose: str, number: int) -> float:
    """Return the uniform in [0, 1) of one thing, such as a start, for one purpose."""
    block, place = divmod(number, _WORDS)
    hashed = blake2b(f"{seed}/{purpose}/".encode(), digest_size=8 * _WORDS)
    hashed.update(block.to_bytes(8, "little"))
    word = hashed.digest()[place * 8 : place * 8 + 8]
    return (int.from_bytes(word, "little") >> 11) * _UNIT


def exponential(mean: float, chance: float) -> float:
    """Return the exponential draw that belongs to the uniform *chance*.

    >>> round(exponential(2.0, 0.5), 3)
    1.386
    """
    return mean * -log(1.0 - chance)


def quantile(quantiles: Sequence[float], chance: float) -> float:
    """Return the draw of *chance* from equally spaced quantiles, joined by lines.

    >>> quantile((3.0,), 0.9), quantile((10.0, 20.0, 60.0), 0.75)
    (3.0, 40.0)
    """
    place = chance * (len(quantiles) - 1)
    below = int(place)
    if below == len(quantiles) - 1:
        return quantiles[below]
    share = place - below
    return quantiles[below] * (1.0 - share) + quantiles[below + 1] * share


def generator(seed: int, purpose: str) -> Generator:
    """Return numpy's generator for one purpose: the same on every machine with the same
    numpy; for traces, which are made once, and not for what a run draws.

    >>> float(generator(1, "a").random()) == float(generator(1, "a").random())
    True
    """
    digest = blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    return Generator(PCG64(int.from_bytes(digest, "little")))
