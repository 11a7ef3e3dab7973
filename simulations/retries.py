"""When a client that was not answered asks again: full jitter, twice as long each time.

As the SDKs of model APIs do: soon, after what the answer's Retry-After asks for unless
that is long, and so many times at most.
"""

from __future__ import annotations

from autoscaler.core.domain import RevisionKey
from simulations.chance import uniform

_FIRST_S = 0.5
_MOST_S = 8.0
_HEEDED_S = 60.0
"""A Retry-After of more is not waited for."""


def pause_s(
    seed: int, key: RevisionKey, request: int, attempt: int, told_s: float
) -> float:
    """Return how long a client waits after its failed *attempt*, from 1.

    >>> llm = RevisionKey("default", "llm")
    >>> [0.0 <= pause_s(1, llm, 7, n, 0.0) < 0.5 * 2 ** (n - 1) for n in (1, 2, 3)]
    [True, True, True]
    """
    most = min(_MOST_S, _FIRST_S * 2.0 ** min(attempt - 1, 16))
    chance = uniform(seed, f"{key}/retry/{attempt}", request)
    return (told_s if told_s <= _HEEDED_S else 0.0) + most * chance
