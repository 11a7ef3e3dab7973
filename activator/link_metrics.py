"""What goes over the links, as Prometheus metrics; docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

TROUBLES = (
    "dropped", "garbled", "large", "refused", "secret", "stale", "unknown",
)  # fmt: skip
"""Words for what goes wrong."""


class LinkMetrics:
    """Count messages and troubles; read the number of links at each scrape."""

    def __init__(
        self, registry: CollectorRegistry, connected: Callable[[], int]
    ) -> None:
        Gauge(
            "fromzero_activator_links",
            "Autoscalers that it is connected to.",
            registry=registry,
        ).set_function(connected)
        self._heard = Counter(
            "fromzero_activator_link_messages",
            "Messages of the leading autoscaler that were taken.",
            registry=registry,
        )
        troubles = Counter(
            "fromzero_activator_link_troubles",
            "What went wrong on links to autoscalers, by kind.",
            ("kind",),
            registry=registry,
        )
        self._troubles = {kind: troubles.labels(kind) for kind in TROUBLES}

    def heard(self) -> None:
        """Count a message."""
        self._heard.inc()

    def trouble(self, kind: str) -> None:
        """Count one of TROUBLES."""
        self._troubles[kind].inc()
