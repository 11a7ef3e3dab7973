"""Facts from JSON: what Kubernetes writes is read, and nothing makes it raise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Requested
from autoscaler.backends.kubernetes import isvc, reading
from autoscaler.backends.kubernetes.facts import (
    Condition,
    Container,
    ContainerState,
    HttpGet,
    Owner,
    ServicePort,
    SliceEndpoint,
)
from autoscaler.backends.kubernetes.overrides import Overrides
from autoscaler.component import SpecDefaults
from autoscaler.core.domain import Needs
from tests.autoscaler.backends.kubernetes.anything import JSON, SCALARS

READERS = [
    reading.meta,
    reading.namespace,
    reading.config_map,
    reading.pod,
    reading.deployment,
    reading.service,
    reading.slice_,
    reading.inference_service,
    reading.http_route,
    reading.happened,
    reading.writer,
]
# fmt: off
FIELDS = [
    "metadata", "spec", "status", "name", "namespace", "uid", "labels", "annotations",
    "ownerReferences", "controller", "kind", "creationTimestamp", "managedFields",
    "fieldsV1", "f:spec", "f:replicas", "time", "manager", "containers",
    "initContainers", "restartPolicy", "resources", "limits", "requests", "memory",
    "cpu", "nvidia.com/gpu", "ports", "containerPort", "readinessProbe", "httpGet",
    "port", "path", "httpHeaders", "lifecycle", "preStop", "podIPs", "ip", "conditions",
    "type", "lastTransitionTime", "containerStatuses", "state", "lastState",
    "terminated", "waiting", "exitCode", "replicas", "readyReplicas", "selector",
    "matchLabels", "matchExpressions", "template", "terminationGracePeriodSeconds",
    "targetPort", "clusterIP", "ipFamilies", "endpoints", "addresses", "targetRef",
    "rules", "backendRefs", "timeouts", "request", "series", "lastTimestamp",
    "involvedObject", "scaleTargetRef", "data", "value",
]
# fmt: on
ANYTHING = st.recursive(
    SCALARS | st.sampled_from(["10Gi", "1e999", "9" * 5000, "2024-01-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8)
    ),
    max_leaves=40,
)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(ANYTHING)
def test_nothing_that_is_json_raises(read, raw):
    read(raw)


@st.composite
def spoilt(draw, raw):
    """Draw *raw* with something else in the place of one of its parts."""
    if not isinstance(raw, dict | list) or not raw or draw(st.integers(0, 4)) == 0:
        return draw(ANYTHING)
    if isinstance(raw, list):
        at = draw(st.integers(0, len(raw) - 1))
        return [*raw[:at], draw(spoilt(raw[at])), *raw[at + 1 :]]
    name = draw(st.sampled_from(sorted(raw)))
    return raw | {name: draw(spoilt(raw[name]))}


META = {
    "name": "a",
    "namespace": "prod",
    "uid": "1-2",
    "resourceVersion": "17",
    "generation": 4,
    "creationTimestamp": "1970-01-01T00:01:00Z",
    "deletionTimestamp": "1970-01-01T00:02:00Z",
    "labels": {"app": "x"},
    "annotations": {
        "b": "c",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    },
    "ownerReferences": [
        {"kind": "Other", "name": "o", "uid": "0"},
        {"kind": "ReplicaSet", "name": "rs", "uid": "9", "controller": True},
    ],
}
CONTAINER = {
    "name": "c",
    "image": "i",
    "ports": [{"name": "h", "containerPort": 8080}, {"containerPort": 9000}],
    "resources": {
        "limits": {"memory": "2Gi", "nvidia.com/gpu": "1", "cpu": 2},
        "requests": {"memory": "1Gi", "cpu": "500m"},
    },
    "readinessProbe": {
        "httpGet": {
            "path": "/v1",
            "port": "h",
            "scheme": "HTTPS",
            "httpHeaders": [{"name": "Host", "value": "iris"}],
        }
    },
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
}
POD = {
    "metadata": META,
    "spec": {
        "containers": [CONTAINER],
        "initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}],
        "nodeName": "n",
        "terminationGracePeriodSeconds": 60,
    },
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "ContainersNotReady",
                "message": "m",
                "lastTransitionTime": "1970-01-01T00:00:05Z",
            }
        ],
        "initContainerStatuses": [
            {
                "name": "i",
                "ready": True,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
            }
        ],
        "containerStatuses": [
            {
                "name": "c",
                "ready": False,
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "b"}},
                "lastState": {
                    "terminated": {"exitCode": -1, "reason": "Error", "message": "e"}
                },
            }
        ],
    },
}
DEPLOYMENT = {
    "metadata": META
    | {
        "managedFields": [
            {
                "manager": "kubectl",
                "time": "1970-01-01T00:02:00Z",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            },
            {
                "manager": "kserve",
                "time": "1970-01-01T00:01:00Z",
                "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}},
            },
            {"manager": "other", "fieldsV1": {"f:spec": {"f:paused": {}}}},
        ]
    },
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"l": "1"}, "annotations": {"n": "2"}},
            "spec": {"containers": [CONTAINER]},
        },
    },
    "status": {"readyReplicas": 3},
}


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(spoilt(POD) | spoilt(DEPLOYMENT))
def test_one_wrong_field_does_not_raise(read, raw):
    read(raw)


def test_of_metadata_the_controller_is_the_owner_and_what_kubectl_keeps_is_left_out():
    its = reading.meta({"metadata": META})

    assert its.owner == Owner("ReplicaSet", "rs", "9")
    assert its.annotations == {"b": "c"}
    assert (its.created, its.deleting, its.generation) == (60.0, True, 4)
    assert reading.meta({"metadata": {"name": "a"}}).owner is None


def test_a_pod_is_read_with_how_its_containers_are():
    pod = reading.pod(POD)

    assert pod.containers == (
        Container(
            name="c",
            image="i",
            ports=(("h", 8080), ("", 9000)),
            needs=Needs(memory=2 << 30, gpus=1),
            requested=Requested(cpu=0.5, memory=1 << 30),
            readiness=HttpGet(path="/v1", port="h", host="iris", https=True),
            pre_stop=True,
        ),
    )
    assert pod.sidecars == ("s",)
    assert (pod.node, pod.phase, pod.grace_s) == ("n", "Running", 60.0)
    assert pod.ips == ("10.0.0.1", "fd00::1")
    assert pod.conditions == (
        Condition(
            type="Ready",
            status="False",
            reason="ContainersNotReady",
            message="m",
            since=5.0,
        ),
    )
    assert not pod.ready
    assert pod.states == (
        ContainerState(
            name="i", init=True, ready=True, exit_code=0, exit_reason="Completed"
        ),
        ContainerState(
            name="c",
            restarts=2,
            waiting="CrashLoopBackOff",
            message="b",
            exit_code=-1,
            exit_reason="Error",
            exit_message="e",
        ),
    )


def test_a_deployment_at_zero_is_at_zero_and_one_that_says_nothing_at_one():
    deployment = reading.deployment(DEPLOYMENT)

    assert (deployment.replicas, deployment.ready) == (0, 3)
    assert reading.deployment({"metadata": {"name": "a"}}).replicas == 1
    assert deployment.selector == {"app": "x"}
    assert (deployment.labels, deployment.annotations) == ({"l": "1"}, {"n": "2"})
    assert deployment.simple


def test_who_wrote_the_replicas_of_a_deployment_is_told_newest_last():
    assert reading.deployment(DEPLOYMENT).managers == ("kserve", "kubectl")


def test_a_selector_of_expressions_is_not_simple():
    selector = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}

    assert not reading.deployment({"spec": {"selector": selector}}).simple


def test_a_service_without_target_ports_targets_its_own():
    service = reading.service(
        {
            "metadata": {"name": "a"},
            "spec": {
                "clusterIP": "None",
                "selector": {"app": "x"},
                "ipFamilies": ["IPv6", "IPv4"],
                "ports": [
                    {"name": "h", "port": 80, "targetPort": "http"},
                    {"name": "g", "port": 81, "appProtocol": "kubernetes.io/h2c"},
                    {"name": "no port"},
                ],
            },
        }
    )

    assert service.ports == (
        ServicePort(name="h", port=80, target="http"),
        ServicePort(name="g", port=81, target=81, app_protocol="kubernetes.io/h2c"),
    )
    assert service.headless
    assert service.families == ("IPv6", "IPv4")
    assert service.kind == "ClusterIP"


def test_an_endpoint_that_does_not_say_so_is_ready():
    found = reading.slice_(
        {
            "metadata": {
                "name": "a",
                "labels": {
                    "kubernetes.io/service-name": "s",
                    "endpointslice.kubernetes.io/managed-by": "m",
                },
            },
            "addressType": "IPv6",
            "ports": [{"name": "h", "port": 80}],
            "endpoints": [
                {"addresses": ["::1"], "targetRef": {"kind": "Pod", "name": "p"}},
                {"addresses": ["::2"], "conditions": {"ready": False}},
                {"addresses": []},
            ],
        }
    )

    assert (found.service, found.managed_by, found.family) == ("s", "m", "IPv6")
    assert found.ports == (("h", 80),)
    assert found.endpoints == (
        SliceEndpoint(address="::1", pod="p"),
        SliceEndpoint(address="::2", ready=False),
    )


def test_an_inference_service_keeps_its_spec_as_it_was_written():
    found = reading.inference_service(
        {
            "metadata": {"name": "a"},
            "spec": {"predictor": 3},
            "status": {"deploymentMode": "Standard"},
        }
    )

    assert (found.spec, found.mode) == ({"predictor": 3}, "Standard")


@given(
    st.dictionaries(st.sampled_from(["predictor", "canary", "suspend"]), JSON)
    | JSON.map(lambda any_: {"predictor": any_})
)
def test_what_is_kept_of_a_spec_means_what_all_of_it_means(spec):
    annotations = {"serving.kserve.io/autoscalerClass": "external"}
    raw = {
        "metadata": {"name": "a", "annotations": annotations},
        "spec": spec,
        "status": {"deploymentMode": "Standard"},
    }
    kept = reading.inference_service(raw)
    settings = SpecDefaults(), Overrides()

    found = isvc.read(kept, *settings)
    whole = isvc.read(replace(kept, spec=spec), *settings)

    assert not kept.too_large
    assert found.pieces == whole.pieces
    # What they say of a field shows what is in it.
    assert [one.reason for one in found.findings] == [
        one.reason for one in whole.findings
    ]


def test_of_a_spec_nothing_is_kept_that_nobody_reads():
    model = {"modelFormat": {"name": "m" * 1_000_000}, "args": ["--model_name=a"]}
    spec = {"predictor": {"model": model, "containers": [{"env": [{}] * 9_999}]}}

    found = reading.inference_service({"metadata": {"name": "a"}, "spec": spec})

    kept = {"model": {"args": ["--model_name=a"]}, "containers": [{}]}
    assert found.spec == {"predictor": kept}
    assert not found.too_large


@pytest.mark.parametrize(
    "predictor",
    [
        {"model": {"args": ["x" * 70_000]}},
        {"annotations": {f"a{n}": "b" for n in range(9_000)}},
        {"minReplicas": [0] * 90_000},
    ],
    ids=["arguments", "annotations", "a field that is no number"],
)
def test_a_spec_of_which_too_much_would_be_read_is_not_kept(predictor):
    raw = {"metadata": {"name": "a"}, "spec": {"predictor": predictor}}

    found = reading.inference_service(raw)

    assert found.spec == {}
    assert found.too_large.endswith(" characters, must be at most 65536")


def test_of_an_annotation_no_more_is_kept_than_any_setting_has():
    raw = {"metadata": {"name": "a", "annotations": {"long": "x" * 100_000}}}

    assert reading.meta(raw).annotations == {"long": "x" * 1_025}


def test_an_events_time_is_that_of_its_newest_occurrence():
    old = {
        "metadata": META,
        "involvedObject": {"kind": "Pod", "name": "p", "uid": "u"},
        "reason": "FailedScheduling",
        "message": "0/3 nodes",
        "type": "Warning",
        "lastTimestamp": "1970-01-01T00:00:30Z",
    }
    new = old | {"series": {"lastObservedTime": "1970-01-01T00:00:40.500000Z"}}

    assert reading.happened(old).at == 30.0
    assert reading.happened(new).at == 40.5
    assert reading.happened(new | {"series": None, "lastTimestamp": None}).at == 60.0
    assert reading.happened(old).warning


def test_who_scales_another_kind_of_thing_scales_no_deployment():
    def target(**ref):
        return reading.writer({"spec": {"scaleTargetRef": ref}}).target

    assert target(kind="Deployment", name="d") == "d"
    assert target(name="d") == "d"
    assert target(kind="StatefulSet", name="d") == ""
    assert reading.writer({"kind": "ScaledObject"}).kind == "ScaledObject"
    assert reading.writer({}).kind == "HorizontalPodAutoscaler"


def test_the_shortest_limit_of_a_route_counts_and_none_is_none():
    route = reading.http_route(
        {
            "metadata": {"name": "r", "namespace": "prod"},
            "spec": {
                "rules": [
                    {
                        "backendRefs": [
                            {"name": "a"},
                            {"name": "b", "namespace": "elsewhere"},
                            {"name": "c", "kind": "Other"},
                        ],
                        "timeouts": {"request": "1m"},
                    },
                    {"timeouts": {"request": "0s"}},
                    {"backendRefs": [{"name": "a"}], "timeouts": {"request": "90s"}},
                ]
            },
        }
    )

    assert route.services == ("a",)
    assert route.timeout_s == 60.0
    assert reading.http_route({}).timeout_s == 0.0


def test_a_config_map_has_texts_only():
    its, data = reading.config_map({"metadata": META, "data": {"a": "1", "b": 2}})

    assert (its.name, data) == ("a", {"a": "1"})
