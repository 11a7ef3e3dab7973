"""A Service's ports: at which an activator can stand in, and at which it cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoscaler.backends.kubernetes.facts import Deployment, Service
from autoscaler.backends.kubernetes.facts import ServicePort as Port
from autoscaler.backends.kubernetes.managed import Door
from autoscaler.backends.kubernetes.ports import resolve, tunnelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an activator cannot stand in, for a port or for all of a Service."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a Service offers."""

    doors: tuple[Door, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Doors without refusals are all of its ports."""


def front(service: Service, deployment: Deployment) -> Front:
    """Return the doors of *service* before the pods of *deployment*."""
    whole = _whole(service)
    if whole is not None:
        return Front(refusals=(whole,))
    doors: list[Door] = []
    refusals: list[Refusal] = []
    for port in service.ports:
        found = _door(service, port, deployment)
        if isinstance(found, Door):
            doors.append(found)
        else:
            refusals.append(found)
    clash = _clash(service, doors)
    if clash is not None:
        return Front(refusals=(*refusals, clash))
    return Front(doors=tuple(doors), refusals=tuple(refusals))


def _whole(service: Service) -> Refusal | None:
    """Return why nothing of *service* can be stood in for."""
    name = service.meta.name
    if service.kind == "ExternalName":
        return Refusal(
            reason="ServiceExternalName",
            message=f"Service {name} has type = ExternalName, must select pods",
        )
    if not service.selector:
        return Refusal(
            reason="ServiceWithoutSelector",
            message=f"Service {name} has no selector, must select pods",
        )
    if not service.ports:
        return Refusal(
            reason="ServiceWithoutPort",
            message=f"Service {name} has no port, so no activator can stand in for it",
        )
    counted = Counter(each.name for each in service.ports)
    for port, times in counted.items():
        if times > 1:
            called = f'the port name "{port}"' if port else "a port without a name"
            return Refusal(
                reason="ServicePortTwice",
                message=f"Service {name} has {called} {times} times, must give each "
                "port a name of its own",
            )
    return None


def _door(service: Service, port: Port, deployment: Deployment) -> Door | Refusal:
    name = service.meta.name
    said = f"port {port.port}" + (f" ({port.name})" if port.name else "")
    if port.protocol != "TCP":
        return Refusal(
            reason="ServicePortNotTcp",
            message=f"{said} of Service {name} has protocol = {port.protocol}, must be "
            "TCP: what comes there is neither held nor wakes anything",
        )
    target: int | str = port.target
    if service.headless:
        # Clients of a headless Service go to the pods' port at an activator's address.
        found = resolve(deployment.containers, target)
        if not 0 < found < 65536:
            return Refusal(
                reason="ServiceHeadlessTarget",
                message=f"{said} of headless Service {name} has targetPort = {target}, "
                "must be a number or the name of a container's port: an activator has "
                "to listen there",
            )
        target = found
    # Where a container names no port, KServe calls it as the Service is called.
    spoken = "" if port.name == name else port.name
    return Door(
        name=port.name,
        port=port.port,
        target=target,
        tunnel=tunnelled(spoken, port.app_protocol),
        headless=service.headless,
        protocol=port.protocol,
    )


def _clash(service: Service, doors: Sequence[Door]) -> Refusal | None:
    """Return why two ports of a headless Service cannot be told apart."""
    if not service.headless:
        return None
    targets = Counter(each.target for each in doors)
    for target, times in targets.items():
        if times > 1:
            names = ", ".join(_titles(doors, target))
            return Refusal(
                reason="ServiceHeadlessClash",
                message=f"headless Service {service.meta.name} has targetPort = "
                f"{target} for {names}, must be different for each: they are told "
                "apart by it",
            )
    return None


def _titles(doors: Sequence[Door], target: int | str) -> Iterator[str]:
    return (each.name or str(each.port) for each in doors if each.target == target)
