from typing import Any

import pytest

from autoscaler.core.domain import Metric, ScalingSpec
from autoscaler.core.target import TargetDefaults, target
from tests.vectors.sections import section


@pytest.mark.parametrize(
    "case", section("metric_target"), ids=lambda case: case["name"]
)
def test_targets_are_knatives(case: dict[str, Any]):
    config = case["config"]

    found = target(
        Metric(case["metric"]),
        container_concurrency=case["container_concurrency"],
        wanted=case["target_annotation"],
        utilization_percentage=case["tu_annotation_pct"],
        defaults=TargetDefaults(
            concurrency=config["cc_default"],
            concurrency_utilization=config["cc_fraction"],
            rps=config["rps_default"],
            rps_utilization=config["target_utilization"],
        ),
    )

    spec = ScalingSpec(total_value=found.total, target_utilization=found.utilization)
    assert found.total == case["expect_total"]
    assert spec.target_value == pytest.approx(case["expect_target"], rel=1e-12)


@pytest.mark.parametrize("metric", [Metric.CPU, Metric.MEMORY])
def test_a_percentage_of_the_request_is_aimed_at_as_it_stands(metric: Metric):
    asked = target(metric, wanted=60, defaults=TargetDefaults())
    silent = target(metric, defaults=TargetDefaults())

    assert (asked.total, asked.utilization) == (60, 1.0)
    assert (silent.total, silent.utilization) == (80.0, 1.0)
