"""A Service's ports: what an activator can stand in for, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.doors import front
from autoscaler.backends.kubernetes.facts import (
    Container,
    Deployment,
    Meta,
    Service,
    ServicePort,
)
from autoscaler.backends.kubernetes.managed import Door

PODS = Deployment(
    meta=Meta(namespace="production", name="iris-predictor"),
    containers=(
        Container(
            name="kserve-container", ports=(("http1", 8080), ("grpc-port", 9000))
        ),
    ),
)


def service(*ports, **more):
    return Service(
        meta=Meta(namespace="production", name="iris-predictor"),
        selector=more.pop("selector", {"app": "isvc.iris-predictor"}),
        ports=ports,
        **more,
    )


def only_refusal(found):
    (refusal,) = found.refusals
    return refusal


def test_kserves_own_service_has_one_door():
    found = front(service(ServicePort(name="http1", port=80, target="http1")), PODS)

    assert found.doors == (Door(name="http1", port=80, target="http1"),)
    assert found.refusals == ()


def test_a_single_port_needs_no_name():
    found = front(service(ServicePort(port=80, target=8080)), PODS)

    assert found.doors == (Door(port=80, target=8080),)


def test_a_port_named_after_its_service_says_nothing_of_what_it_speaks():
    named = replace(
        service(ServicePort(name="tcp-like-grpc", port=80, target=8080)),
        meta=Meta(namespace="production", name="tcp-like-grpc"),
    )

    assert not front(named, PODS).doors[0].tunnel


def test_ports_of_http2_are_tunnels():
    found = front(
        service(
            ServicePort(name="http1", port=80, target=8080),
            ServicePort(name="grpc-port", port=9000, target=9000),
            ServicePort(
                name="rpc", port=81, target=8081, app_protocol="kubernetes.io/h2c"
            ),
        ),
        PODS,
    )

    assert [each.tunnel for each in found.doors] == [False, True, True]


@pytest.mark.parametrize(
    ("made", "reason", "said"),
    [
        pytest.param(
            service(ServicePort(port=80, target=8080), selector={}),
            "ServiceWithoutSelector",
            "no selector",
            id="a Service with no selector",
        ),
        pytest.param(service(), "ServiceWithoutPort", "no port", id="no port"),
        pytest.param(
            service(
                ServicePort(name="a", port=80, target=1),
                ServicePort(name="a", port=81, target=2),
            ),
            "ServicePortTwice",
            'the port name "a" 2 times',
            id="a port name twice",
        ),
        pytest.param(
            service(ServicePort(port=80, target=1), ServicePort(port=81, target=2)),
            "ServicePortTwice",
            "without a name 2 times",
            id="two ports without a name",
        ),
        pytest.param(
            service(ServicePort(port=53, target=53, protocol="UDP")),
            "ServicePortNotTcp",
            "protocol = UDP",
            id="UDP",
        ),
        pytest.param(
            service(
                ServicePort(name="a", port=80, target="http1"),
                ServicePort(name="b", port=81, target=8080),
                headless=True,
            ),
            "ServiceHeadlessClash",
            "targetPort = 8080 for a, b",
            id="headless with one target port for two",
        ),
        pytest.param(
            service(ServicePort(port=80, target="web"), headless=True),
            "ServiceHeadlessTarget",
            "targetPort = web",
            id="headless with a target that is nowhere",
        ),
        pytest.param(
            service(ServicePort(port=80, target=80), kind="ExternalName"),
            "ServiceExternalName",
            "ExternalName",
            id="a name of somebody else",
        ),
    ],
)
def test_what_cannot_be_stood_in_for_is_refused_with_value_and_rule(made, reason, said):
    found = front(made, PODS)

    assert found.doors == ()
    assert only_refusal(found).reason == reason
    assert said in only_refusal(found).message


def test_a_udp_port_leaves_the_others_open():
    found = front(
        service(
            ServicePort(name="http", port=80, target=8080),
            ServicePort(name="dns", port=53, target=53, protocol="UDP"),
        ),
        PODS,
    )

    assert [each.name for each in found.doors] == ["http"]
    assert only_refusal(found).message.startswith("port 53 (dns) of Service")


def test_a_headless_door_is_at_the_number_of_its_target():
    found = front(service(ServicePort(port=80, target="http1"), headless=True), PODS)

    assert found.doors == (Door(port=80, target=8080, headless=True),)


PORTS = st.builds(
    ServicePort,
    name=st.sampled_from(["", "a", "http", "grpc-x"]),
    port=st.integers(1, 65535),
    target=st.integers(-1, 70000) | st.sampled_from(["http1", "8080", "none", ""]),
    protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
    app_protocol=st.sampled_from(["", "http", "grpc"]),
)


@given(ports=st.lists(PORTS, max_size=5), headless=st.booleans())
def test_doors_of_any_service_have_names_of_their_own_and_what_lacks_is_said(
    ports, headless
):
    found = front(service(*ports, headless=headless), PODS)

    names = [each.name for each in found.doors]
    assert len(names) == len(set(names)) <= len(ports)
    assert len(found.doors) == len(ports) != 0 or found.refusals
    if headless:
        targets = [each.target for each in found.doors]
        assert len(targets) == len(set(targets))
        assert all(isinstance(each, int) for each in targets)
