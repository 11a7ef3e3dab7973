from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from autoscaler.backends.kubernetes.gauges import Gauges
from autoscaler.backends.kubernetes.managed import Finding, Reference

ABOUT = Reference(api_version="v1", kind="Service", namespace="a", name="b")


def test_what_is_known_is_told_when_it_is_asked():
    registry = CollectorRegistry()
    state = {"leading": False, "failing": ""}
    findings: list[Finding] = []
    Gauges(
        registry,
        leading=lambda: state["leading"],
        failing=lambda: state["failing"],
        findings=lambda: findings,
        dropped=lambda: 2,
    )
    assert "fromzero_cluster_leading 0.0" in generate_latest(registry).decode()

    state |= {"leading": True, "failing": "the API server is away"}
    for message in ("one", "two"):
        found = Finding(about=ABOUT, reason="NoPreStop", message=message)
        findings.append(found)

    text = generate_latest(registry).decode()
    assert "fromzero_cluster_leading 1.0" in text
    assert "fromzero_cluster_watch_failing 1.0" in text
    assert "fromzero_cluster_dropped_events 2.0" in text
    assert 'fromzero_cluster_findings{reason="NoPreStop"} 2.0' in text
