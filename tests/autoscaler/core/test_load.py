from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Aggregation, Metric, ScalingSpec
from autoscaler.core.load import Load

SPEC = ScalingSpec(stable_window_s=60, panic_window_percentage=10.0)


def steady(seconds: int, load: float = 3.0, spec: ScalingSpec = SPEC) -> Load:
    counted = Load(spec)
    for second in range(seconds):
        counted.record(load, seconds=1.0, now=float(second))
    return counted


@given(st.floats(0, 100), st.floats(0.01, 30.0))
def test_a_span_counts_as_long_as_it_was_whatever_its_length(load, seconds):
    counted = Load(SPEC)

    counted.record(load, seconds, now=100.0)

    total = sum(each for _, each in counted.stable.seconds())
    assert total == pytest.approx(load * seconds)


def test_a_span_longer_than_the_window_fills_it_and_no_more():
    counted = Load(SPEC)

    counted.record(2.0, seconds=1e9, now=1e6)

    assert counted.stable.average(1e6) == counted.panic.average(1e6) == 2.0


def test_a_span_that_ended_before_the_newest_second_counts_as_far_as_that_is_kept():
    counted = Load(SPEC)
    counted.record(1.0, seconds=1.0, now=100.0)

    counted.record(2.0, seconds=3.0, now=98.0)
    counted.record(9.0, seconds=3.0, now=10.0)

    kept = [each for _, each in counted.stable.seconds() if each]
    assert kept == [2.0, 2.0, 2.0, 1.0]


def test_a_window_that_is_resized_keeps_its_load():
    counted = steady(60)
    shorter = replace(SPEC, stable_window_s=30)

    assert counted.configure(SPEC, shorter, now=59.0)

    assert (counted.stable.window_s, counted.panic.window_s) == (30, 3)
    assert counted.stable.average(59.0) == 3.0


def test_another_aggregation_looks_at_the_same_seconds():
    counted = steady(60)
    weighted = replace(SPEC, aggregation=Aggregation.WEIGHTED)

    assert counted.configure(SPEC, weighted, now=59.0)

    assert counted.panic.average(59.0) == pytest.approx(3.0, rel=1e-3)


def test_another_metric_begins_anew():
    counted = steady(60)

    assert not counted.configure(SPEC, replace(SPEC, metric=Metric.RPS), now=59.0)

    assert counted.stable.average(59.0) == 0.0


def test_what_is_forgotten_counts_no_more():
    counted = steady(60)

    counted.forget(replace(SPEC, stable_window_s=20))

    assert counted.stable.average(59.0) == 0.0
    assert counted.stable.window_s == 20
