"""Requests that only ask how it is: they neither wake a model nor keep it awake."""

from __future__ import annotations

import re
from typing import Final

from activator.core.exchange import Exchange

LIMIT_S: Final = 10.0
"""Of one that is passed on."""

_AGENTS: Final = re.compile(
    rb"kube-probe/|Prometheus/|ELB-HealthChecker/|GoogleHC/|Amazon-Route53-Health-Check"
    rb"|Envoy/HC|Consul Health Check|Blackbox Exporter|Better Uptime Bot|UptimeRobot/"
    rb"|vmagent|OpenTelemetry Collector|Datadog Agent|fromzero-probe"
)
"""How those who check or scrape begin their User-Agent (Mozilla/… ones contain it)."""

_PATHS: Final = re.compile(
    rb"/(?:healthz?|livez?|readyz?|ping|metrics"
    rb"|v2/?|v2/health/(?:live|ready)|v2/models/?"
    rb"|v2/models/[^/]+(?:/versions/[^/]+)?/ready"
    rb"|(?:openai/)?v1/models(?:/[^/:]*)?)"
)
"""What health checks, V1, V2 and OpenAI clients ask before, or instead of, work."""

_ASKING: Final = frozenset({b"GET", b"HEAD"})
# Those that check ask the same all the time; who invents names gains nothing.
_REMEMBERED: Final = 1024
_LONGEST: Final = 256


class Checks:
    """Recognise checks, and remember what was one.

    >>> check = Checks()
    >>> exchange = Exchange(b"GET", b"/v2/health/ready?verbose")
    >>> check(exchange, exchange.target)
    True
    """

    def __init__(self) -> None:
        self._agents: dict[bytes, bool] = {}
        self._paths: dict[bytes, bool] = {}

    def __call__(self, exchange: Exchange, path: bytes) -> bool:
        """Say whether *exchange* is a check; *path* is what its model is asked."""
        if exchange.method not in _ASKING:
            return False
        known = self._paths.get(path)
        if known is None:
            known = _PATHS.fullmatch(path.partition(b"?")[0]) is not None
            _remember(self._paths, path, known)
        if known:
            return True
        agent = exchange.agent
        known = self._agents.get(agent)
        if known is None:
            known = _AGENTS.search(agent) is not None
            _remember(self._agents, agent, known)
        return known


def _remember(known: dict[bytes, bool], what: bytes, said: bool) -> None:
    if len(known) < _REMEMBERED and len(what) <= _LONGEST:
        known[what] = said
