"""A piece of a document, met with its Deployment and Service -> a managed revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from autoscaler import parts
from autoscaler.backends.kubernetes.doors import Front, front
from autoscaler.backends.kubernetes.facts import (
    Container,
    Deployment,
    HttpGet,
    Service,
)
from autoscaler.backends.kubernetes.managed import Door, Finding, Managed, Reference
from autoscaler.backends.kubernetes.piece import Piece
from autoscaler.backends.kubernetes.pods import main_port
from autoscaler.backends.kubernetes.ports import resolve
from autoscaler.backends.kubernetes.preflight import (
    Seen,
    hold_limit,
    main_container,
    preflight,
)
from autoscaler.core.domain import Needs, Probe, RevisionKey, RevisionSpec

_AGENT = 9081
"""Port of KServe's batcher and logger, which pass everything on to the model."""
_INFERENCE_SERVICE = "inferenceservice"
_LABEL = f"serving.kserve.io/{_INFERENCE_SERVICE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose document a piece is of."""

    reference: Reference
    isvc: str = ""
    """Empty: the Deployment's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What became of one piece."""

    managed: Managed | None = None
    findings: tuple[Finding, ...] = ()


def enrol(
    piece: Piece, owner: Owner, seen: Seen | None, service: Service | None
) -> Enrolled:
    """Return *piece* as a revision that is managed, or why it is not.

    *seen* is None while there is no Deployment of its name.
    """
    key = RevisionKey(owner.reference.namespace, piece.name)
    if seen is None:
        absent = Finding(
            about=owner.reference,
            key=key,
            reason="DeploymentMissing",
            message=f"Deployment {piece.name} is not there yet: waiting for KServe",
            warning=False,
            blocks=True,
        )
        return Enrolled(findings=(absent,))
    if not piece.opted or seen.deployment.meta.deleting:
        return Enrolled()
    refused = next(_refused(piece, owner, seen.deployment, service), None)
    if refused is not None:
        return Enrolled(findings=(replace(refused, key=key),))
    offered = front(service, seen.deployment) if service else Front()
    managed = Managed(
        key=key,
        spec=_spec(piece, owner, seen, _main(service, offered)),
        service=piece.service,
        service_uid=service.meta.uid if service else "",
        doors=offered.doors,
        owner=owner.reference,
        isvc=owner.isvc,
        component=piece.component,
        weight=piece.share,
        floor_why=_floor(piece, offered),
    )
    missing = () if service else (_no_service(managed),)
    closed = tuple(
        Finding(
            about=owner.reference, key=key, reason=each.reason, message=each.message
        )
        for each in offered.refusals
    )
    found = (*preflight(managed, seen), *missing, *closed)
    blocked = any(each.blocks for each in found)
    return Enrolled(managed=None if blocked else managed, findings=found)


def _refused(
    piece: Piece, owner: Owner, deployment: Deployment, service: Service | None
) -> Iterator[Finding]:
    """Walk what makes a Deployment one that must not be touched."""

    def finding(reason: str, message: str) -> Finding:
        return Finding(
            about=owner.reference, reason=reason, message=message, blocks=True
        )

    if owner.isvc and not _is_kserves(deployment, owner):
        yield finding(
            "DeploymentNotKServes",
            f"Deployment {piece.name} is not owned by InferenceService {owner.isvc}, "
            "must be what KServe made for it",
        )
    if not deployment.simple or not deployment.selector:
        yield finding(
            "SelectorNotSimple",
            f"Deployment {piece.name} has a selector that is not only matchLabels: its "
            "pods cannot be told from others",
        )
    selector = service.selector if service else {}
    if service is not None and not selector.items() <= deployment.labels.items():
        yield finding(
            "ServiceSelectsOthers",
            f"Service {piece.service} does not select the pods of Deployment "
            f"{piece.name}, must be the Service in front of it",
        )


def _is_kserves(deployment: Deployment, owner: Owner) -> bool:
    its = deployment.meta.owner
    if its is None:
        return deployment.meta.labels.get(_LABEL) == owner.isvc
    same = not its.uid or not owner.reference.uid or its.uid == owner.reference.uid
    return its.kind.lower() == _INFERENCE_SERVICE and its.name == owner.isvc and same


def _no_service(managed: Managed) -> Finding:
    return Finding(
        about=managed.owner,
        key=managed.key,
        reason="ServiceMissing",
        message=f"Service {managed.service} is not there, so {managed.key.name} stays "
        "awake: nobody could wake it",
    )


def _floor(piece: Piece, offered: Front) -> str:
    """Return why a revision must stay awake; empty: it may sleep."""
    if piece.canary and piece.share > 0:
        return (
            f"it is a canary with {piece.share:g} % of the requests, which KServe "
            "takes away from a canary at zero"
        )
    if not offered.doors:
        return f"no activator can stand in for Service {piece.service}"
    return ""


def _main(service: Service | None, offered: Front) -> Door | None:
    """Return the door by which replicas are asked, if requests come in by one."""
    port = main_port(service) if service else None
    return next(
        (each for each in offered.doors if port and each.name == port.name), None
    )


def _spec(piece: Piece, owner: Owner, seen: Seen, main: Door | None) -> RevisionSpec:
    model = piece.model or owner.isvc
    containers = seen.deployment.containers
    held = hold_limit(piece.gate.hold_limit_s, seen.route_timeout_s)
    return RevisionSpec(
        scaling=piece.scaling,
        gate=replace(piece.gate, hold_limit_s=held),
        needs=Needs(
            memory=sum(each.needs.memory for each in containers),
            gpus=sum(each.needs.gpus for each in containers),
        ),
        probe=_probe(piece.protocol, model, main_container(containers), main),
    )


def _probe(
    protocol: str, model: str, container: Container | None, main: Door | None
) -> Probe:
    """Return how to ask at the main door: what is asked elsewhere is not."""
    if main is None or main.tunnel or container is None:
        return Probe()
    asked = container.readiness
    if asked is not None and _at(container, asked, main):
        return Probe(
            path=asked.path if asked.path.startswith("/") else f"/{asked.path}"
        )
    return parts.asked("", protocol, model)


def _at(container: Container, asked: HttpGet, main: Door) -> bool:
    """Say whether a readinessProbe goes where requests go."""
    target = resolve((container,), main.target)
    same = target != 0 and target in (resolve((container,), asked.port), _AGENT)
    return same and not asked.https and not asked.host
