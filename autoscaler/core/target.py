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
    """Share of that to aim at."""
    rps: float = 200.0
    """Requests/s that a replica can take."""
    rps_utilization: float = 0.7
    """Share of that to aim at."""
    usage: float = 80.0
    """% of the request to aim at, for cpu and memory (Kubernetes' default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Both halves of a target, as `ScalingSpec` has them."""

    total: float
    """Load that a replica can take."""
    utilization: float
    """Share of it to aim at."""


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
    if metric is Metric.CPU or metric is Metric.MEMORY:
        return Target(
            total=defaults.usage if wanted is None else wanted, utilization=1.0
        )
    if metric is Metric.RPS:
        total = defaults.rps if wanted is None else wanted
        share = defaults.rps_utilization
    else:
        limit = container_concurrency
        total = (limit or defaults.concurrency) if wanted is None else wanted
        total = min(total, limit) if limit else total
        share = defaults.concurrency_utilization
    if utilization_percentage is not None:
        share = utilization_percentage / 100
    return Target(total=float(total), utilization=share)
