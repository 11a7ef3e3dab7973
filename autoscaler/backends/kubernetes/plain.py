"""A Deployment that is not KServe's and opts in by annotations of its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autoscaler.backends.kubernetes.facts import Deployment
from autoscaler.backends.kubernetes.isvc import sized
from autoscaler.backends.kubernetes.managed import Finding, reference
from autoscaler.backends.kubernetes.overrides import LIVE, Overrides, places
from autoscaler.backends.kubernetes.piece import Piece, Sheet
from autoscaler.backends.kubernetes.remarks import complaints, remarks
from autoscaler.backends.kubernetes.tree import tree
from autoscaler.component import PREFIXES, Component, SpecDefaults
from autoscaler.core.domain import RevisionKey
from autoscaler.errors import Problem
from autoscaler.knobs import OURS
from autoscaler.place import Place

MANAGED = f"{OURS}managed"
"""On a namespace it is a label; on a Deployment, an annotation."""
SERVICE = f"{OURS}service"
"""Name of the Service in front of the Deployment; absent: that of the Deployment."""

ANNOTATIONS: Mapping[str, str] = MappingProxyType(
    {f"{OURS}{name}": name for name in LIVE}
)
"""Every setting under its own name, beside the annotations that Knative has."""

_INFERENCE_SERVICE = "InferenceService"
_SHORT = 80


def read(deployment: Deployment, defaults: SpecDefaults, overrides: Overrides) -> Sheet:
    """Read what *deployment* says of itself; nothing, if it says nothing of us."""
    meta = deployment.meta
    wish = meta.annotations.get(MANAGED)
    owned = meta.owner is not None and meta.owner.kind == _INFERENCE_SERVICE
    # KServe copies an InferenceService's annotations to its Deployments.
    if wish is None or owned or meta.deleting:
        return Sheet()
    about = reference(deployment)
    if wish.strip().lower() not in ("true", "false"):
        finding = Finding(
            about=about,
            reason="Malformed",
            message=f'the annotation {MANAGED} = {wish[:_SHORT]}, must be "true" or '
            '"false"',
            blocks=True,
        )
        return Sheet(findings=(finding,))
    if wish.strip().lower() == "false":
        return Sheet()
    problems: list[Problem] = []
    component = _component(deployment, problems)
    key = RevisionKey(meta.namespace, meta.name)
    component.live = {**component.live, **places(overrides.of(key), problems)}
    scaling, gate = sized(component, defaults)
    piece = Piece(
        name=meta.name,
        service=meta.annotations.get(SERVICE, "").strip() or meta.name,
        scaling=scaling,
        gate=gate,
    )
    said = (*complaints(about, problems), *remarks(about, component.said))
    return Sheet(pieces=(piece,), findings=said)


def _component(deployment: Deployment, problems: list[Problem]) -> Component:
    """Return its annotations as a component's: settings under our names come first."""
    ours = deployment.meta.annotations
    handled = {MANAGED, SERVICE, *ANNOTATIONS}
    rest = {
        key: value
        for key, value in ours.items()
        if key not in handled and key.startswith((*PREFIXES, "serving.knative.dev/"))
    }
    root = Place("", "metadata", tree({"annotations": ours}), problems)
    all_of_them = root.at("annotations")
    live = {
        name: place
        for key, name in ANNOTATIONS.items()
        if all_of_them and (place := all_of_them.at(key)) is not None
    }
    shown = Place("", "metadata", tree({"annotations": rest}), problems)
    return Component(place=shown, metadata=None, live=live)
