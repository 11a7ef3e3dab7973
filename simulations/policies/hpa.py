"""Kubernetes' HorizontalPodAutoscaler on requests in flight, with a way to zero.

Its rule and its default behaviour; zero as KEDA adds it: after a cool-down without a
request, and up again with the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

from autoscaler.core.delay import Peaks, highest
from autoscaler.core.domain import RevisionKey
from autoscaler.core.hpa import TOLERANCE
from simulations.policies.policy import Seen, Wanted

SYNC_S = 15.0
STABLE_S = 300
"""Stabilisation of scaling down, and KEDA's cool-down: both 300 s by default."""
_STEP = 4
"""Replicas that may come in one sync at least; else as many as there are."""


@dataclass(slots=True)
class _Model:
    next_at: float = -inf
    desired: int = 0
    peaks: Peaks = ()


class Hpa:
    """Decide each 15 s, up by the ratio of load to target, down after five minutes."""

    def __init__(self) -> None:
        self._models: dict[RevisionKey, _Model] = {}

    def decide(self, seen: Seen, now: float) -> Wanted:
        """Return what was decided last, or decide anew if it is time."""
        model = self._models.setdefault(seen.key, _Model())
        zero_at = inf if seen.busy else seen.used_at + STABLE_S
        if now >= zero_at:
            model.desired, model.peaks, model.next_at = 0, (), -inf
            return Wanted(replicas=0, reason=f"idle for {STABLE_S} s")
        if model.desired == 0:
            model.desired, model.next_at = 1, now + SYNC_S
        elif now >= model.next_at:
            model.next_at = now + SYNC_S
            model.desired = self._sync(model, seen, now)
        target = seen.scaling.target_value
        return Wanted(
            replicas=model.desired,
            reason=f"{seen.load.stable:g} in flight against {target:g} wanted",
            again_at=min(model.next_at, zero_at),
            until=inf,
        )

    def _sync(self, model: _Model, seen: Seen, now: float) -> int:
        ready = max(1, seen.load.ready)
        ratio = seen.load.stable / ready / seen.scaling.target_value
        near = abs(ratio - 1.0) <= TOLERANCE
        wanted = ready if near else max(1, ceil(ratio * ready))
        wanted = min(wanted, max(model.desired + _STEP, 2 * model.desired))
        model.peaks, most = highest(model.peaks, wanted, STABLE_S, now)
        return most
