"""Which endpoint gets a request: a choice among those that have a free slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from activator.core.ticket import Endpoint
from autoscaler.core.domain import Balance, GateSpec

Choose = Callable[[Sequence[Endpoint], float], Endpoint]
"""Called with at least one endpoint and a uniform in [0, 1)."""

_SMALL: Final = 3
"""A container concurrency up to this is small (Knative draws the line there too)."""


def least_of_two(endpoints: Sequence[Endpoint], pick: float) -> Endpoint:
    """Draw two different endpoints and return the one with less in flight.

    Nearly as even as the least loaded of all, at a cost that does not grow with their
    number (Mitzenmacher, "The power of two choices", 2001).
    """
    count = len(endpoints)
    if count == 1:
        return endpoints[0]
    # One uniform is enough for both draws: it numbers the ordered pairs.
    first, second = divmod(int(pick * count * (count - 1)), count - 1)
    if second >= first:
        second += 1
    one, other = endpoints[first], endpoints[second]
    return other if other.in_flight < one.in_flight else one


def first_free(endpoints: Sequence[Endpoint], pick: float = 0.0) -> Endpoint:
    """Return the last, which is the one that had a free slot most recently.

    So a few endpoints are kept busy and warm, and the others fall idle and can go.
    """
    return endpoints[-1]


def policy(spec: GateSpec) -> Choose:
    """Return the choice that *spec* asks for."""
    small = 1 <= spec.container_concurrency <= _SMALL
    packs = (
        small if spec.balance is Balance.AUTO else spec.balance is Balance.FIRST_FREE
    )
    return first_free if packs else least_of_two
