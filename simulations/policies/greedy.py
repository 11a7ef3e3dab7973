"""Greedy dual (FaasCache, ASPLOS 2021): nobody goes until another needs the room.

Then it is who is worth least: used rarely, quick to start, large. A clock that is set
to the worth of whoever went last lets those age that are used no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from autoscaler.core.domain import RevisionKey
from simulations.policies.policy import Seen, Wanted

_UNKNOWN_S = 1.0
"""What a start is taken to cost until one was seen."""


@dataclass(slots=True)
class _Model:
    uses: int = 0
    """Times that it was used since it was started."""
    used_at: float = -inf
    worth: float = 0.0
    loaded: bool = False


class GreedyDual:
    """Keep all that fit; needs a budget to be anything else than always on.

    Being busy counts at each look, so that only idle ones are looked at no more.
    """

    def __init__(self) -> None:
        self._clock = 0.0
        self._models: dict[RevisionKey, _Model] = {}

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return one at least for whoever was asked for once, and what it is worth."""
        model = self._models.setdefault(seen.key, _Model())
        if seen.evicted:
            if model.loaded:
                self._clock = max(self._clock, model.worth)
                model.loaded, model.uses = False, 0
            return Wanted(replicas=0, reason="made room")
        if seen.busy or seen.used_at > model.used_at:
            model.uses += 1
            model.used_at = now if seen.busy else seen.used_at
            model.loaded = True
            cost = seen.load_s or _UNKNOWN_S
            model.worth = self._clock + model.uses * cost / max(1, seen.gpus)
        if not model.loaded:
            return Wanted(replicas=0, reason="no request yet")
        needed = seen.needed if seen.busy else 1
        return Wanted(
            replicas=needed,
            reason=f"kept while there is room; worth {model.worth:.4g}",
            worth=model.worth,
            until=-inf if seen.busy else inf,
        )
