from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from activator.link_metrics import TROUBLES, LinkMetrics


def test_links_messages_and_troubles_are_counted():
    registry = CollectorRegistry()
    metrics = LinkMetrics(registry, lambda: 2)

    metrics.heard()
    metrics.trouble("stale")

    value = registry.get_sample_value
    assert value("fromzero_activator_links") == 2
    assert value("fromzero_activator_link_messages_total") == 1
    name = "fromzero_activator_link_troubles_total"
    counted = {kind: value(name, {"kind": kind}) for kind in TROUBLES}
    assert counted == {kind: float(kind == "stale") for kind in TROUBLES}


def test_a_word_that_is_not_on_the_list_is_a_bug():
    with pytest.raises(KeyError):
        LinkMetrics(CollectorRegistry(), lambda: 0).trouble("hum")
