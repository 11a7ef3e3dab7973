from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.link_metrics import TROUBLES, LinkMetrics


def test_activators_messages_and_troubles_are_counted():
    registry = CollectorRegistry()
    metrics = LinkMetrics(registry, lambda: 2)

    metrics.heard()
    metrics.trouble("forged")

    value = registry.get_sample_value
    assert value("fromzero_link_activators") == 2
    assert value("fromzero_link_messages_total") == 1
    name = "fromzero_link_troubles_total"
    counted = {kind: value(name, {"kind": kind}) for kind in TROUBLES}
    assert counted == {kind: float(kind == "forged") for kind in TROUBLES}


def test_a_word_that_is_not_on_the_list_is_a_bug():
    with pytest.raises(KeyError):
        LinkMetrics(CollectorRegistry(), lambda: 0).trouble("hum")
