"""Look every few seconds at what replicas use, for revisions that scale by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from autoscaler.backends.usage import Look, Meter, Use, measurable, processes
from autoscaler.clock import monotonic
from autoscaler.core.domain import Metric, RevisionKey
from autoscaler.kserve import Wanted

_EVERY_S = 5.0  # A look at 500 processes takes a hundredth of a second.


async def gauge(
    there: Callable[[], Mapping[RevisionKey, Wanted]],
    used: Callable[[RevisionKey, Look], Mapping[str, Use]],
    say: Callable[[RevisionKey, float], None],
    every_s: float = _EVERY_S,
) -> None:
    """Say the use of each revision of *there* that scales by it, while it is known.

    Processes are not looked at while no revision scales by what they use.
    """
    meters: dict[RevisionKey, Meter] = {}
    if not measurable():
        return
    while True:
        await asyncio.sleep(every_s)
        meters = {key: _meter(meters.get(key), by) for key, by in _metered(there())}
        if not meters:
            continue
        # In a thread: requests go on.
        look = Look(await asyncio.to_thread(processes), monotonic())
        wanted = there()
        for key, meter in meters.items():
            if key in wanted:
                requested = wanted[key].launch.requested
                percent = meter.percent(used(key, look), requested, look.at)
                if percent is not None:
                    say(key, percent)


def _metered(
    wanted: Mapping[RevisionKey, Wanted],
) -> list[tuple[RevisionKey, Metric]]:
    return [
        (key, metric)
        for key, each in wanted.items()
        if (metric := each.spec.scaling.metric) in (Metric.CPU, Metric.MEMORY)
    ]


def _meter(before: Meter | None, metric: Metric) -> Meter:
    return before if before and before.metric is metric else Meter(metric)
