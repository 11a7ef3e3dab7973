"""Which endpoint gets a request: a choice among those that have a free slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from activator.core.rendezvous import chance, score
from activator.core.ticket import Endpoint
from autoscaler.core.affinity import affinity
from autoscaler.core.domain import Balance, GateSpec

Choose = Callable[[Sequence[Endpoint], float, float], Endpoint]
"""Called with at least one endpoint, the request's pick and the time.

The pick is a uniform in [0, 1); less than 0, it stands for the request's key.
"""

_SMALL: Final = 3
"""A container concurrency up to this is small (Knative draws the line there too)."""
_COLDEST: Final = 0.1
"""Share that a replica has at least as soon as it is ready; Envoy's."""


def least_of_two(endpoints: Sequence[Endpoint], pick: float, now: float) -> Endpoint:
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


def first_free(endpoints: Sequence[Endpoint], pick: float, now: float) -> Endpoint:
    """Return the last, which is the one that had a free slot most recently.

    So a few endpoints are kept busy and warm, and the others fall idle and can go.
    """
    return endpoints[-1]


def by_key(endpoints: Sequence[Endpoint], pick: float, now: float) -> Endpoint:
    """Return the one that has the key, unless it has too much in flight as it is.

    Too much is a quarter more than the mean would be with this request; there is always
    somebody below that, and the next by score who is gets what is too much (Mirrokni,
    Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2016).
    """
    if pick >= 0.0:
        return least_of_two(endpoints, pick, now)
    total = 1
    for each in endpoints:
        total += each.in_flight
    quarters = 4 * len(endpoints)
    most = (5 * total + quarters - 1) // quarters
    chosen, best = endpoints[0], -1
    for each in endpoints:
        if each.in_flight < most:
            its = score(each.seed, pick)
            if its > best:
                chosen, best = each, its
    return chosen


def warmth(endpoint: Endpoint, ramp_s: float, now: float) -> float:
    """Return the share of its requests that *endpoint* may have at *now*: up to 1."""
    return min(max((now - endpoint.ready_at) / ramp_s, _COLDEST), 1.0)


def eased(choose: Choose, ramp_s: float) -> Choose:
    """Return *choose* with a slow start over *ramp_s* for who has just become ready.

    Who is half as warm as the warmest keeps every second of the requests that *choose*
    would give it; of keys, the same ones each time, and more as it gets warmer. The
    warmest keeps all: after a wake, where none is warm, nothing is held back.
    """

    def choose_eased(
        endpoints: Sequence[Endpoint], pick: float, now: float
    ) -> Endpoint:
        chosen = choose(endpoints, pick, now)
        share = warmth(chosen, ramp_s, now)
        if share == 1.0:
            return chosen
        warmest = max([warmth(each, ramp_s, now) for each in endpoints])
        rest = list(endpoints)
        while share < chance(chosen.seed, pick) * warmest:
            rest.remove(chosen)
            chosen = choose(rest, pick, now)
            share = warmth(chosen, ramp_s, now)
        return chosen

    return choose_eased


def policy(spec: GateSpec) -> Choose:
    """Return the choice that *spec* asks for."""
    balance = spec.balance
    small = 1 <= spec.container_concurrency <= _SMALL
    packs = small if balance == Balance.AUTO else balance == Balance.FIRST_FREE
    if packs:
        return first_free
    spreads = least_of_two if affinity(balance) is None else by_key
    return eased(spreads, spec.slow_start_s) if spec.slow_start_s > 0.0 else spreads
