"""A cluster's state -> Prometheus, read when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.backends.kubernetes.managed import Finding


class Gauges(Collector):
    """What one autoscaler knows of its cluster."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        leading: Callable[[], bool],
        failing: Callable[[], str],
        findings: Callable[[], Iterable[Finding]],
        dropped: Callable[[], int],
    ) -> None:
        self._leading = leading
        self._failing = failing
        self._findings = findings
        self._dropped = dropped
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Say what is collected, so that nothing is asked while it is registered."""
        return self._metrics(leading=False, failing=False, findings=(), dropped=0)

    def collect(self) -> Iterator[Metric]:
        """Return all as it is now."""
        yield from self._metrics(
            leading=self._leading(),
            failing=bool(self._failing()),
            findings=self._findings(),
            dropped=self._dropped(),
        )

    def _metrics(
        self, *, leading: bool, failing: bool, findings: Iterable[Finding], dropped: int
    ) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "fromzero_cluster_leading",
            "1 if this autoscaler leads, 0 if it follows.",
            value=float(leading),
        )
        yield GaugeMetricFamily(
            "fromzero_cluster_watch_failing",
            "1 if what is known of the cluster may be old, else 0.",
            value=float(failing),
        )
        yield GaugeMetricFamily(
            "fromzero_cluster_dropped_events",
            "Events that were not written, since the start.",
            value=float(dropped),
        )
        found = GaugeMetricFamily(
            "fromzero_cluster_findings",
            "What a person should know of objects of the cluster, by reason.",
            labels=("reason",),
        )
        for reason, count in sorted(Counter(each.reason for each in findings).items()):
            found.add_metric([reason], count)
        yield found
