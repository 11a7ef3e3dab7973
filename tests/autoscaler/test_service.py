"""The pieces of a service: its predictor and variants, transformer, explainer."""

from __future__ import annotations

import pytest

from autoscaler.core.domain import RevisionKey
from autoscaler.notes import Level
from tests.autoscaler.written import SERVE, planned, raw, refused, said, service

CHANGE = {"containers": [{"command": ["change"]}]}


def weights(plan) -> dict[str, float]:
    return {
        each.key.name: each.weight for one in plan.services for each in one.revisions
    }


def variant(name: str, percent: int, **predictor):
    inner = {"name": name, "containers": [SERVE], **predictor}
    return {"predictor": inner, "trafficPercent": percent}


def test_variants_take_their_share_and_the_stable_one_what_is_left(tmp_path):
    plan = planned(tmp_path, service(canary=[variant("b", 30), variant("c", 10)]))

    assert weights(plan) == {
        "iris-predictor-00001": 60,
        "iris-b-predictor-00001": 30,
        "iris-c-predictor-00001": 10,
    }


def test_a_variant_scales_as_the_stable_one_unless_it_says(tmp_path):
    stable = {"minReplicas": 0, "maxReplicas": 3, "scaleTarget": 5, "name": "a"}
    plan = planned(
        tmp_path,
        service(stable, canary=[variant("b", 10), variant("c", 10, minReplicas=1)]),
    )
    bounds = {
        key.name: (wanted.spec.scaling.min_replicas, wanted.spec.scaling.max_replicas)
        for key, wanted in plan.wanted.items()
    }

    assert bounds == {
        "iris-a-predictor-00001": (0, 3),
        "iris-b-predictor-00001": (0, 3),
        "iris-c-predictor-00001": (1, 3),
    }
    assert {each.spec.scaling.total_value for each in plan.wanted.values()} == {5.0}


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        (service(canary=[variant("b", 60), variant("c", 50)]), "110 % in all, at most"),
        (service(canary=[variant("b", 1), variant("b", 1)]), "name of another variant"),
        (service({"name": "b"}, canary=[variant("b", 1)]), "name of another variant"),
        (service(canary=[{"trafficPercent": 5}]), "predictor.name is missing"),
        (service(canary=[variant("b", 101)]), "must be a whole number in [0, 100]"),
        (service(canary=[variant("b", 1, maxReplicas=2)]), "is the stable predictor's"),
        (
            service({"canaryTrafficPercent": 5}, canary=[variant("b", 1)]),
            "cannot be beside canaryTrafficPercent",
        ),
        (service({"canaryTrafficPercent": 120}), "must be a whole number in [0, 100]"),
    ],
)
def test_canaries_that_cannot_be_are_said(tmp_path, document, wrong):
    found = refused(tmp_path, document)

    assert any(wrong in each for each in found), found


def test_a_transformer_is_a_revision_of_its_own_woken_with_its_predictor(tmp_path):
    plan = planned(tmp_path, service(transformer=CHANGE))
    key = RevisionKey("default", "iris-transformer-00001")
    wanted = plan.wanted[key]

    assert wanted.spec.together == (RevisionKey("default", "iris-predictor-00001"),)
    assert wanted.launch.command == (
        "change",
        "--model_name",
        "iris",
        "--predictor_host",
        "$(FROMZERO_ACTIVATOR)/serving/default/iris-predictor",
        "--http_port",
        "$(PORT)",
    )
    assert dict(wanted.launch.env)["FROMZERO_ACTIVATOR"] == "127.0.0.1:8080"


def test_what_a_transformer_says_itself_is_not_said_again(tmp_path):
    mine = {"command": ["change", "--predictor_host=me", "--http_port", "8080"]}
    plan = planned(tmp_path, service(transformer={"containers": [mine]}))
    wanted = plan.wanted[RevisionKey("default", "iris-transformer-00001")]

    assert wanted.launch.command == (
        "change",
        "--predictor_host=me",
        "--http_port",
        "$(PORT)",
        "--model_name",
        "iris",
    )


def test_with_a_canary_a_transformer_wakes_where_most_requests_go(tmp_path):
    document = service(transformer=CHANGE, canary=[variant("b", 80)])
    plan = planned(tmp_path, document)
    wanted = plan.wanted[RevisionKey("default", "iris-transformer-00001")]

    assert wanted.spec.together == (RevisionKey("default", "iris-b-predictor-00001"),)


def test_an_explainer_is_one_too_and_art_is_refused(tmp_path):
    plan = planned(tmp_path, service(explainer=CHANGE))

    assert "iris-explainer-00001" in weights(plan)
    (found,) = refused(tmp_path, service(explainer={"art": {"type": "x"}}))
    assert "is not served by this version" in found


def test_model_mesh_is_a_problem_and_nothing_of_it_is_served(tmp_path):
    mode = {"serving.kserve.io/deploymentMode": "ModelMesh"}
    plan = planned(tmp_path, raw({"model": {}}, annotations=mode))

    assert plan.wanted == {}
    (note,) = plan.notes
    assert note.level is Level.PROBLEM
    assert note.text.startswith("ModelMesh: not served by this version")


@pytest.mark.parametrize("mode", ["Standard", "Knative", "RawDeployment", "Serverless"])
def test_every_other_mode_is_served(tmp_path, mode):
    annotations = {"serving.kserve.io/deploymentMode": mode}

    assert planned(tmp_path, service(annotations=annotations)).wanted


def test_an_unknown_mode_is_wrong(tmp_path):
    annotations = {"serving.kserve.io/deploymentMode": "Mesh"}
    (found,) = refused(tmp_path, service(annotations=annotations))

    assert "= Mesh, must be one of Standard, Knative" in found


def test_a_stopped_service_is_not_served_and_that_is_no_problem(tmp_path):
    stop = {"serving.kserve.io/stop": "True"}
    plan = planned(tmp_path, service(annotations=stop))

    assert plan.wanted == {}
    assert plan.problems == ()
    assert "stopped by the annotation" in said(plan)[0]


def test_a_service_without_a_predictor_is_wrong(tmp_path):
    document = service()
    document["spec"] = {"transformer": CHANGE}

    assert refused(tmp_path, document) == ["spec.predictor is missing"]
