"""What goes over the link, as Prometheus metrics; docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

TROUBLES = (
    "crowded", "forged", "garbled", "large", "late", "replaced", "secret",
    "slow", "stranger", "throttled", "unknown", "version",
)  # fmt: skip
"""Words for what goes wrong."""


class LinkMetrics:
    """Count messages and troubles; read the number of activators at each scrape."""

    def __init__(
        self, registry: CollectorRegistry, connected: Callable[[], int]
    ) -> None:
        Gauge(
            "fromzero_link_activators",
            "Activators that are connected.",
            registry=registry,
        ).set_function(connected)
        self._heard = Counter(
            "fromzero_link_messages",
            "Messages of activators that were taken.",
            registry=registry,
        )
        troubles = Counter(
            "fromzero_link_troubles",
            "What went wrong on links to activators, by kind.",
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
