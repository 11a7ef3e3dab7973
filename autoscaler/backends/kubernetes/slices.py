"""EndpointSlices of ours on a revision's Service, and what the others show."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from zlib import crc32

from autoscaler.backends.kubernetes.facts import Service, Slice
from autoscaler.core.domain import Entrance

MANAGED_BY = "fromzero.dev"
"""Value of the label by which our slices are known."""

CONTROLLER = "endpointslice-controller.k8s.io"
"""Who keeps the slices of a Service's pods."""

_MOST = 100
"""Activators listed in one slice: as many as Kubernetes puts in one of its own."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standin:
    """An activator, and where it listens."""

    name: str
    ips: tuple[str, ...] = ()
    heard: bool = True
    """It has said that it listens; else it may have said so to a leader before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to do to have only the slices that are wanted."""

    create: tuple[Body, ...] = ()
    replace: tuple[Body, ...] = ()
    delete: tuple[str, ...] = ()


def bodies(
    service: Service, entrances: tuple[Entrance, ...], standins: Iterable[Standin]
) -> tuple[Body, ...]:
    """Return our slices of *service*: one for each of its families with addresses.

    The first family's is there even when it lists nobody: it keeps the ports.
    """
    chosen = _choose(service, standins)
    found = []
    for place, family in enumerate(service.families):
        addresses = sorted({ip for each in chosen for ip in _usable(each, family)})
        if entrances and (addresses or place == 0):
            found.append(_body(service, family, entrances, addresses))
    return tuple(found)


def differs(existing: Slice, body: Body) -> bool:
    """Say whether *existing* says anything else than *body*."""
    labels = body["metadata"]["labels"]
    ports = sorted((port["name"], port["port"]) for port in body["ports"])
    endpoints = sorted(
        (address, True) for each in body["endpoints"] for address in each["addresses"]
    )
    return (
        existing.family != body["addressType"]
        or any(existing.meta.labels.get(key) != labels[key] for key in labels)
        or sorted(existing.ports) != ports
        or sorted((each.address, each.ready) for each in existing.endpoints)
        != endpoints
    )


def changes(existing: Iterable[Slice], wanted: Iterable[Body]) -> Changes:
    """Return what makes of our *existing* slices of one Service those *wanted*."""
    there = {each.meta.name: each for each in existing if is_ours(each)}
    create, replace = [], []
    for body in wanted:
        slice_ = there.pop(body["metadata"]["name"], None)
        if slice_ is None:
            create.append(body)
        elif differs(slice_, body):
            replace.append(body)
    return Changes(create=tuple(create), replace=tuple(replace), delete=tuple(there))


def is_ours(slice_: Slice) -> bool:
    """Say whether we keep a slice."""
    return slice_.managed_by == MANAGED_BY


def listed(existing: Iterable[Slice], wanted: Iterable[Body]) -> bool:
    """Say whether clients find an activator that is *wanted* on every port."""
    there = {each.meta.name: each for each in existing if is_ours(each)}
    asked = [body for body in wanted if body["endpoints"]]
    return bool(asked) and all(
        (slice_ := there.get(body["metadata"]["name"])) is not None
        and sorted(slice_.ports)
        == sorted((p["name"], p["port"]) for p in body["ports"])
        and not {each.address for each in slice_.endpoints if each.ready}.isdisjoint(
            address for each in body["endpoints"] for address in each["addresses"]
        )
        for body in asked
    )


def leads_to(
    existing: Iterable[Slice], entrances: Iterable[Entrance], standin: Standin
) -> bool:
    """Say whether clients are led to *standin* by just these *entrances* already."""
    ports = sorted((each.name, each.port) for each in entrances)
    return any(
        is_ours(slice_)
        and sorted(slice_.ports) == ports
        and any(each.address in standin.ips for each in slice_.endpoints)
        for slice_ in existing
    )


def covered(
    slices: Iterable[Slice], names: Collection[str], families: Iterable[str]
) -> bool:
    """Say whether the Service's own *slices* show all ports ready in each family."""
    ready = {
        (slice_.family, name)
        for slice_ in slices
        if slice_.managed_by == CONTROLLER
        and any(each.ready for each in slice_.endpoints)
        for name, _ in slice_.ports
    }
    wanted = [(family, name) for family in families for name in names]
    return bool(wanted) and ready.issuperset(wanted)


def families(service: Service, standins: Iterable[Standin]) -> tuple[str, ...]:
    """Return the families in which clients could find *standins*; or the first."""
    there = tuple(standins)
    found = [
        family
        for family in service.families
        if any(_usable(each, family) for each in there)
    ]
    return tuple(found) or service.families[:1]


def _choose(service: Service, standins: Iterable[Standin]) -> list[Standin]:
    """Return at most 100: other ones for other Services, the same for the same."""

    def rank(standin: Standin) -> tuple[int, str]:
        of = f"{service.meta.namespace}/{service.meta.name}/{standin.name}"
        return crc32(of.encode()), standin.name

    return sorted(standins, key=rank)[:_MOST]


def _usable(standin: Standin, family: str) -> list[str]:
    """Return the addresses of *standin* that the API server takes in a slice."""
    found = []
    for text in standin.ips:
        try:
            ip = ip_address(text)
        except ValueError:
            continue
        no_host = ip.is_loopback or ip.is_link_local or ip.is_unspecified
        if f"IPv{ip.version}" == family and not no_host and not ip.is_multicast:
            found.append(str(ip))
    return found


def _body(
    service: Service, family: str, entrances: tuple[Entrance, ...], addresses: list[str]
) -> Body:
    meta = service.meta
    protocols = {port.name: port.app_protocol for port in service.ports}
    ports = []
    for entrance in entrances:
        port = {"name": entrance.name, "port": entrance.port, "protocol": "TCP"}
        if protocol := protocols.get(entrance.name):
            port["appProtocol"] = protocol
        ports.append(port)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": meta.namespace,
            "name": f"{meta.name}-fromzero-{family.lower()}",
            "labels": {
                "kubernetes.io/service-name": meta.name,
                "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
            },
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": meta.name,
                    "uid": meta.uid,
                    # Else we would need to write finalizers of Services.
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
            }
            for address in addresses
        ],
    }
