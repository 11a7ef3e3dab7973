"""Fields that KServe's documents have, and those that they do not."""

from __future__ import annotations

import pytest

from autoscaler.fields import LIFTED, nearest, unknown
from autoscaler.marked import parse
from autoscaler.place import Place


def found(kind: str, text: str):
    (node,) = parse(text)
    return sorted(
        (place.path, near)
        for place, near in unknown(kind, Place("f", "spec", node, []))
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("InferenceService", "{predictor: {model: {modelFormat: {name: a}}}}"),
        ("InferenceService", "{predictor: {sklearn: {storageUri: a}}}"),
        ("InferenceService", "{canary: [{predictor: {name: b}, trafficPercent: 3}]}"),
        ("InferenceService", "{transformer: {containers: [{args: [a]}]}}"),
        ("ServingRuntime", "{supportedModelFormats: [{name: a, priority: 2}]}"),
        ("ServingRuntime", "{annotations: {any.thing/here: x}}"),
        ("InferenceService", "{predictor: {nodeSelector: {any-thing: x}}}"),
    ],
)
def test_kserves_own_fields_are_known(kind, text):
    assert found(kind, text) == []


def test_fields_that_guides_print_at_spec_level_are_known_there_only():
    lifted = ", ".join(f"{each}: 1" for each in LIFTED)

    assert found("InferenceService", f"{{{lifted}}}") == []
    assert found("ServingRuntime", "{minReplicas: 1}") == [
        ("spec.minReplicas", "replicas")
    ]


def test_an_unknown_field_is_found_at_any_depth_with_the_nearest():
    text = "{predictor: {containers: [{arg: [a], qqqqq: 1}], maxReplica: 3}}"

    assert found("InferenceService", text) == [
        ("spec.predictor.containers[0].arg", "args"),
        ("spec.predictor.containers[0].qqqqq", ""),
        ("spec.predictor.maxReplica", "maxReplicas"),
    ]


def test_what_lies_under_an_unknown_field_is_not_looked_at():
    assert found("InferenceService", "{predictr: {foo: {bar: 1}}}") == [
        ("spec.predictr", "predictor")
    ]


def test_the_nearest_name_is_near_whatever_its_capitals():
    assert nearest("STORAGEURI", ["storageUri", "storage"]) == "storageUri"
    assert nearest("completely", ["other", "names"]) == ""
