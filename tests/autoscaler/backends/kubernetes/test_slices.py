"""EndpointSlices: ours as they are written, and others' as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes import reading
from autoscaler.backends.kubernetes.facts import (
    Meta,
    ServicePort,
    Slice,
    SliceEndpoint,
)
from autoscaler.backends.kubernetes.slices import (
    CONTROLLER,
    MANAGED_BY,
    Standin,
    bodies,
    changes,
    covered,
    differs,
    families,
    is_ours,
    listed,
)
from autoscaler.core.domain import Entrance
from tests.autoscaler.backends.kubernetes.made import NAME, service
from tests.kube.cluster import eventually

HTTP = ServicePort(name="http1", port=80, target="http1")
GRPC = ServicePort(
    name="grpc", port=9000, target=9000, app_protocol="kubernetes.io/h2c"
)
DOORS = (Entrance(port=20001, name="http1"), Entrance(port=20002, name="grpc"))
ACTIVATORS = (
    Standin(name="act-1", ips=("10.0.1.2", "fd00::2")),
    Standin(name="act-0", ips=("10.0.1.1", "fd00::1")),
)
DUAL = service(HTTP, GRPC, families=("IPv4", "IPv6"))


def written(body, **kw):
    """Return *body* as a watch shows it."""
    meta = body["metadata"]
    fields = {
        "family": body["addressType"],
        "ports": tuple((port["name"], port["port"]) for port in body["ports"]),
        "endpoints": tuple(
            SliceEndpoint(address=address)
            for each in body["endpoints"]
            for address in each["addresses"]
        ),
        "managed_by": meta["labels"]["endpointslice.kubernetes.io/managed-by"],
    }
    return Slice(
        meta=Meta(namespace="prod", name=meta["name"], labels=meta["labels"]),
        service=NAME,
        **fields | kw,
    )


def controllers(*ports, ready=True, family="IPv4"):
    return Slice(
        meta=Meta(namespace="prod", name=f"{NAME}-x{len(ports)}{family}"),
        service=NAME,
        managed_by=CONTROLLER,
        family=family,
        ports=tuple((port, 8080) for port in ports),
        endpoints=(SliceEndpoint(address="10.0.0.7", ready=ready),),
    )


def test_there_is_one_slice_for_each_family_with_every_port_by_name():
    four, six = bodies(DUAL, DOORS, ACTIVATORS)

    assert four["metadata"] == {
        "namespace": "prod",
        "name": "iris-predictor-fromzero-ipv4",
        "labels": {
            "kubernetes.io/service-name": "iris-predictor",
            "endpointslice.kubernetes.io/managed-by": "fromzero.dev",
        },
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "name": "iris-predictor",
                "uid": "uid-service",
                "blockOwnerDeletion": False,
            }
        ],
    }
    assert (four["addressType"], six["addressType"]) == ("IPv4", "IPv6")
    assert four["ports"] == [
        {"name": "http1", "port": 20001, "protocol": "TCP"},
        {
            "name": "grpc",
            "port": 20002,
            "protocol": "TCP",
            "appProtocol": "kubernetes.io/h2c",
        },
    ]
    assert [each["addresses"] for each in four["endpoints"]] == [
        ["10.0.1.1"],
        ["10.0.1.2"],
    ]
    assert [each["addresses"] for each in six["endpoints"]] == [
        ["fd00::1"],
        ["fd00::2"],
    ]
    assert all(each["conditions"]["ready"] for each in four["endpoints"])


def test_a_slice_that_lists_nobody_keeps_the_ports():
    (body,) = bodies(DUAL, DOORS, ())

    assert body["addressType"] == "IPv4"
    assert body["endpoints"] == []
    assert [port["port"] for port in body["ports"]] == [20001, 20002]


def test_without_a_port_there_is_no_slice():
    assert bodies(DUAL, (), ACTIVATORS) == ()


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1", "::1", "no address", ""]
)
def test_an_address_that_the_api_server_refuses_spoils_nothing(ip):
    four, *_ = bodies(DUAL, DOORS, (*ACTIVATORS, Standin(name="odd", ips=(ip,))))

    assert len(four["endpoints"]) == 2


def test_of_very_many_activators_each_service_lists_a_hundred_of_its_own():
    many = [
        Standin(name=f"act-{n}", ips=(f"10.0.{n // 250}.{n % 250}",))
        for n in range(500)
    ]
    (one,) = bodies(service(), DOORS, many)
    (same,) = bodies(service(), DOORS, reversed(many))

    assert len(one["endpoints"]) == 100
    assert one == same


def test_what_was_written_as_it_should_be_does_not_differ():
    for body in bodies(DUAL, DOORS, ACTIVATORS):
        assert not differs(written(body), body)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"family": "IPv6"}, id="its family"),
        pytest.param({"ports": (("http1", 20001), ("grpc", 1))}, id="a number"),
        pytest.param({"ports": (("http1", 20001),)}, id="a port"),
        pytest.param({"endpoints": ()}, id="an endpoint"),
        pytest.param(
            {
                "endpoints": (
                    SliceEndpoint(address="10.0.1.1", ready=False),
                    SliceEndpoint(address="10.0.1.2"),
                )
            },
            id="whether one is ready",
        ),
        pytest.param(
            {"meta": Meta(name="iris-predictor-fromzero-ipv4")}, id="its labels"
        ),
    ],
)
def test_a_slice_differs_by(change):
    (body, _) = bodies(DUAL, DOORS, ACTIVATORS)
    fields = {"meta": written(body).meta} | change
    meta = fields.pop("meta")

    existing = written(body, **fields)

    assert differs(
        Slice(
            meta=meta,
            service=NAME,
            managed_by=MANAGED_BY,
            family=existing.family,
            ports=existing.ports,
            endpoints=existing.endpoints,
        ),
        body,
    )


def test_only_what_is_ours_and_differs_is_touched():
    four, six = bodies(DUAL, DOORS, ACTIVATORS)
    (empty,) = bodies(DUAL, DOORS, ())
    theirs = controllers("http1")

    assert changes([theirs], [four, six]).create == (four, six)
    assert changes([theirs, written(four)], [empty]).replace == (empty,)
    gone = changes([theirs, written(four), written(six)], [four])
    assert (gone.create, gone.replace) == ((), ())
    assert gone.delete == ("iris-predictor-fromzero-ipv6",)
    assert changes([theirs, written(four)], []).delete == (four["metadata"]["name"],)


WANTED = st.builds(
    bodies,
    st.sampled_from((service(HTTP, GRPC), DUAL)),
    st.sampled_from((DOORS, DOORS[:1], ())),
    st.lists(st.sampled_from(ACTIVATORS), unique=True),
)


@given(WANTED, WANTED)
def test_once_changes_are_made_there_is_nothing_to_change(before, wanted):
    there = {body["metadata"]["name"]: written(body) for body in before}

    made = changes(there.values(), wanted)
    for body in (*made.create, *made.replace):
        there[body["metadata"]["name"]] = written(body)
    for name in made.delete:
        del there[name]

    again = changes(there.values(), wanted)
    assert (again.create, again.replace, again.delete) == ((), (), ())
    assert listed(there.values(), wanted) == any(body["endpoints"] for body in wanted)


def test_clients_find_an_activator_once_every_port_lists_one_that_is_wanted():
    wanted = bodies(DUAL, DOORS, ACTIVATORS)
    other = bodies(DUAL, DOORS, (ACTIVATORS[0],))
    stranger = bodies(DUAL, DOORS, (Standin(name="x", ips=("10.0.9.9", "fd00::9")),))
    moved = bodies(DUAL, (DOORS[0], Entrance(port=1, name="grpc")), ACTIVATORS)

    assert listed([written(body) for body in other], wanted)
    assert not listed([written(body) for body in stranger], wanted)
    assert not listed([written(body) for body in moved], wanted)
    assert not listed([written(wanted[0])], wanted)
    assert not listed([], bodies(DUAL, DOORS, ()))


def test_a_service_is_covered_when_its_own_slices_show_every_port_in_each_family():
    both = ("http1", "grpc")

    assert covered([controllers(*both)], both, ["IPv4"])
    assert covered([controllers("http1"), controllers("grpc", "x")], both, ["IPv4"])
    assert not covered([controllers("http1")], both, ["IPv4"])
    assert not covered([controllers(*both, ready=False)], both, ["IPv4"])
    assert not covered([controllers(*both)], both, ["IPv4", "IPv6"])
    assert not covered([], both, ["IPv4"])
    assert not covered([controllers(*both)], (), ["IPv4"])


def test_our_own_slices_cover_nothing():
    mine = [written(body) for body in bodies(DUAL, DOORS, ACTIVATORS)]

    assert all(is_ours(slice_) for slice_ in mine)
    assert not covered(mine, ("http1", "grpc"), ["IPv4"])


def test_only_families_in_which_activators_can_be_found_need_cover():
    four = Standin(name="act-0", ips=("10.0.1.1",))

    assert families(DUAL, ACTIVATORS) == ("IPv4", "IPv6")
    assert families(DUAL, [four]) == ("IPv4",)
    assert families(DUAL, []) == ("IPv4",)


@pytest.mark.slow
def test_a_real_api_server_keeps_our_slices_as_they_are_and_ends_them_with_the_service(
    cluster, space
):
    services = f"/api/v1/namespaces/{space}/services"
    path = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    ports = [
        {"name": "http1", "port": 80, "targetPort": "http1"},
        {"name": "grpc", "port": 9000, "appProtocol": "kubernetes.io/h2c"},
    ]
    document = {
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"app": NAME},
            "ports": ports,
            "ipFamilyPolicy": "PreferDualStack",
        },
    }
    of = reading.service(cluster.admin.create(services, document))
    full, empty = bodies(of, DOORS, ACTIVATORS), bodies(of, DOORS, ())

    def there():
        return [reading.slice_(raw) for raw in cluster.admin.get(path)["items"]]

    for body in changes(there(), full).create:
        cluster.admin.create(path, body)
    assert listed(there(), full)
    assert changes(there(), full) == changes([], [])

    made = changes(there(), empty)
    for body in made.replace:
        cluster.admin.replace(f"{path}/{body['metadata']['name']}", body)
    for name in made.delete:
        cluster.admin.delete(f"{path}/{name}")
    assert changes(there(), empty) == changes([], [])
    assert not listed(there(), full)

    cluster.admin.delete(f"{services}/{NAME}")
    eventually("no slice of ours", lambda: not any(is_ours(each) for each in there()))
