"""What a census reads: the facts of one namespace, and the settings of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from autoscaler.backends.kubernetes.facts import (
    Deployment,
    HttpRoute,
    InferenceService,
    Meta,
    Service,
    Writer,
)
from autoscaler.backends.kubernetes.overrides import Overrides
from autoscaler.component import SpecDefaults
from autoscaler.core.domain import RevisionKey, ScalingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is known of one namespace."""

    namespace: Meta
    isvcs: tuple[InferenceService, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    services: tuple[Service, ...] = ()
    writers: tuple[Writer, ...] = ()
    routes: tuple[HttpRoute, ...] = ()
    learned: Mapping[RevisionKey, float] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Seconds that starts have taken, as far as they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds where documents say nothing: in a cluster, as Knative has it."""

    defaults: SpecDefaults = field(
        default_factory=lambda: SpecDefaults(
            scaling=ScalingSpec(initial_scale=1, grace_s=30.0)
        )
    )
    overrides: Overrides = field(default_factory=Overrides)
    domain: str = "example.com"
    """KServe's ingressDomain; empty: only names within the cluster."""
    route_timeout_s: float = 0.0
    """What ends requests on their way here, where no HTTPRoute says it; 0: nothing."""
