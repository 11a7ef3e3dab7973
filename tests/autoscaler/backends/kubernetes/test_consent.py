"""Who is managed: by class and mode, and not when stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.backends.kubernetes.consent import MODE, STOP, consent
from tests.autoscaler.backends.kubernetes.kserved import CLASS, EXTERNAL, SLEEPY, isvc


def only(found):
    (finding,) = found.findings
    return finding


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment"])
def test_external_in_either_spelling_of_the_mode_is_managed(mode):
    found = consent(isvc(mode=mode))

    assert found.components == {"predictor"}
    assert found.findings == ()


def test_the_annotation_says_the_mode_until_the_status_does():
    assert consent(isvc(mode="", annotations={**EXTERNAL, MODE: "Standard"})).components
    assert not consent(
        isvc(mode="Knative", annotations={**EXTERNAL, MODE: "Standard"})
    ).components


def test_an_unknown_mode_is_waited_for():
    found = consent(isvc(mode=""))

    assert found.components == frozenset()
    assert only(found).reason == "DeploymentModeUnknown"
    assert only(found).blocks
    assert not only(found).warning


@pytest.mark.parametrize("mode", ["Knative", "Serverless"])
def test_knative_mode_is_knatives(mode):
    found = consent(isvc(mode=mode))

    assert found.components == frozenset()
    assert only(found).reason == "KnativeMode"
    assert only(found).warning


def test_a_mode_that_is_none_is_said():
    found = consent(isvc(mode="ModelMesh"))

    assert only(found).message.startswith(
        "deploymentMode = ModelMesh, must be Standard"
    )


def test_the_components_own_class_wins():
    mine = {"annotations": EXTERNAL}
    other = {**SLEEPY, "annotations": {CLASS: "hpa"}}

    found = consent(
        isvc(predictor=other, transformer=mine, annotations={CLASS: "keda"})
    )

    assert found.components == {"transformer"}
    assert found.findings == ()


@pytest.mark.parametrize(
    ("its", "said"),
    [
        ({}, "is not set, so KServe gives it an HPA"),
        ({CLASS: "none"}, "sets its replicas back at each turn"),
        ({CLASS: "External"}, "= External, must be one of hpa, external, keda, none"),
    ],
)
def test_a_class_that_does_not_let_us_is_said_with_what_to_set(its, said):
    found = consent(isvc(annotations=its))

    assert found.components == frozenset()
    assert only(found).reason == "AutoscalerClass"
    assert said in only(found).message
    assert only(found).blocks


@pytest.mark.parametrize("its", ["hpa", "keda"])
def test_another_autoscaler_on_purpose_is_not_remarked_on(its):
    found = consent(isvc(annotations={CLASS: its}))

    assert (found.components, found.findings) == (frozenset(), ())


def test_the_component_without_the_class_is_named():
    one = isvc(
        predictor={**SLEEPY, "annotations": EXTERNAL}, transformer={}, annotations={}
    )

    assert only(consent(one)).message.endswith("for its transformer")


def test_stop_is_hands_off_in_any_case_of_letters():
    found = consent(isvc(annotations={**EXTERNAL, STOP: "True"}, mode=""))

    assert found.components == frozenset()
    assert only(found).reason == "Stopped"
    assert not only(found).warning


def test_suspend_is_hands_off():
    assert only(consent(isvc(suspend=True))).reason == "Suspended"
    assert consent(isvc(suspend=False)).components
    assert consent(isvc(suspend="true")).components


def test_a_service_that_is_going_is_left_alone_without_a_word():
    one = isvc()
    going = replace(one, meta=replace(one.meta, deleting=True))

    assert consent(going) == consent(isvc(annotations={CLASS: "hpa"}))


@pytest.mark.parametrize("what", [{"suspend": True}, {"mode": ""}, {"mode": "Odd"}])
def test_who_never_asked_is_told_nothing_of_stops_and_modes(what):
    assert consent(isvc(annotations={}, **what)).findings == ()


@pytest.mark.parametrize("odd", [None, 3, [], "x", {"annotations": 3}])
def test_an_odd_component_has_the_class_of_its_service(odd):
    one = replace(isvc(), spec={"predictor": odd, "transformer": odd})

    assert "predictor" in consent(one).components
