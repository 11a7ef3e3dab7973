"""One container's layers: what is started, with which port, asked how, how big."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Requested
from autoscaler.container import moved_port
from autoscaler.core.domain import Needs
from tests.autoscaler.written import (
    model,
    only,
    planned,
    refused,
    runtime,
    said,
    service,
)


def launch(tmp_path, *documents):
    return only(planned(tmp_path, *documents))[2]


def custom(**container):
    return service({"containers": [{"command": ["serve"], **container}]})


def test_arguments_are_added_and_environment_and_resources_merged_by_name(tmp_path):
    found = launch(
        tmp_path,
        runtime(
            container={
                "command": ["serve"],
                "args": ["--a", "$(PORT)"],
                "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}],
                "resources": {"limits": {"memory": "1Gi", "nvidia.com/gpu": 1}},
            }
        ),
        service(
            model(
                args=["--b"],
                env=[{"name": "Y", "value": "2"}],
                resources={"limits": {"memory": "2Gi"}},
            )
        ),
    )

    assert found.command == ("serve", "--a", "$(PORT)", "--b")
    assert dict(found.env)["X"] == "1"
    assert dict(found.env)["Y"] == "2"
    assert found.needs == Needs(memory=2 << 30, gpus=1)


def test_limits_count_before_requests(tmp_path):
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": "3Gi"}}

    assert launch(tmp_path, custom(resources=resources)).needs.memory == 3 << 30
    resources.pop("limits")
    assert launch(tmp_path, custom(resources=resources)).needs.memory == 1 << 30


def test_fields_are_filled_in_from_the_service(tmp_path):
    document = custom(
        args=[
            "{{.Name}}.{{ .Namespace }}",
            "{{.Labels.team}}",
            '{{index .Annotations "a.b/c"}}',
            "[{{.Labels.absent}}]",
        ]
    )
    document["metadata"] |= {
        "namespace": "lab",
        "labels": {"team": "red"},
        "annotations": {"a.b/c": "blue"},
    }

    command = launch(tmp_path, document).command
    assert command == ("serve", "iris.lab", "red", "blue", "[]")


def test_a_field_that_is_not_there_is_wrong(tmp_path):
    (found,) = refused(tmp_path, custom(args=["{{.Spec.x}}"]))

    assert "args[0] = {{.Spec.x}}, has {{.Spec.x}}, must be one of" in found


@pytest.mark.parametrize(
    ("container", "port", "last"),
    [
        pytest.param({"args": ["$(PORT)"]}, 0, "$(PORT)", id="it asks for a port"),
        pytest.param({}, 0, "serve", id="it names none: it heeds PORT"),
        pytest.param(
            {"args": ["--http_port=8080"]}, 0, "--http_port=$(PORT)", id="KServe's own"
        ),
        pytest.param(
            {"args": ["--port", "9000"], "ports": [{"containerPort": 9000}]},
            0,
            "$(PORT)",
            id="an option that says its containerPort",
        ),
        pytest.param(
            {"args": ["go"], "ports": [{"containerPort": 9000}]},
            9000,
            "go",
            id="nothing says its containerPort: fixed",
        ),
        pytest.param(
            {
                "args": ["go"],
                "ports": [{"containerPort": 9000}],
                "env": [{"name": "LISTEN", "value": "$(PORT)"}],
            },
            0,
            "go",
            id="the environment says it",
        ),
    ],
)
def test_a_port_is_moved_where_it_can_be(tmp_path, container, port, last):
    found = launch(tmp_path, custom(**container))

    assert (found.port, found.command[-1]) == (port, last)


def test_a_fixed_port_allows_one_replica_and_that_is_said(tmp_path):
    document = custom(ports=[{"containerPort": 9000}])
    document["spec"]["predictor"] |= {"minReplicas": 2, "maxReplicas": 4}
    found = planned(tmp_path, document)
    scaling = only(found)[1].scaling

    assert (scaling.min_replicas, scaling.max_replicas) == (1, 1)
    assert any("port 9000 is fixed, so it has 1 replica at most, not 4" in each
               for each in said(found))  # fmt: skip


@given(st.lists(st.text("-=: 0189port.", max_size=12), max_size=4))
def test_moving_a_port_twice_is_moving_it_once(command):
    once = moved_port(tuple(command), 8080)

    assert moved_port(once, 8080) == once
    assert len(once) == len(command)


@pytest.mark.parametrize(
    "argument",
    ["--peer=http://other:8080/x", "--port=18080", "--size=8080", "--port=8080.5"],
)
def test_what_only_looks_like_the_port_stays(argument):
    assert moved_port(("serve", argument), 8080) == ("serve", argument)


def test_the_readiness_probe_of_the_last_layer_that_has_one_counts(tmp_path):
    probe = {"httpGet": {"path": "up/{{.Name}}"}}
    found = only(planned(tmp_path, custom(readinessProbe=probe)))[1].probe

    assert found.path == "/up/iris"


def test_a_probe_that_is_a_command_is_not_run_and_that_is_said(tmp_path):
    found = planned(tmp_path, custom(readinessProbe={"exec": {"command": ["true"]}}))

    assert only(found)[1].probe.path == ""
    assert any("readinessProbe is not run here" in each for each in said(found))


def test_a_variable_from_a_secret_is_a_warning_that_says_where_to_set_it(tmp_path):
    source = {"secretKeyRef": {"name": "s", "key": "k"}}
    found = said(
        planned(tmp_path, custom(env=[{"name": "TOKEN", "valueFrom": source}]))
    )

    assert (
        "warning: TOKEN comes from a Secret, which is not here: set it in the "
        "environment that fromzero runs in" in found
    )


def test_a_variable_may_be_the_namespace_or_empty(tmp_path):
    namespace = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    env = [{"name": "NS", "valueFrom": namespace}, {"name": "E"}]

    assert dict(launch(tmp_path, custom(env=env)).env)["NS"] == "default"
    assert dict(launch(tmp_path, custom(env=env)).env)["E"] == ""


def test_a_working_directory_begins_at_the_document(tmp_path):
    assert launch(tmp_path, custom()).cwd == str(tmp_path)
    assert launch(tmp_path, custom(workingDir="in")).cwd == str(tmp_path / "in")


@pytest.mark.parametrize(
    ("resources", "requested"),
    [
        ({}, Requested()),
        ({"requests": {"cpu": "250m"}}, Requested(cpu=0.25)),
        ({"requests": {"cpu": 2, "memory": "1Ki"}}, Requested(cpu=2, memory=1024)),
        ({"requests": {"cpu": 1}, "limits": {"cpu": 4}}, Requested(cpu=1)),
        ({"requests": {"cpu": 1}, "limits": {"memory": 9}}, Requested(cpu=1, memory=9)),
        ({"limits": {"cpu": "1.5"}}, Requested(cpu=1.5)),
    ],
)
def test_what_is_requested_is_the_requests_and_where_there_are_none_the_limits(
    tmp_path, resources, requested
):
    assert launch(tmp_path, custom(resources=resources)).requested == requested


def test_a_runtimes_request_is_before_a_models_limit(tmp_path):
    small = {"requests": {"cpu": "100m"}}
    found = launch(
        tmp_path,
        runtime(container={"command": ["serve", "$(PORT)"], "resources": small}),
        service(model(resources={"limits": {"cpu": 2}})),
    )

    assert found.requested.cpu == 0.1


@pytest.mark.parametrize(
    ("container", "wrong"),
    [
        ({"args": [8080]}, "must be text (put it in quotes)"),
        ({"command": "serve"}, "must be a list"),
        ({"env": [{"value": "x"}]}, "is missing"),
        ({"env": [{"name": "A=B", "value": "x"}]}, "must be the name of a variable"),
        ({"resources": {"limits": {"memory": "lots"}}}, "must be an amount of memory"),
        ({"resources": {"requests": {"cpu": "lots"}}}, "must be an amount of cores"),
        ({"resources": {"limits": {"nvidia.com/gpu": 0.5}}}, "a whole number of GPUs"),
        ({"ports": [{"containerPort": 0}]}, "must be a whole number in [1, 65535]"),
    ],
)
def test_what_is_wrong_in_a_container_is_said(tmp_path, container, wrong):
    found = refused(tmp_path, custom(**container))

    assert any(wrong in each for each in found), found
