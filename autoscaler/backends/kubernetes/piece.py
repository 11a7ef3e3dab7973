"""What a document says of the Deployments that are to be managed."""

from __future__ import annotations

from dataclasses import dataclass, field

from autoscaler.backends.kubernetes.managed import Finding
from autoscaler.core.domain import GateSpec, ScalingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One component, one variant of the predictor, or a plain Deployment."""

    name: str
    """Of its Deployment."""
    service: str
    """Name of the Service in front of it."""
    component: str = ""
    """Empty: a plain Deployment."""
    opted: bool = True
    """False: its replicas are somebody else's; it only has a share of requests."""
    scaling: ScalingSpec = field(default_factory=ScalingSpec)
    gate: GateSpec = field(default_factory=GateSpec)
    share: float = 100.0
    """Of the component's requests, in %."""
    canary: bool = False
    protocol: str = ""
    """v1 or v2, by which its model says that it is ready; empty: not known."""
    model: str = ""
    """What its arguments call the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All that one document says."""

    pieces: tuple[Piece, ...] = ()
    """Empty: none of it is managed."""
    findings: tuple[Finding, ...] = ()
