"""docs/metrics.md against every metric that there is."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

import activator.link_metrics
import activator.telemetry
import autoscaler.link_metrics
import autoscaler.telemetry
from autoscaler.backends.kubernetes.gauges import Gauges
from autoscaler.coldstart import Phase
from tests.fakes.known import ASLEEP

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+) \|$", re.MULTILINE)


def test_every_metric_has_its_row_and_every_row_its_metric():
    registry = CollectorRegistry()
    autoscaler.telemetry.Telemetry(registry).watch(lambda: (ASLEEP,))
    activator.telemetry.Telemetry(registry, lambda key: None, lambda: 0)
    autoscaler.link_metrics.LinkMetrics(registry, lambda: 0)
    activator.link_metrics.LinkMetrics(registry, lambda: 0)
    Gauges(
        registry,
        leading=lambda: True,
        failing=lambda: "",
        findings=tuple,
        dropped=lambda: 0,
    )

    there = {
        each.name + ("_total" if each.type == "counter" else ""): (
            each.type,
            each.documentation,
        )
        for each in registry.collect()
    }

    assert {name: (kind, said) for name, kind, _, said in ROW.findall(TEXT)} == there


def test_the_buckets_of_each_phase_are_as_its_row_says():
    rows = {
        name: [float(bound) for bound in bounds.split(",")]
        for names, bounds in re.findall(r"^\| (`.+`) \| ([\d., ]+) \|$", TEXT, re.M)
        for name in re.findall(r"`(\w+)`", names)
    }
    phases = dict(activator.telemetry.PHASES)

    assert rows == {
        name: [float(bound) for bound, _ in durations.buckets[:-1]]
        for name, durations in zip(
            phases, activator.telemetry.Counts().phases, strict=True
        )
    }


def test_every_phase_of_a_cold_start_is_explained():
    assert [each for each in Phase if f"`{each.value}` (" not in TEXT] == []


def test_every_kind_of_trouble_on_links_is_explained():
    kinds = [
        (each[1].strip(" `"), each[2].strip(), each[3].strip())
        for each in (line.split("|") for line in TEXT.splitlines())
        if len(each) == 5 and each[1].startswith(" `")
    ]

    assert {name for name, said, _ in kinds if said} == set(
        autoscaler.link_metrics.TROUBLES
    )
    assert {name for name, _, said in kinds if said} == set(
        activator.link_metrics.TROUBLES
    )
