"""What one replica should carry, from the settings that people know from Knative."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.domain import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDefaults:
    """What holds where a revision says nothing; numbers are Knative's."""

    concurrency: float = 100.0
    """Requests in flight that a replica without a limit can take."""
    concurrency_utilization: float = 0.7
    rps: float = 200.0
    rps_utilization: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a replica can take, and the share of it to aim at."""

    total: float
    utilization: float


def target(
    metric: Metric,
    *,
    container_concurrency: int = 0,
    wanted: float | None = None,
    utilization_percentage: float | None = None,
    defaults: TargetDefaults,
) -> Target:
    """Resolve a revision's target; *wanted* is scaleTarget or its annotation.

    A replica that admits fewer requests than wanted can take only those. For cpu and
    memory *wanted* is a percentage that is aimed at as it stands.

    >>> found = target(
    ...     Metric.CONCURRENCY,
    ...     container_concurrency=4,
    ...     wanted=10,
    ...     utilization_percentage=75,
    ...     defaults=TargetDefaults(),
    ... )
    >>> found.total, found.utilization
    (4.0, 0.75)
    """
    match metric:
        case Metric.CONCURRENCY:
            limit = float(container_concurrency)
            total = wanted if wanted is not None else limit or defaults.concurrency
            total = min(total, limit) if limit else total
            share = defaults.concurrency_utilization
        case Metric.RPS:
            total = wanted if wanted is not None else defaults.rps
            share = defaults.rps_utilization
        case Metric.CPU | Metric.MEMORY:
            return Target(total=wanted if wanted is not None else 80.0, utilization=1.0)
    if utilization_percentage is not None:
        share = utilization_percentage / 100
    return Target(total=float(total), utilization=share)
