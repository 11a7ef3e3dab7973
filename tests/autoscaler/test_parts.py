"""What a predictor says becomes what is launched and asked."""

from __future__ import annotations

import pytest

from autoscaler.kserve import Defaults
from autoscaler.parts import OLD
from tests.autoscaler.written import (
    SERVE,
    model,
    only,
    planned,
    raw,
    refused,
    runtime,
    said,
    service,
)

TWO = [{"name": "toy", "autoSelect": True}]


def probe(tmp_path, *documents):
    return only(planned(tmp_path, *documents))[1].probe.path


@pytest.mark.parametrize(
    ("spec", "asked", "path"),
    [
        pytest.param({"protocolVersions": ["v1"]}, {}, "/v1/models/iris", id="V1"),
        pytest.param(
            {"protocolVersions": ["v2"]}, {}, "/v2/models/iris/ready", id="V2"
        ),
        pytest.param(
            {"protocolVersions": ["v1", "v2"]}, {}, "/v1/models/iris", id="both: V1"
        ),
        pytest.param(
            {"protocolVersions": ["v1", "v2"]},
            {"protocolVersion": "v2"},
            "/v2/models/iris/ready",
            id="the model says which",
        ),
        pytest.param({}, {}, "", id="none: a connection"),
        pytest.param(
            {"protocolVersions": ["v2"]},
            {"args": ["--model_name=other"]},
            "/v2/models/other/ready",
            id="its arguments name the model",
        ),
        pytest.param(
            {"protocolVersions": ["v2"]},
            {"readinessProbe": {"httpGet": {"path": "/health"}}},
            "/health",
            id="its own probe before all",
        ),
    ],
)
def test_readiness_is_asked_as_the_container_or_its_protocol_says(
    tmp_path, spec, asked, path
):
    found = probe(tmp_path, runtime(**spec), service(model(**asked)))

    assert found == path


@pytest.mark.parametrize("name", OLD)
def test_an_old_field_is_a_model_of_that_format(tmp_path, name):
    mine = runtime(formats=[{"name": name, "autoSelect": True}])
    document = raw({name: {"storageUri": "s3://b/m"}})

    _, _, launch = only(planned(tmp_path, mine, document))
    assert launch.command == ("serve", "mine")
    assert launch.storage_uri == "s3://b/m"


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ({"storageUri": "models/iris"}, "{}/models/iris"),
        ({"storageUri": "/data/iris"}, "/data/iris"),
        ({"storageUri": "file://iris"}, "file://{}/iris"),
        ({"storageUri": "pvc://claim/iris"}, "pvc://claim/iris"),
        (
            {
                "storage": {
                    "path": "iris",
                    "parameters": {"type": "s3", "bucket": "models"},
                }
            },
            "s3://models/iris",
        ),
        ({}, ""),
    ],
)
def test_a_model_is_where_its_document_says(tmp_path, written, uri):
    _, _, launch = only(planned(tmp_path, runtime(), service(model(**written))))

    assert launch.storage_uri == uri.format(tmp_path)


def test_a_list_of_one_location_says_where_it_is_mounted(tmp_path):
    predictor = {
        **model(),
        "storageUris": [{"uri": "s3://b/m", "mountPath": "/mnt/other"}],
    }
    _, _, launch = only(planned(tmp_path, runtime(), service(predictor)))

    assert (launch.storage_uri, launch.model_mount) == ("s3://b/m", "/mnt/other")


def test_a_predictor_of_its_own_takes_its_model_from_its_environment(tmp_path):
    container = {**SERVE, "env": [{"name": "STORAGE_URI", "value": "gs://b/m"}]}
    _, _, launch = only(planned(tmp_path, service({"containers": [container]})))

    assert launch.storage_uri == "gs://b/m"
    assert "STORAGE_URI" not in dict(launch.env)


def test_the_container_called_kserve_container_serves_and_others_are_warned_of(
    tmp_path,
):
    other = {"name": "agent", "command": ["other"]}
    main = {**SERVE, "name": "kserve-container"}
    found = planned(tmp_path, service({"containers": [other, main]}))

    assert only(found)[2].command[0] == "serve"
    assert "warning: container agent is not run here" in said(found)


def test_the_grace_is_the_documents_or_the_configured_one(tmp_path):
    configured = Defaults(grace_s=7.0)
    mine = service({"terminationGracePeriodSeconds": 5})

    assert only(planned(tmp_path, mine))[2].grace_s == 5
    assert only(planned(tmp_path, service(), defaults=configured))[2].grace_s == 7


def test_mlservers_label_is_there_as_kserve_puts_it(tmp_path):
    container = {"command": ["x"], "args": ["{{.Labels.modelClass}}", "$(PORT)"]}
    mine = runtime(
        formats=[{"name": "xgboost", "autoSelect": True}], container=container
    )
    _, _, launch = only(planned(tmp_path, mine, service(model("xgboost"))))

    assert launch.command[1] == "mlserver_xgboost.XGBoostModel"


def test_a_container_without_a_command_is_a_problem_of_this_machine(tmp_path):
    found = planned(tmp_path, service({"containers": [{"image": "mine"}]}))

    assert next(each.rule for each in found.problems).startswith(
        "spec.predictor.containers[0] has no command in its container, and images do "
        "not run here"
    )


@pytest.mark.parametrize("metric", ["cpu", "memory"])
def test_use_that_is_a_share_of_no_request_is_a_problem(tmp_path, metric):
    def problems(resources):
        container = {"command": ["serve"], "resources": resources}
        its = service({"containers": [container], "scaleMetric": metric})
        return [
            each for each in said(planned(tmp_path, its)) if each.startswith("problem")
        ]

    (one,) = problems({})
    assert f"scaleMetric {metric} needs resources.requests.{metric}" in one
    assert problems({"requests": {metric: 0}}) == [one]
    assert problems({"requests": {metric: 1}}) == []
    assert problems({"limits": {metric: 1}}) == []


def test_what_is_not_run_here_is_warned_of(tmp_path):
    found = said(planned(tmp_path, service({"batcher": {}, "logger": {}})))

    assert (
        "warning: spec.predictor.batcher is not run here: requests go on one by "
        in ("\n".join(found))
    )
    assert any("spec.predictor.logger is not run here" in each for each in found)


@pytest.mark.parametrize(
    ("predictor", "wrong"),
    [
        ({}, "spec.predictor.model is missing, and so is containers"),
        ({"sklearn": {}, "xgboost": {}}, "is a second model beside sklearn"),
        ({"containers": []}, "spec.predictor.containers is missing or empty"),
        ({"model": {}}, "spec.predictor.model.modelFormat.name is missing"),
        (model(protocolVersion="v3"), "must be one of v1, v2, grpc-v1, grpc-v2"),
        (model(storageUri="ftp://h/m"), "must be a path, or begin with file, pvc"),
        (model(storage={"key": "k"}), "names a Secret, and there are none here"),
        (
            {**model(), "storageUris": [{"uri": "a"}, {"uri": "b"}]},
            "is a second location",
        ),
        ({**model(), "workerSpec": {}}, "workerSpec = {}, is not served by this"),
        (model(runtime="absent"), "is a runtime that no document names"),
    ],
)
def test_what_is_wrong_in_a_predictor_is_said(tmp_path, predictor, wrong):
    found = refused(tmp_path, runtime(), raw(predictor))

    assert any(wrong in each for each in found), found


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    predictor = {
        **model(
            runtime="absent",
            storageUri="ftp://h/m",
            resources={"limits": {"memory": "lots"}},
        ),
        "scaleMetric": "qps",
    }

    assert len(refused(tmp_path, runtime(), raw(predictor))) == 4


def test_a_runtime_with_workers_is_refused_by_name(tmp_path):
    found = refused(tmp_path, runtime(workerSpec={}), service(model()))

    assert "needs workers (ClusterServingRuntime mine has a workerSpec)" in found[0]
