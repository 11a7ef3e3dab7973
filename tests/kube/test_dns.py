"""The stand-in for the cluster's DNS, packet by packet."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.kube.dns import AAAA, NO_SUCH_NAME, A, addresses, answer

MINE = "mine.here.svc.cluster.local"


class Known:
    """What a mirror would know."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        keys = [
            (each["metadata"]["namespace"], each["metadata"]["name"])
            for each in objects
        ]
        self.objects = dict(zip(keys, objects, strict=True))

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((namespace, name))


def service(*ips: str) -> Any:
    meta = {"namespace": "here", "name": "mine"}
    return Known({"metadata": meta, "spec": {"clusterIPs": list(ips)}})


def slices(*endpoints: dict[str, Any], owner: str = "mine") -> Any:
    labels = {"kubernetes.io/service-name": owner}
    meta = {"namespace": "here", "name": "mine-1", "labels": labels}
    return Known({"metadata": meta, "endpoints": list(endpoints)})


def endpoint(address: str, ready: bool | None = True, host: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"addresses": [address], "conditions": {"ready": ready}}
    return made | ({"hostname": host} if host else {})


def asked(name: str, kind: int = A) -> bytes:
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    head = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0)
    return head + labels + struct.pack("!BHH", 0, kind, 1)


def test_a_service_with_an_address_is_at_that_address():
    nobody = slices()

    assert addresses(MINE, service("10.96.0.9"), nobody) == ["10.96.0.9"]


def test_a_headless_service_is_where_its_ready_endpoints_are():
    there = slices(
        endpoint("10.0.0.1"), endpoint("10.0.0.2", False), endpoint("10.0.0.3", None)
    )

    assert addresses(MINE, service("None"), there) == ["10.0.0.1", "10.0.0.3"]


def test_the_slices_of_another_service_do_not_count():
    there = slices(endpoint("10.0.0.1"), owner="other")

    assert addresses(MINE, service("None"), there) == []


def test_a_name_before_it_is_one_endpoints():
    there = slices(endpoint("10.0.0.1", host="a"), endpoint("10.0.0.2", host="b"))

    assert addresses(f"b.{MINE}", service("None"), there) == ["10.0.0.2"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("yours.here.svc.cluster.local", id="no such service"),
        pytest.param("mine.there.svc.cluster.local", id="no such namespace"),
        pytest.param("example.com", id="not of this cluster"),
    ],
)
def test_who_is_not_there_has_no_address(name):
    said = answer(asked(name), service("10.96.0.9"), slices())

    assert addresses(name, service("10.96.0.9"), slices()) is None
    assert said[3] & 0xF == NO_SUCH_NAME


def test_each_family_is_answered_with_its_own_addresses():
    known = service("10.96.0.9", "fd00:10:96::9")

    four = answer(asked(MINE), known, slices())
    six = answer(asked(MINE, AAAA), known, slices())

    assert four[:2] == six[:2] == struct.pack("!H", 7)
    assert four.endswith(bytes([10, 96, 0, 9]))
    assert len(six) - len(four) == 12


def test_what_does_not_fit_a_datagram_is_said_to_be_cut():
    many = slices(*(endpoint(f"10.0.0.{each}") for each in range(1, 60)))

    short = answer(asked(MINE), service("None"), many, limit=512)
    whole = answer(asked(MINE), service("None"), many)

    assert short[2] & 0x02
    assert len(short) <= 512
    assert struct.unpack_from("!H", whole, 6) == (59,)
