"""Which pods a Fleet is shown, and where they serve."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.facts import Container, Meta, Owner, ServicePort
from autoscaler.backends.kubernetes.pods import (
    living,
    main_port,
    name_of,
    pictures,
    replica_of,
    spared,
)
from tests.autoscaler.backends.kubernetes.made import deployment, pod, service

HTTP = ServicePort(name="http1", port=80, target="http1")


def names(shown):
    return {replica.id for replica in shown}


def test_a_pod_is_a_replica_at_the_port_that_the_service_aims_at():
    (shown,) = pictures(deployment(), [pod("a", ready=True)], service(HTTP))

    assert (shown.id, shown.host, shown.port) == ("a", "10.0.0.7", 8080)
    assert shown.ports == (("http1", 8080),)
    assert shown.ready


def test_a_named_port_is_resolved_in_each_pod_by_itself():
    moved = (Container(name="kserve-container", ports=(("http1", 9000),)),)
    pods = [pod("a"), pod("b", rs="new", containers=moved)]

    shown = pictures(deployment(2), pods, service(HTTP))

    assert {replica.id: replica.port for replica in shown} == {"a": 8080, "b": 9000}


def test_an_agent_in_front_is_where_requests_go():
    agent = ServicePort(name="http1", port=80, target=9081)

    (shown,) = pictures(deployment(), [pod("a")], service(agent))

    assert shown.port == 9081


def test_every_port_of_the_service_is_known_by_its_name():
    rest = ServicePort(name="rest", port=80, target="http1")
    grpc = ServicePort(name="grpc", port=9000, target=9000)
    odd = ServicePort(name="odd", port=1, target="nowhere")

    (shown,) = pictures(deployment(), [pod("a")], service(rest, grpc, odd))

    assert shown.ports == (("rest", 8080), ("grpc", 9000))


def test_a_pod_has_no_address_before_it_has_an_ip_or_such_a_port():
    odd = ServicePort(name="odd", port=1, target="nowhere")

    (bare,) = pictures(deployment(), [pod("a", ips=())], service(HTTP))
    (lost,) = pictures(deployment(), [pod("a")], service(odd))

    assert (bare.host, bare.port, bare.ports) == ("", 0, ())
    assert lost.port == 0


def test_the_address_is_of_the_services_first_family():
    both = pod("a", ips=("10.0.0.7", "fd00::7"))

    (shown,) = pictures(deployment(), [both], service(HTTP, families=("IPv6", "IPv4")))

    assert shown.host == "fd00::7"


def test_requests_come_in_by_the_first_port_that_speaks_tcp():
    udp = ServicePort(name="quic", port=443, target=443, protocol="UDP")

    assert main_port(service(udp, HTTP)) == HTTP
    assert main_port(service(udp)) is None
    grpc = ServicePort(name="grpc", port=8081, target=8081)
    assert main_port(service(grpc, HTTP)) == HTTP
    assert main_port(service(grpc)) == grpc


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod("a", deleting=True), id="it is terminating"),
        pytest.param(pod("a", phase="Failed"), id="it was evicted"),
        pytest.param(pod("a", phase="Succeeded"), id="it has ended"),
        pytest.param(
            replace(pod("a"), meta=Meta(namespace="prod", name="a")),
            id="nobody owns it",
        ),
        pytest.param(
            replace(pod("a"), meta=replace(pod("a").meta, namespace="test")),
            id="it is in another namespace",
        ),
        pytest.param(
            replace(pod("a"), meta=replace(pod("a").meta, labels={"app": "other"})),
            id="the selector does not fit",
        ),
        pytest.param(
            replace(
                pod("a"),
                meta=replace(
                    pod("a").meta, owner=Owner("ReplicaSet", "iris-predictor-2-old", "")
                ),
            ),
            id="its ReplicaSet is of a Deployment whose name begins alike",
        ),
        pytest.param(
            replace(pod("a"), meta=replace(pod("a").meta, owner=Owner("Job", "j", ""))),
            id="a Job owns it",
        ),
    ],
)
def test_a_pod_is_no_replica_if(other):
    assert pictures(deployment(5), [other, pod("b")], service()) == pictures(
        deployment(5), [pod("b")], service()
    )


def test_in_a_rollout_the_new_pod_takes_the_place_of_the_old_once_it_is_ready():
    old = pod("old", rs="1", created=1.0, ready=True)
    starting = pod("new", rs="2", created=2.0)

    before = pictures(deployment(1), [old, starting], service())
    after = pictures(
        deployment(1),
        [old, pod("new", rs="2", created=2.0, ready=True)],
        service(),
    )

    assert names(before) == {"old"}
    assert names(after) == {"new"}


def test_of_those_that_start_the_newest_replicaset_is_shown_and_of_it_the_oldest():
    pods = [
        pod("a", rs="1", created=1.0),
        pod("b", rs="2", created=2.0),
        pod("c", rs="2", created=3.0),
    ]

    assert names(pictures(deployment(1), pods, service())) == {"b"}


def test_those_told_to_stop_are_shown_while_they_live_and_take_nobodys_place():
    pods = [pod("a", created=1.0, ready=True), pod("b", created=2.0, ready=True)]

    shown = pictures(deployment(1), pods, service(), keep={"a", "long-gone"})

    assert names(shown) == {"a", "b"}
    assert names(pictures(deployment(1), pods[1:], service(), keep={"a"})) == {"b"}


def test_a_pod_that_lives_on_after_a_reported_failure_is_another_replica():
    (shown,) = pictures(deployment(), [pod("a")], service(), attempts={"a": 2})

    assert shown.id == "a~2"
    assert name_of(shown.id) == "a"


def test_one_told_to_stop_is_spared_once_no_more_are_there_than_should_be():
    both = [pod("a"), pod("b")]

    assert spared(deployment(1), both, {"a"}) == ()
    assert spared(deployment(1), [pod("a")], {"a"}) == ("a",)
    assert spared(deployment(1), [pod("b")], {"a"}) == ()
    assert spared(deployment(1), [pod("a"), pod("b", deleting=True)], {"a"}) == ("a",)


@given(st.text("abc-123.", min_size=1), st.integers(0, 9))
def test_a_replica_names_its_pod_whatever_the_attempt(name, attempt):
    assert name_of(replica_of(name, attempt)) == name


PODS = st.lists(
    st.builds(
        pod,
        st.sampled_from("abcdefgh"),
        rs=st.sampled_from(("1", "2")),
        created=st.floats(0, 9),
        ready=st.booleans(),
        deleting=st.booleans(),
    ),
    unique_by=lambda pod: pod.meta.name,
)


@given(PODS, st.integers(0, 4), st.sets(st.sampled_from("abcdefgh")))
def test_never_more_are_shown_than_there_should_be_and_never_fewer_than_there_are(
    pods, replicas, keep
):
    of = deployment(replicas)

    shown = names(pictures(of, pods, service(), keep=keep))

    there = {pod.meta.name for pod in living(of, pods)}
    assert shown <= there
    assert shown >= there & keep
    assert len(shown - keep) == min(replicas, len(there - keep))


@given(PODS, st.integers(0, 4))
def test_one_that_is_ready_is_never_left_out_for_one_that_is_not(pods, replicas):
    of = deployment(replicas)

    shown = names(pictures(of, pods, service()))

    there = living(of, pods)
    if any(pod.ready and pod.meta.name not in shown for pod in there):
        assert all(pod.ready for pod in there if pod.meta.name in shown)


@given(PODS, st.integers(0, 4), st.randoms())
def test_the_order_in_which_pods_are_known_does_not_count(pods, replicas, random):
    of = deployment(replicas)
    other = list(pods)
    random.shuffle(other)

    assert pictures(of, pods, service()) == pictures(of, other, service())
