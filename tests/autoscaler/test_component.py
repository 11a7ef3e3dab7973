"""Fields and annotations of a component: which wins, what is out of range."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.component import Component, SpecDefaults, settings
from autoscaler.core.domain import Aggregation, Metric, ScalingSpec
from autoscaler.errors import Problem
from autoscaler.kserve import Defaults
from autoscaler.marked import Marked
from autoscaler.place import Place
from tests.autoscaler.written import only, planned, refused, said, service

KNATIVE = "autoscaling.knative.dev/"


def scaling(tmp_path, predictor=None, **more):
    _, spec, _ = only(planned(tmp_path, service(predictor, **more)))
    return spec.scaling


def test_a_document_that_says_nothing_has_the_defaults_of_one_machine(tmp_path):
    assert scaling(tmp_path) == ScalingSpec(initial_scale=0, grace_s=0.0)


def test_fields_say_bounds_metric_and_target(tmp_path):
    found = scaling(
        tmp_path,
        {"minReplicas": 0, "maxReplicas": 4, "scaleMetric": "rps", "scaleTarget": 50},
    )

    assert (found.min_replicas, found.max_replicas) == (0, 4)
    assert (found.metric, found.total_value) == (Metric.RPS, 50)


def test_gate_settings_come_from_fields_and_annotations(tmp_path):
    found = planned(
        tmp_path,
        service(
            {"containerConcurrency": 3, "timeout": 20},
            annotations={
                "fromzero.dev/hold-limit": "2m",
                "fromzero.dev/max-held": "5",
                "fromzero.dev/max-held-bytes": "1Mi",
                "fromzero.dev/balance": "header:X-Session-Id",
                "fromzero.dev/slow-start": "45s",
            },
        ),
    )
    gate = only(found)[1].gate

    assert (gate.container_concurrency, gate.timeout_s) == (3, 20.0)
    assert (gate.hold_limit_s, gate.max_held, gate.max_held_bytes) == (120, 5, 1 << 20)
    assert (gate.balance, gate.slow_start_s) == ("header:X-Session-Id", 45.0)


@pytest.mark.parametrize("spelling", ["scale-down-delay", "scaleDownDelay"])
def test_annotations_are_read_in_both_of_knatives_spellings(tmp_path, spelling):
    found = scaling(tmp_path, annotations={f"{KNATIVE}{spelling}": "1m"})

    assert found.scale_down_delay_s == 60


def test_every_annotation_reaches_its_setting(tmp_path):
    found = scaling(
        tmp_path,
        annotations={
            f"{KNATIVE}metric": "concurrency",
            f"{KNATIVE}target": "20",
            f"{KNATIVE}target-utilization-percentage": "50",
            f"{KNATIVE}target-burst-capacity": "-1",
            f"{KNATIVE}window": "1m30s",
            f"{KNATIVE}panic-window-percentage": "20",
            f"{KNATIVE}panic-threshold-percentage": "300",
            f"{KNATIVE}min-scale": "0",
            f"{KNATIVE}max-scale": "0",
            f"{KNATIVE}initial-scale": "2",
            f"{KNATIVE}activation-scale": "3",
            f"{KNATIVE}scale-to-zero-pod-retention-period": "1.5s",
            f"{KNATIVE}metric-aggregation-algorithm": "weightedExponential",
            "serving.knative.dev/progress-deadline": "10m",
            "fromzero.dev/panic": "false",
            "fromzero.dev/count-starting": "true",
        },
    )

    assert found == ScalingSpec(
        total_value=20,
        target_utilization=0.5,
        target_burst_capacity=-1,
        stable_window_s=90,
        panic_window_percentage=20,
        panic_threshold=3,
        min_replicas=0,
        max_replicas=0,
        initial_scale=2,
        activation_scale=3,
        retention_s=1.5,
        aggregation=Aggregation.WEIGHTED,
        progress_deadline_s=600,
        grace_s=0.0,
        panic=False,
        count_starting=True,
    )


def test_a_field_wins_over_an_annotation_and_that_is_said(tmp_path):
    document = service({"minReplicas": 2}, annotations={f"{KNATIVE}min-scale": "0"})
    found = planned(tmp_path, document)

    assert only(found)[1].scaling.min_replicas == 2
    assert any("spec.predictor.minReplicas wins over" in each for each in said(found))


def test_a_components_annotation_wins_over_its_services(tmp_path):
    found = scaling(
        tmp_path,
        {"annotations": {f"{KNATIVE}window": "10s"}},
        annotations={f"{KNATIVE}window": "20s"},
    )

    assert found.stable_window_s == 10


def test_a_document_wins_over_the_configuration_and_that_over_the_default(tmp_path):
    configured = SpecDefaults(
        scaling=replace(SpecDefaults().scaling, stable_window_s=30, min_replicas=0)
    )
    document = service({"minReplicas": 1})
    found = planned(tmp_path, document, defaults=Defaults(spec=configured))

    assert only(found)[1].scaling.min_replicas == 1
    assert only(found)[1].scaling.stable_window_s == 30


def test_fields_at_spec_level_are_read_with_a_warning(tmp_path):
    found = planned(tmp_path, service(minReplicas=0, scaleTarget=10))

    assert only(found)[1].scaling.min_replicas == 0
    assert only(found)[1].scaling.total_value == 10
    assert any(
        each.startswith("warning: spec.minReplicas is read as spec.predictor.minRep")
        for each in said(found)
    )


def test_without_min_replicas_it_is_said_that_nothing_sleeps(tmp_path):
    assert "note: minReplicas is not set, so it is 1 and never sleeps: set 0" in said(
        planned(tmp_path, service())
    )


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        pytest.param({}, 1, id="nothing said: one"),
        pytest.param({"minReplicas": 3}, 3, id="only the least said: that"),
        pytest.param({"maxReplicas": 0}, 1, id="zero is unset in a field"),
        pytest.param({"minReplicas": 0, "maxReplicas": 7}, 7, id="said"),
    ],
)
def test_the_upper_bound_is_kserves(tmp_path, fields, most):
    assert scaling(tmp_path, fields).max_replicas == most


def test_the_target_is_never_more_than_a_replica_admits(tmp_path):
    found = scaling(tmp_path, {"containerConcurrency": 4, "scaleTarget": 10})

    assert found.total_value == 4


@pytest.mark.parametrize(
    ("predictor", "annotations", "said_of_it"),
    [
        pytest.param(
            {"minReplicas": 5, "maxReplicas": 3},
            {},
            "spec.predictor.maxReplicas = 3, must be at least minReplicas, which is 5",
            id="bounds the wrong way round",
        ),
        pytest.param(
            {"minReplicas": -1},
            {},
            "spec.predictor.minReplicas = -1, must be a whole number, 0 or more",
            id="less than nothing",
        ),
        pytest.param(
            {"scaleMetric": "qps"},
            {},
            "spec.predictor.scaleMetric = qps, must be one of "
            "concurrency, rps, cpu, memory",
            id="an unknown metric",
        ),
        pytest.param(
            {"scaleMetric": "cpu", "scaleTarget": 150},
            {},
            "spec.predictor.scaleTarget = 150, must be a % in [1, 100] for cpu",
            id="more than all of a cpu",
        ),
        pytest.param(
            {},
            {f"{KNATIVE}window": "2h"},
            f'metadata.annotations["{KNATIVE}window"] = 2h, must be a duration of '
            "whole seconds such as 30s in [6s, 3600s]",
            id="a window too long",
        ),
        pytest.param(
            {},
            {f"{KNATIVE}activation-scale": "4"},
            f'metadata.annotations["{KNATIVE}activation-scale"] = 4, must be at most '
            "maxReplicas, 1",
            id="activation above the bound",
        ),
    ],
)
def test_wrong_values_name_field_value_and_rule(
    tmp_path, predictor, annotations, said_of_it
):
    document = service(predictor, annotations=annotations)

    assert refused(tmp_path, document) == [said_of_it]


def test_an_unknown_annotation_is_a_warning_with_the_nearest(tmp_path):
    found = said(planned(tmp_path, service(annotations={f"{KNATIVE}windw": "9s"})))

    assert (
        f"warning: {KNATIVE}windw is not an annotation known here: did you mean "
        f"{KNATIVE}window?" in found
    )


@pytest.mark.parametrize(
    ("wanted", "warned"), [("kpa.autoscaling.knative.dev", False), ("mine", True)]
)
def test_only_a_foreign_autoscaler_class_is_warned_of(tmp_path, wanted, warned):
    found = said(planned(tmp_path, service(annotations={f"{KNATIVE}class": wanted})))

    assert any("class is mine" in each for each in found) is warned


def test_what_is_said_of_one_revision_wins_over_fields_and_annotations():
    problems: list[Problem] = []
    own = Place(
        "",
        "spec.predictor",
        Marked({"minReplicas": Marked(1, 0), "maxReplicas": Marked(4, 0)}, 0),
        problems,
    )
    live = {
        "min-replicas": Place("", "live.min-replicas", Marked(0, 0), problems),
        "scale-to-zero-grace-period": Place(
            "", "live.grace", Marked("9s", 0), problems
        ),
    }
    component = Component(place=own, metadata=None, live=live)

    found, _ = settings(component, SpecDefaults())

    assert (found.min_replicas, found.max_replicas, found.grace_s) == (0, 4, 9.0)
    assert problems == []
