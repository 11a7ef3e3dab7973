"""What the activator does, as Prometheus metrics; docs/metrics.md.

Requests are counted in plain integers; metrics are made of them when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from activator.core.gate import Gate
from autoscaler.core.domain import RevisionKey

BOUNDS_S: Final[tuple[float, ...]] = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
_LABELS: Final = ("namespace", "revision")
_CODES: Final = ("left", "1xx", "2xx", "3xx", "4xx", "5xx")


class Durations:
    """How many took how long."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Return bounds and how many took no longer."""
        bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Counts:
    """What happened to the requests for one revision; written on the hot path."""

    __slots__ = ("codes", "first_byte", "holds", "retries")

    def __init__(self) -> None:
        self.codes = [0] * len(_CODES)
        """By the first digit of the status; 0: the client left before it had one."""
        self.first_byte = Durations()
        """From the arrival to the answer's first byte."""
        self.holds = Durations()
        self.retries = 0
        """Forwarded again, after a replica had broken it off."""


class Telemetry(Collector):
    """Count, and be scraped."""

    def __init__(
        self,
        registry: CollectorRegistry,
        gate: Callable[[RevisionKey], Gate | None],
        connections: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._connections = connections
        self._counts: dict[RevisionKey, Counts] = {}
        self.own: Counter[int] = Counter()
        """Answers that the activator gave itself, by status."""
        self.refused = 0
        """Connections that were not taken: there were as many as may be."""
        registry.register(self)

    def counts(self, key: RevisionKey) -> Counts:
        """Return where to count requests for *key*."""
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = Counts()
        return counts

    def forget(self, key: RevisionKey) -> None:
        """Let go of *key*'s series."""
        self._counts.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Return all metrics, as they are now."""
        requests = CounterMetricFamily(
            "fromzero_activator_requests",
            "Requests that ended, by the class of their status; left: without one.",
            labels=(*_LABELS, "code"),
        )
        retries = CounterMetricFamily(
            "fromzero_activator_retries",
            "Times that a request was sent again after a replica had broken it off.",
            labels=_LABELS,
        )
        held = GaugeMetricFamily(
            "fromzero_activator_held_requests",
            "Requests that wait for a replica.",
            labels=_LABELS,
        )
        in_flight = GaugeMetricFamily(
            "fromzero_activator_in_flight_requests",
            "Requests that are at a replica.",
            labels=_LABELS,
        )
        holds = HistogramMetricFamily(
            "fromzero_activator_hold_seconds",
            "How long requests that had to wait were held.",
            labels=_LABELS,
        )
        first_byte = HistogramMetricFamily(
            "fromzero_activator_first_byte_seconds",
            "From a request's arrival to the first byte of its answer, holds included.",
            labels=_LABELS,
        )
        for key, counts in list(self._counts.items()):
            labels = list(key)
            for code, count in zip(_CODES, counts.codes, strict=True):
                if count:
                    requests.add_metric([*labels, code], count)
            retries.add_metric(labels, counts.retries)
            for family, durations in (
                (holds, counts.holds),
                (first_byte, counts.first_byte),
            ):
                family.add_metric(labels, durations.buckets, durations.sum_s)
            gate = self._gate(key)
            if gate is not None:
                waiting = len(gate.queue)
                held.add_metric(labels, waiting)
                in_flight.add_metric(labels, gate.meter.level - waiting)
        yield from (requests, retries, held, in_flight, holds, first_byte)
        yield from self._own()

    def describe(self) -> Iterator[Metric]:
        """Return what `collect` does: the names do not depend on requests."""
        return self.collect()

    def _own(self) -> Iterator[Metric]:
        own = CounterMetricFamily(
            "fromzero_activator_own_answers",
            "Answers that the activator gave itself, by status.",
            labels=("status",),
        )
        for status, count in sorted(self.own.items()):
            own.add_metric([str(status)], count)
        yield own
        yield GaugeMetricFamily(
            "fromzero_activator_connections",
            "Open connections of clients.",
            value=self._connections(),
        )
        yield CounterMetricFamily(
            "fromzero_activator_refused_connections",
            "Connections of clients that were refused: as many as may be were open.",
            value=self.refused,
        )
