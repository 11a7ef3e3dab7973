"""What a census finds: revisions that are managed, and what a person should know."""

from __future__ import annotations

from dataclasses import dataclass, field

from autoscaler.backends.kubernetes.facts import Deployment, InferenceService
from autoscaler.core.domain import RevisionKey, RevisionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An object that Events are about, or that owns another."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"


def reference(its: InferenceService | Deployment) -> Reference:
    """Return what Events about *its* are about."""
    if isinstance(its, Deployment):
        api_version, kind = "apps/v1", "Deployment"
    else:
        api_version, kind = "serving.kserve.io/v1beta1", "InferenceService"
    return Reference(
        api_version=api_version,
        kind=kind,
        namespace=its.meta.namespace,
        name=its.meta.name,
        uid=its.meta.uid,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port of a revision's Service, which an activator can stand in for."""

    name: str = ""
    """Of the Service's port; empty: its only one."""
    port: int
    """Number that clients of the Service use."""
    target: int | str
    """Port of a pod: its number, or a name that each pod resolves."""
    tunnel: bool = False
    """It speaks h2c or gRPC."""
    headless: bool = False
    """Clients go to the target port of an address, so an activator listens there."""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A Deployment that is scaled here, and the Service in front of it."""

    key: RevisionKey
    """Namespace and name of the Deployment."""
    spec: RevisionSpec = field(default_factory=RevisionSpec)
    """Without entrances: those are given when the redirect gives ports."""
    service: str
    service_uid: str = ""
    doors: tuple[Door, ...] = ()
    """Empty: nobody can stand in, so it stays awake; a finding says why."""
    owner: Reference
    """The InferenceService or plain Deployment: Events are about it."""
    isvc: str = ""
    """Name of the InferenceService; empty: a plain Deployment."""
    component: str = ""
    """predictor, transformer or explainer; empty: a plain Deployment."""
    weight: float = 100.0
    """Its share of the component's requests, in %."""
    floor_why: str = ""
    """Why it must not go to zero; empty: it may, if its settings say so."""

    @property
    def front(self) -> RevisionKey:
        """Namespace and name of the Service: no other revision has it."""
        return RevisionKey(self.key.namespace, self.service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a person should know of an object here."""

    about: Reference
    key: RevisionKey | None = None
    """The revision it concerns; None: none, or all of the object's."""
    reason: str
    """In CamelCase, as an Event's."""
    message: str
    warning: bool = True
    """False: good to know, or only a matter of waiting."""
    blocks: bool = False
    """Hands off: the revision is not managed, and is let go if it was."""
