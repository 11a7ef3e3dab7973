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

HOLD_S: Final[tuple[float, ...]] = (
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1200.0,
)
"""Cold starts: of a small server, and of a large model that is downloaded first."""
CONNECT_S: Final[tuple[float, ...]] = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
"""In one zone, between two, and with a SYN that was lost once or twice."""
FIRST_BYTE_S: Final[tuple[float, ...]] = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip
"""A classifier, a first token, and answers that are written whole."""
BODY_S: Final[tuple[float, ...]] = (
    0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
    30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
)  # fmt: skip
"""One piece, some tokens, and a stream for as long as anybody listens."""
_LABELS: Final = ("namespace", "revision")
_CODES: Final = ("left", "1xx", "2xx", "3xx", "4xx", "5xx")
PHASES: Final = (
    ("hold", "How long requests that had to wait were held."),
    ("connect", "How long it took to connect to a replica, where that was needed."),
    (
        "replica_first_byte",
        "From when a replica was last sent a request to the first byte of its answer.",
    ),
    (
        "first_byte",
        "From a request's arrival to the first byte of its answer, holds included.",
    ),
    (
        "body",
        "From the first byte to the last of answers that ended; not of tunnels.",
    ),
)
"""In the order of `Counts.phases`."""


class Durations:
    """How many took how long, in buckets that end at *bounds*."""

    __slots__ = ("_bounds", "_first", "counts", "sum_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._first = bounds[0]
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        # Most holds, and what a small model takes, are in the first.
        first = seconds <= self._first
        self.counts[0 if first else bisect_left(self._bounds, seconds)] += 1
        self.sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Return bounds and how many took no longer."""
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Counts:
    """What happened to the requests for one revision; written on the hot path."""

    __slots__ = (
        "bodies",
        "codes",
        "connects",
        "first_byte",
        "holds",
        "replica_first_byte",
        "retries",
    )

    def __init__(self) -> None:
        self.codes = [0] * len(_CODES)
        """By the first digit of the status; 0: the client left before it had one."""
        self.holds = Durations(HOLD_S)
        self.connects = Durations(CONNECT_S)
        """Of those that a connection was opened for."""
        self.first_byte = Durations(FIRST_BYTE_S)
        """From the arrival to the answer's first byte."""
        self.replica_first_byte = Durations(FIRST_BYTE_S)
        """To there from when a replica was last sent it."""
        self.bodies = Durations(BODY_S)
        """From there to the answer's last byte."""
        self.retries = 0
        """Forwarded again, after a replica had broken it off."""

    @property
    def phases(self) -> tuple[Durations, ...]:
        """Return what there is of each phase, in the order of a request."""
        asked = self.holds, self.connects
        return (*asked, self.replica_first_byte, self.first_byte, self.bodies)


class Telemetry(Collector):
    """Count, and be scraped."""

    def __init__(
        self,
        registry: CollectorRegistry,
        gate: Callable[[RevisionKey], Gate | None],
        connections: Callable[[], int],
        unlogged: Callable[[], int] = int,
    ) -> None:
        self._gate = gate
        self._connections = connections
        self._unlogged = unlogged
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
        phases = [
            HistogramMetricFamily(
                f"fromzero_activator_{name}_seconds", said, labels=_LABELS
            )
            for name, said in PHASES
        ]
        for key, counts in list(self._counts.items()):
            labels = list(key)
            for code, count in zip(_CODES, counts.codes, strict=True):
                if count:
                    requests.add_metric([*labels, code], count)
            retries.add_metric(labels, counts.retries)
            for family, durations in zip(phases, counts.phases, strict=True):
                family.add_metric(labels, durations.buckets, durations.sum_s)
            gate = self._gate(key)
            if gate is not None:
                waiting = len(gate.queue)
                held.add_metric(labels, waiting)
                in_flight.add_metric(labels, gate.meter.level - waiting)
        yield from (requests, retries, held, in_flight, *phases)
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
        yield CounterMetricFamily(
            "fromzero_activator_access_log_dropped",
            "Lines of the access log that were not written: nobody took them.",
            value=self._unlogged(),
        )
