"""An InferenceService's settings, names and variants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.isvc import MOST_REPLICAS, read
from autoscaler.backends.kubernetes.managed import Reference
from autoscaler.backends.kubernetes.overrides import Overrides
from autoscaler.backends.kubernetes.overrides import read as overridden
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.core.domain import Metric
from tests.autoscaler.backends.kubernetes.anything import JSON
from tests.autoscaler.backends.kubernetes.kserved import EXTERNAL, SLEEPY, isvc

DEFAULTS = Settings().defaults
KNATIVE = "autoscaling.knative.dev/"


def sheet(one, overrides=None):
    return read(one, DEFAULTS, overrides or Overrides())


def only(one, overrides=None):
    (piece,) = sheet(one, overrides).pieces
    return piece


def variant(name, percent, **predictor):
    return {"trafficPercent": percent, "predictor": {"name": name, **predictor}}


def test_no_bounds_are_one_replica_that_never_sleeps():
    piece = only(isvc(predictor={"model": {}}))

    assert (piece.scaling.min_replicas, piece.scaling.max_replicas) == (1, 1)
    assert (piece.scaling.initial_scale, piece.scaling.grace_s) == (1, 30.0)


def test_no_maximum_is_no_scale_out():
    assert only(isvc(predictor={"minReplicas": 3})).scaling.max_replicas == 3
    assert only(isvc(predictor={"minReplicas": 0})).scaling.max_replicas == 1


def test_fields_say_bounds_metric_target_limit_and_timeout():
    piece = only(
        isvc(
            predictor={
                "minReplicas": 0,
                "maxReplicas": 4,
                "scaleMetric": "rps",
                "scaleTarget": 50,
                "containerConcurrency": 2,
                "timeout": 300,
            }
        )
    )

    assert (piece.scaling.min_replicas, piece.scaling.max_replicas) == (0, 4)
    assert (piece.scaling.metric, piece.scaling.total_value) == (Metric.RPS, 50)
    assert (piece.gate.container_concurrency, piece.gate.timeout_s) == (2, 300.0)


def test_annotations_of_knative_mean_what_they_say_and_the_components_own_win():
    one = isvc(
        predictor={**SLEEPY, "annotations": {f"{KNATIVE}window": "30s"}},
        annotations={
            **EXTERNAL,
            f"{KNATIVE}window": "90s",
            "serving.knative.dev/progress-deadline": "20m",
        },
    )

    assert only(one).scaling.stable_window_s == 30
    assert only(one).scaling.progress_deadline_s == 1200.0


def test_what_our_config_map_says_wins_over_the_document():
    about = Reference(api_version="v1", kind="ConfigMap", namespace="a", name="b")
    live = overridden(
        {
            "production.iris-predictor": "minReplicas: 0\ncontainerConcurrency: 1\n"
            "scale-to-zero-grace-period: 5s\nautoscaling.knative.dev/window: 10s",
            "other": "minReplicas: 9",
        },
        about,
    )
    one = isvc(
        predictor={"minReplicas": 2, "containerConcurrency": 8},
        annotations={**EXTERNAL, f"{KNATIVE}window": "90s"},
    )
    piece = only(one, live)

    assert (piece.scaling.min_replicas, piece.scaling.grace_s) == (0, 5.0)
    assert piece.scaling.stable_window_s == 10
    assert piece.gate.container_concurrency == 1


def test_names_are_kserves():
    found = sheet(
        isvc(
            predictor={**SLEEPY, "name": "v1"},
            canary=[variant("v2", 10)],
            transformer={"containers": [{}]},
            explainer={"containers": [{}]},
        )
    )

    assert [each.name for each in found.pieces] == [
        "iris-v1-predictor",
        "iris-v2-predictor",
        "iris-transformer",
        "iris-explainer",
    ]
    assert [each.component for each in found.pieces] == [
        "predictor",
        "predictor",
        "transformer",
        "explainer",
    ]


def test_canaries_take_their_share_from_the_stable_one():
    found = sheet(isvc(canary=[variant("b", 20), variant("c", 5), variant("d", 0)]))

    assert [each.share for each in found.pieces] == [75, 20, 5, 0]
    assert [each.canary for each in found.pieces] == [False, True, True, True]


def test_a_canary_has_the_stables_settings_and_its_share_of_the_minimum():
    stable = {"minReplicas": 5, "maxReplicas": 8, "scaleTarget": 3}
    found = sheet(
        isvc(
            predictor=stable,
            canary=[variant("b", 30), variant("c", 10, minReplicas=0)],
        )
    )
    _, part, own = found.pieces

    assert part.scaling.min_replicas == 2  # ⌈5 * 30 %⌉
    assert (part.scaling.max_replicas, part.scaling.total_value) == (8, 3)
    assert own.scaling.min_replicas == 0


def test_canary_traffic_percent_is_said_to_be_ignored_with_what_to_write_instead():
    found = sheet(isvc(predictor={**SLEEPY, "canaryTrafficPercent": 10}))

    (said,) = (f for f in found.findings if f.reason == "CanaryTrafficPercent")
    assert "spec.canary[]" in said.message
    assert not said.blocks
    assert len(found.pieces) == 1


def test_protocol_and_name_of_the_model_are_known_where_they_are_said():
    one = isvc(
        predictor={"model": {"protocolVersion": "v2", "args": ["--model_name", "m"]}}
    )

    assert (only(one).protocol, only(one).model) == ("v2", "m")
    assert only(isvc(predictor={"sklearn": {"protocolVersion": "v1"}})).protocol == "v1"
    assert only(isvc(predictor={"model": {}})).protocol == ""
    assert (
        only(isvc(predictor={"model": {"protocolVersion": "grpc-v2"}})).protocol == ""
    )


WRONG = [
    (
        {"predictor": {"minReplicas": "0"}},
        "spec.predictor.minReplicas",
        "= 0, is text",
    ),
    ({"predictor": {"minReplicas": -1}}, "spec.predictor.minReplicas", "-1"),
    ({"predictor": {"maxReplicas": 1.5}}, "spec.predictor.maxReplicas", "1.5"),
    ({"predictor": {"timeout": {"s": 1}}}, "spec.predictor.timeout", "{1 fields}"),
    ({"predictor": {"timeout": True}}, "spec.predictor.timeout", "true"),
    ({"predictor": {"scaleMetric": "qps"}}, "spec.predictor.scaleMetric", "qps"),
    ({"predictor": {"scaleMetric": []}}, "spec.predictor.scaleMetric", "[]"),
    ({"predictor": []}, "spec.predictor", "must be a mapping"),
    (
        {"predictor": {"annotations": ["a"]}},
        "spec.predictor.annotations",
        "mapping",
    ),
    ({"predictor": {"name": 7}}, "spec.predictor.name", "7"),
    (
        {"predictor": {"minReplicas": 3, "maxReplicas": 2}},
        "spec.predictor.maxReplicas",
        "at least minReplicas, which is 3",
    ),
    ({"predictor": {"workerSpec": {}}}, "spec.predictor.workerSpec", "not served"),
    ({"transformer": "yes"}, "spec.transformer", "must be a mapping"),
    ({"canary": {"a": 1}}, "spec.canary", "must be a list"),
    ({"canary": [3]}, "spec.canary[0]", "must be a mapping"),
    ({"canary": [{"predictor": {}}]}, "spec.canary[0].predictor.name", "missing"),
    ({"canary": [variant("b", 101)]}, "spec.canary[0].trafficPercent", "101"),
    (
        {"canary": [variant("b", 60), variant("c", 60)]},
        "spec.canary",
        "120 % in all",
    ),
    ({"canary": [variant("b", 1), variant("b", 1)]}, "spec.canary[1]", "its own"),
    (
        {"predictor": {"minReplicas": "x" * 1_000_000}},
        "spec.predictor.minReplicas",
        "…",
    ),
]


@pytest.mark.parametrize(("spec", "field", "value"), WRONG)
def test_a_malformed_service_is_said_whether_or_not_kserve_could_read_it(
    spec, field, value
):
    known, unknown = sheet(isvc(**spec)), sheet(isvc(mode="", **spec))

    wrong = [each for each in known.findings if each.reason == "Malformed"]
    assert wrong
    assert [each for each in unknown.findings if each.reason == "Malformed"] == wrong
    assert unknown.pieces == ()


@pytest.mark.parametrize("mode", ["Standard", ""])
def test_a_setting_that_is_ignored_is_said_once_the_mode_is_known(mode):
    annotations = {**EXTERNAL, f"{KNATIVE}window": "soon"}
    found = sheet(isvc(mode=mode, annotations=annotations)).findings

    said = [each.reason for each in found if each.reason == "SettingIgnored"]
    assert bool(said) is bool(mode)


@pytest.mark.parametrize(("spec", "field", "value"), WRONG)
def test_a_malformed_service_is_skipped_with_field_value_and_rule(spec, field, value):
    found = sheet(isvc(**spec))

    assert found.pieces == ()
    wrong = [each for each in found.findings if each.reason == "Malformed"]
    assert any(field in each.message and value in each.message for each in wrong)
    assert all(each.blocks and len(each.message) <= 900 for each in wrong)


def test_a_service_without_a_predictor_is_skipped():
    found = sheet(replace(isvc(), spec={"transformer": {}}))

    assert found.pieces == ()
    assert [each.message for each in found.findings] == ["spec.predictor is missing"]


def test_a_wrong_annotation_is_left_out_and_said():
    one = isvc(annotations={**EXTERNAL, f"{KNATIVE}window": "3s"})
    found = sheet(one)

    assert only(one).scaling.stable_window_s == 60
    (said,) = (each for each in found.findings if each.reason == "SettingIgnored")
    assert not said.blocks
    assert "= 3s, must be" in said.message


def test_a_count_that_no_deployment_can_have_is_cut():
    one = isvc(
        predictor={}, annotations={**EXTERNAL, f"{KNATIVE}min-scale": "1000000000000"}
    )

    assert only(one).scaling.min_replicas == MOST_REPLICAS
    assert only(one).scaling.max_replicas == MOST_REPLICAS


def test_two_hundred_wrong_canaries_are_a_bounded_number_of_findings():
    found = sheet(isvc(canary=[{"trafficPercent": "x"}] * 200))

    assert len(found.findings) < 30
    assert any("more fields are wrong" in each.message for each in found.findings)


def test_components_with_another_class_are_not_ours():
    hpa = {"annotations": {"serving.kserve.io/autoscalerClass": "hpa"}}
    found = sheet(isvc(transformer=hpa))

    assert [(each.name, each.opted) for each in found.pieces] == [
        ("iris-predictor", True),
        ("iris-transformer", False),
    ]


@given(
    spec=st.dictionaries(
        st.sampled_from(["predictor", "transformer", "explainer", "canary", "suspend"]),
        JSON,
    ),
    mode=st.sampled_from(["", "Standard", "RawDeployment", "Knative", "other"]),
)
def test_any_document_is_read_within_bounds_and_never_raises(spec, mode):
    one = isvc(mode=mode)
    found = sheet(type(one)(meta=one.meta, spec=spec, mode=mode))

    for piece in found.pieces:
        scaling, gate = piece.scaling, piece.gate
        assert 0 <= scaling.min_replicas <= MOST_REPLICAS
        high = scaling.max_replicas
        assert high == 0 or scaling.min_replicas <= high <= MOST_REPLICAS
        assert 6 <= scaling.stable_window_s <= 3600
        assert scaling.total_value > 0
        assert 0 < scaling.target_utilization <= 1
        assert gate.timeout_s >= 0
        assert gate.hold_limit_s > 0
        assert 0 <= piece.share <= 100
    shares = [piece.share for piece in found.pieces if piece.component == "predictor"]
    assert not shares or sum(shares) == 100
    assert all(each.message and each.reason for each in found.findings)
