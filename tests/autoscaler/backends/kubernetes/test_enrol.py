"""A piece meets its Deployment and its Service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.backends.kubernetes.facts import HttpGet, Meta, ServicePort
from autoscaler.backends.kubernetes.facts import Owner as ControllerOwner
from autoscaler.core.domain import Needs, Probe
from tests.autoscaler.backends.kubernetes.kserved import (
    SPACE,
    container,
    counted,
    deployment,
    isvc,
    key,
    reasons,
    saying,
    service,
)

V2 = {"minReplicas": 0, "model": {"protocolVersion": "v2"}}


def probe(predictor=V2, readiness=None, ports=None, **more):
    made = deployment(containers=(container(readiness=readiness),))
    found = counted(
        isvc(predictor=predictor),
        deployments=(made,),
        services=(service(**({"ports": ports} if ports else {})),),
        **more,
    )
    return found.managed[key()].spec.probe


def test_the_containers_own_probe_is_asked():
    assert probe(readiness=HttpGet(path="/ready", port=8080)) == Probe(path="/ready")
    assert probe(readiness=HttpGet(path="ready", port="http1")) == Probe(path="/ready")


@pytest.mark.parametrize(
    "elsewhere",
    [
        HttpGet(path="/ready", port=9090),
        HttpGet(path="/ready", port=8080, https=True),
        HttpGet(path="/ready", port=8080, host="other"),
    ],
)
def test_a_probe_that_goes_elsewhere_is_not_and_the_model_is(elsewhere):
    assert probe(readiness=elsewhere) == Probe(path="/v2/models/iris/ready")


def test_the_model_says_by_its_protocol_and_its_own_name():
    named = {"model": {"protocolVersion": "v1", "args": ["--model_name=flowers"]}}

    assert probe() == Probe(path="/v2/models/iris/ready")
    assert probe(named) == Probe(path="/v1/models/flowers")


def test_without_a_known_protocol_a_connection_is_enough():
    assert probe({"model": {}}) == Probe()


def test_a_port_of_grpc_is_asked_by_a_connection():
    grpc = (ServicePort(name="grpc-port", port=80, target=8080),)

    assert probe(ports=grpc, readiness=HttpGet(path="/", port=8080)) == Probe()


def test_kserves_agent_passes_the_probe_on():
    agent = (ServicePort(name="http1", port=80, target=9081),)

    assert probe(ports=agent, readiness=HttpGet(path="/r", port=8080)).path == "/r"


def test_needs_are_those_of_all_containers():
    made = deployment(
        containers=(
            container(needs=Needs(memory=3, gpus=1)),
            container("agent", needs=Needs(memory=2)),
        )
    )

    found = counted(isvc(), deployments=(made,))

    assert found.managed[key()].spec.needs == Needs(memory=5, gpus=1)


def test_a_deployment_that_is_not_there_yet_is_waited_for():
    found = counted(isvc(), names=())

    assert found.managed == {}
    assert not saying(found, "DeploymentMissing").warning


def test_a_service_that_is_not_there_keeps_its_revision_awake():
    found = counted(isvc(), services=())

    assert found.managed[key()].doors == ()
    assert found.managed[key()].floor_why
    assert "ServiceMissing" in reasons(found)


def test_a_service_that_nobody_can_stand_in_for_keeps_its_revision_awake():
    udp = (ServicePort(port=53, target=53, protocol="UDP"),)
    found = counted(isvc(), services=(service(ports=udp),))

    assert "no activator can stand in" in found.managed[key()].floor_why
    assert saying(found, "ServicePortNotTcp").key == key()


def test_a_deployment_of_somebody_elses_is_not_touched():
    stolen = counted(isvc(), deployments=(deployment(of="other"),))
    nobodys = counted(isvc(), deployments=(deployment(of=""),))

    for found in (stolen, nobodys):
        assert found.managed == {}
        assert saying(found, "DeploymentNotKServes").blocks


def test_an_owner_of_another_life_is_somebody_else():
    made = deployment()
    owner = ControllerOwner("InferenceService", "iris", "uid-of-the-last-one")
    made = replace(made, meta=replace(made.meta, owner=owner))

    assert counted(isvc(), deployments=(made,)).managed == {}


def test_kserves_label_stands_for_an_owner():
    made = deployment(of="")
    labels = {"serving.kserve.io/inferenceservice": "iris"}
    made = replace(made, meta=replace(made.meta, labels=labels))

    assert key() in counted(isvc(), deployments=(made,)).managed


@pytest.mark.parametrize("odd", [{"simple": False}, {"selector": {}}])
def test_a_selector_that_is_not_only_labels_is_not_managed(odd):
    found = counted(isvc(), deployments=(deployment(**odd),))

    assert found.managed == {}
    assert saying(found, "SelectorNotSimple").blocks


def test_a_service_of_other_pods_is_not_managed():
    found = counted(isvc(), services=(service(selector={"app": "other"}),))

    assert found.managed == {}
    assert saying(found, "ServiceSelectsOthers").blocks


def test_a_deployment_that_is_going_is_not_managed():
    made = deployment()
    going = replace(made, meta=replace(made.meta, deleting=True))

    found = counted(isvc(), deployments=(going,))

    assert (found.managed, found.findings[:1]) == ({}, found.findings[:0])


def test_a_finding_of_a_mesh_is_about_the_service_and_blocks_nothing():
    mesh = Meta(name=SPACE, labels={"istio-injection": "enabled"})
    found = counted(isvc(), namespace=mesh)

    assert key() in found.managed
    assert saying(found, "Mesh").about.kind == "InferenceService"
