"""What is in the way of a revision, said before it goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.facts import Meta, Writer
from autoscaler.backends.kubernetes.managed import Managed, Reference
from autoscaler.backends.kubernetes.preflight import (
    Seen,
    hold_limit,
    main_container,
    preflight,
)
from autoscaler.core.domain import GateSpec, RevisionSpec
from tests.autoscaler.backends.kubernetes.kserved import (
    SPACE,
    container,
    deployment,
    key,
)

ISTIO = "sidecar.istio.io/inject"
LINKERD = "linkerd.io/inject"


def managed(**gate):
    return Managed(
        key=key(),
        spec=RevisionSpec(gate=GateSpec(**gate)),
        service="iris-predictor",
        owner=Reference(
            api_version="serving.kserve.io/v1beta1",
            kind="InferenceService",
            namespace=SPACE,
            name="iris",
        ),
    )


def seen(space=None, **deployed):
    more = {
        name: deployed.pop(name)
        for name in ("writers", "rival", "route_timeout_s", "learned_s")
        if name in deployed
    }
    return Seen(
        namespace=space or Meta(name=SPACE), deployment=deployment(**deployed), **more
    )


def only(around, **gate):
    (found,) = preflight(managed(**gate), around)
    return found


def test_a_deployment_as_it_should_be_is_not_remarked_on():
    assert preflight(managed(), seen()) == ()


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_another_scaler_is_hands_off_and_named(kind):
    writer = Writer(meta=Meta(name="old"), kind=kind, target="iris-predictor")

    found = only(seen(writers=(writer,)))

    assert (found.reason, found.blocks, found.key) == ("OtherScaler", True, key())
    assert f"{kind} old scales Deployment iris-predictor" in found.message


def test_who_writes_over_our_count_is_hands_off():
    found = only(seen(rival="argocd-controller", managers=("argocd-controller",)))

    assert found.blocks
    assert "argocd-controller has set the replicas" in found.message


def test_who_once_wrote_the_count_is_named_and_no_more():
    found = only(seen(managers=("manager", "argocd-controller")))

    assert (found.reason, found.blocks) == ("ReplicasWritten", False)
    assert "argocd-controller has written spec.replicas" in found.message


def test_a_start_longer_than_the_routes_timeout_is_said():
    found = only(seen(learned_s=85.0, route_timeout_s=60.0), hold_limit_s=58.0)

    assert found.reason == "RouteTimeout"
    assert "takes 85 s and its route ends a request after 60 s" in found.message


def test_a_start_longer_than_a_request_is_held_is_said():
    found = only(seen(learned_s=85.0), hold_limit_s=60.0)

    assert found.reason == "StartTooLong"
    assert "held 60 s at most" in found.message


def test_a_start_within_both_is_not():
    assert preflight(managed(), seen(learned_s=55.0, route_timeout_s=60.0)) == ()


def test_no_pre_stop_is_said_of_the_container_that_serves():
    agent = container("agent")
    serving = container(pre_stop=False)

    found = only(seen(containers=(agent, serving)))

    assert found.reason == "NoPreStop"
    assert "container kserve-container of iris-predictor" in found.message
    assert preflight(managed(), seen(containers=())) == ()


def test_a_grace_shorter_than_the_timeout_is_said():
    found = only(seen(grace_s=30.0), timeout_s=300.0)

    assert found.reason == "GraceTooShort"
    assert "terminationGracePeriodSeconds = 30" in found.message
    assert preflight(managed(timeout_s=300.0), seen(grace_s=300.0)) == ()


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(seen(containers=(container(), container("istio-proxy"))), id="is"),
        pytest.param(seen(annotations={ISTIO: "true"}), id="annotation"),
        pytest.param(seen(labels={ISTIO: "true"}), id="label"),
        pytest.param(
            seen(Meta(name=SPACE, labels={"istio-injection": "enabled"})), id="space"
        ),
        pytest.param(seen(Meta(name=SPACE, labels={"istio.io/rev": "a"})), id="rev"),
        pytest.param(
            seen(containers=(container(), container("linkerd-proxy"))), id="linkerd"
        ),
        pytest.param(seen(annotations={LINKERD: "enabled"}), id="linkerd annotation"),
        pytest.param(
            seen(Meta(name=SPACE, annotations={LINKERD: "enabled"})), id="linkerd space"
        ),
    ],
)
def test_a_mesh_is_said(around):
    assert only(around).reason == "Mesh"


@pytest.mark.parametrize(
    "around",
    [
        seen(
            Meta(name=SPACE, labels={"istio-injection": "enabled"}),
            annotations={ISTIO: "false"},
        ),
        seen(
            Meta(name=SPACE, annotations={LINKERD: "enabled"}),
            annotations={LINKERD: "disabled"},
        ),
    ],
)
def test_a_pod_that_is_left_out_of_its_namespaces_mesh_is_not(around):
    assert preflight(managed(), around) == ()


def test_where_a_hard_limit_binds_is_said_without_a_warning():
    found = only(seen(), container_concurrency=1)

    assert (found.reason, found.warning) == ("ContainerConcurrency", False)


def test_what_blocks_comes_first():
    writer = Writer(meta=Meta(name="x"), kind="ScaledObject", target="iris-predictor")
    around = seen(writers=(writer,), containers=(container(pre_stop=False),))
    around = replace(around, learned_s=900.0)

    found = preflight(managed(), around)

    assert [each.blocks for each in found] == [True, False, False]


def test_the_container_that_serves_is_kserves_or_the_first():
    a, b = container("a"), container("b")
    serving, transformer = container(), container("transformer-container")

    assert main_container((a, transformer, serving)) == serving
    assert main_container((a, transformer)) == transformer
    assert main_container((a, b)) == a
    assert main_container(()) is None


@given(
    hold=st.floats(0.001, 1e6), timeout=st.floats(0, 1e6) | st.sampled_from([0.0, 60.0])
)
def test_a_hold_is_never_longer_than_asked_and_ends_before_the_route(hold, timeout):
    found = hold_limit(hold, timeout)

    assert found <= hold
    if timeout:
        assert found < timeout
        assert found <= max(timeout - 2.0, timeout / 2)
    if hold > 0 and timeout > 1e-300:
        assert found > 0
