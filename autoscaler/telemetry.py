"""What the autoscaler decides and sees, as Prometheus metrics; docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoscaler.clock import Clock, monotonic
from autoscaler.coldstart import ColdStarts, Phase
from autoscaler.core.commands import Decided, Scale, Status
from autoscaler.core.domain import RevisionKey
from autoscaler.events import Event, Failure

_LABELS = ("namespace", "revision")
_BOUNDS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_GAUGES = (
    ("desired", "Replicas wanted, after bounds, room or not."),
    ("ready", "Replicas that serve."),
    ("starting", "Replicas that do not serve yet."),
    ("draining", "Replicas that finish what they have."),
)


class Telemetry:
    """Count events; read what has a level when somebody scrapes, never before."""

    def __init__(self, registry: CollectorRegistry, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._starts = ColdStarts()
        self._decisions = Counter(
            "fromzero_decisions",
            "Decisions made, by the window that they listened to.",
            ("mode",),
            registry=registry,
        )
        self._scales = Counter(
            "fromzero_scale_commands",
            "Changes of a replica count that were applied.",
            _LABELS,
            registry=registry,
        )
        self._failures = Counter(
            "fromzero_start_failures",
            "Starts that did not come to be ready.",
            _LABELS,
            registry=registry,
        )
        self._cold = Histogram(
            "fromzero_cold_start_seconds",
            "Length of each phase of a cold start.",
            ("phase",),
            buckets=_BOUNDS_S,
            registry=registry,
        )
        self._reloads = Counter(
            "fromzero_reloads",
            "Changes of documents that were read, by result.",
            ("result",),
            registry=registry,
        )
        self._registry = registry

    def watch(self, statuses: Callable[[], tuple[Status, ...]]) -> None:
        """Read levels from *statuses* at each scrape."""
        self._registry.register(_Levels(statuses))

    def saw(self, event: Event) -> None:
        """Count *event*."""
        match event:
            case Decided(decision=decision):
                self._decisions.labels(decision.mode.value).inc()
            case Scale(key=key):
                self._scales.labels(*key).inc()
            case Failure(key=key):
                self._failures.labels(*key).inc()
            case _:
                pass
        self._measure(self._starts.saw(event, self._clock()))

    def connected(self, key: RevisionKey) -> None:
        """Know that a starting replica of *key* accepted its first connection."""
        self._measure(self._starts.connected(key, self._clock()))

    def answered(self, key: RevisionKey, at: float) -> None:
        """Know that the first byte of an answer went out at *at*."""
        self._measure(self._starts.answered(key, at))

    def reloaded(self, result: str) -> None:
        """Count a reload: applied, refused or unchanged."""
        self._reloads.labels(result).inc()

    def forget(self, key: RevisionKey) -> None:
        """Let go of *key*'s series."""
        self._starts.forget(key)
        for each in (self._scales, self._failures):
            try:
                each.remove(*key)
            except KeyError:  # It never had one.
                pass

    def _measure(self, phases: list[tuple[Phase, float]]) -> None:
        for phase, seconds in phases:
            self._cold.labels(phase.value).observe(max(0.0, seconds))


class _Levels(Collector):
    def __init__(self, statuses: Callable[[], tuple[Status, ...]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        statuses = self._statuses()
        for field, said in _GAUGES:
            family = GaugeMetricFamily(
                f"fromzero_{field}_replicas", said, None, _LABELS
            )
            for each in statuses:
                family.add_metric(list(each.key), getattr(each, field))
            yield family
        states = GaugeMetricFamily(
            "fromzero_revisions", "Revisions, by state.", None, ("state",)
        )
        for state in sorted({each.state for each in statuses}):
            count = sum(each.state == state for each in statuses)
            states.add_metric([state], count)
        yield states

    def describe(self) -> Iterator[Metric]:
        return self.collect()
