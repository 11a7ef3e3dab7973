"""What is kept of Kubernetes objects: only what something here reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from autoscaler.backends.base import Requested
from autoscaler.core.domain import Needs

NOTHING: Mapping[str, str] = MappingProxyType({})


def nothing() -> Mapping[str, str]:
    """Return NOTHING: a dataclass takes no mapping itself for a default."""
    return NOTHING


class Owner(NamedTuple):
    """An ownerReference that says controller."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """An object's metadata."""

    namespace: str = ""
    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=nothing)
    annotations: Mapping[str, str] = field(default_factory=nothing)
    owner: Owner | None = None
    deleting: bool = False
    created: float = 0.0
    """Seconds since 1970, by the API server's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    """A readinessProbe that asks over HTTP."""

    path: str
    port: int | str
    host: str = ""
    https: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container as a pod or a template says it."""

    name: str
    image: str = ""
    ports: tuple[tuple[str, int], ...] = ()
    """Name (may be empty) and number."""
    needs: Needs = field(default_factory=Needs)
    requested: Requested = field(default_factory=Requested)
    readiness: HttpGet | None = None
    """None: none, or of another kind."""
    pre_stop: bool = False
    """It has a lifecycle.preStop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """What a kubelet says of one container."""

    name: str
    init: bool = False
    ready: bool = False
    restarts: int = 0
    waiting: str = ""
    """Reason; empty: it does not wait."""
    message: str = ""
    """Of waiting."""
    running: bool = False
    exit_code: int | None = None
    """Of the last end, in `state` or `lastState`; None: it never ended."""
    exit_reason: str = ""
    exit_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One entry of status.conditions."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod."""

    meta: Meta
    containers: tuple[Container, ...] = ()
    sidecars: tuple[str, ...] = ()
    """Names of init containers that restart always."""
    node: str = ""
    nominated: str = ""
    phase: str = "Pending"
    ips: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    states: tuple[ContainerState, ...] = ()
    grace_s: float = 30.0

    @property
    def ready(self) -> bool:
        """Say what the kubelet says."""
        return any(c.type == "Ready" and c.status == "True" for c in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A Deployment."""

    meta: Meta
    replicas: int = 1
    """spec.replicas."""
    ready: int = 0
    """status.readyReplicas."""
    selector: Mapping[str, str] = field(default_factory=nothing)
    """spec.selector.matchLabels; matchExpressions make it unmanaged."""
    simple: bool = True
    """Its selector has no matchExpressions."""
    labels: Mapping[str, str] = field(default_factory=nothing)
    """Of the pod template."""
    annotations: Mapping[str, str] = field(default_factory=nothing)
    """Of the pod template."""
    containers: tuple[Container, ...] = ()
    grace_s: float = 30.0
    conditions: tuple[Condition, ...] = ()
    managers: tuple[str, ...] = ()
    """Who, by managedFields, has written spec.replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of a Service."""

    name: str = ""
    port: int
    target: int | str
    """Number, or a name that each pod resolves."""
    protocol: str = "TCP"
    app_protocol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service."""

    meta: Meta
    selector: Mapping[str, str] = field(default_factory=nothing)
    ports: tuple[ServicePort, ...] = ()
    headless: bool = False
    kind: str = "ClusterIP"
    families: tuple[str, ...] = ("IPv4",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEndpoint:
    """One endpoint of an EndpointSlice."""

    address: str
    ready: bool = True
    pod: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """An EndpointSlice."""

    meta: Meta
    service: str
    managed_by: str = ""
    family: str = "IPv4"
    ports: tuple[tuple[str, int], ...] = ()
    """Service port's name, number."""
    endpoints: tuple[SliceEndpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceService:
    """An InferenceService: what is read of its document; anything may be in that."""

    meta: Meta
    spec: Mapping[str, Any] = field(default_factory=nothing)
    too_large: str = ""
    """Why nothing of its spec was kept; empty: it was."""
    mode: str = ""
    """status.deploymentMode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An Event about an object."""

    meta: Meta
    kind: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A HorizontalPodAutoscaler or ScaledObject: somebody else who scales."""

    meta: Meta
    kind: str
    target: str
    """Name of the Deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """An HTTPRoute of the Gateway API."""

    meta: Meta
    services: tuple[str, ...] = ()
    """Names of the Services behind it, in its own namespace."""
    timeout_s: float = 0.0
    """Shortest timeouts.request of its rules; 0: none."""
