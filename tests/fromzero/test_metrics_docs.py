"""docs/metrics.md against every metric that there is."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

import activator.telemetry
import autoscaler.telemetry
from autoscaler.coldstart import Phase
from tests.fakes.known import ASLEEP

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+) \|$", re.MULTILINE)


def test_every_metric_has_its_row_and_every_row_its_metric():
    registry = CollectorRegistry()
    autoscaler.telemetry.Telemetry(registry).watch(lambda: (ASLEEP,))
    activator.telemetry.Telemetry(registry, lambda key: None, lambda: 0)

    there = {
        each.name + ("_total" if each.type == "counter" else ""): (
            each.type,
            each.documentation,
        )
        for each in registry.collect()
    }

    assert {name: (kind, said) for name, kind, _, said in ROW.findall(TEXT)} == there


def test_every_phase_of_a_cold_start_is_explained():
    assert [each for each in Phase if f"`{each.value}` (" not in TEXT] == []
