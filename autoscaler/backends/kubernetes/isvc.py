"""One InferenceService -> the Deployments it means, by KServe's names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from autoscaler.backends.kubernetes.consent import consent
from autoscaler.backends.kubernetes.facts import InferenceService
from autoscaler.backends.kubernetes.managed import Finding, reference
from autoscaler.backends.kubernetes.overrides import Overrides, places
from autoscaler.backends.kubernetes.piece import Piece, Sheet
from autoscaler.backends.kubernetes.remarks import complaints, malformed, remarks
from autoscaler.backends.kubernetes.tree import Shape, tree
from autoscaler.component import Component, Said, SpecDefaults, settings
from autoscaler.container import model_name
from autoscaler.core.domain import GateSpec, RevisionKey, ScalingSpec
from autoscaler.errors import Problem
from autoscaler.fields import LIFTED
from autoscaler.parts import OLD
from autoscaler.place import Place
from autoscaler.service import EXPLAINER, PREDICTOR, TRANSFORMER

MOST_REPLICAS = (1 << 31) - 1

_NUMBERS = (
    "minReplicas",
    "maxReplicas",
    "scaleTarget",
    "containerConcurrency",
    "timeout",
)
_MODEL: Shape = {"protocolVersion": None, "args": None}
_LIFTED = dict.fromkeys(LIFTED)
_COMPONENT: Shape = {
    **_LIFTED,
    "name": None,
    "annotations": None,
    "workerSpec": {},
    "model": _MODEL,
    **dict.fromkeys(OLD, _MODEL),
    "containers": _MODEL,
}
SPEC: Shape = {
    **_LIFTED,
    "suspend": None,
    PREDICTOR: _COMPONENT,
    TRANSFORMER: _COMPONENT,
    EXPLAINER: _COMPONENT,
    "canary": {"trafficPercent": None, PREDICTOR: _COMPONENT},
}
"""What is read of a spec, here and for consent; nothing else of it is kept."""
_KNOWN_PROTOCOLS = ("v1", "v2")


def read(isvc: InferenceService, defaults: SpecDefaults, overrides: Overrides) -> Sheet:
    """Read *isvc*; if one of its fields is malformed, hands off all of it."""
    agreed = consent(isvc)
    opted = agreed.components or agreed.waits
    if not opted:
        return Sheet(findings=agreed.findings)
    reader = _Reader(isvc, defaults, overrides, opted)
    pieces = tuple(reader.pieces())
    about = reference(isvc)
    wrong = [each for each in reader.problems if malformed(each)]
    if agreed.waits:
        findings = (*agreed.findings, *complaints(about, wrong))
        return Sheet(findings=findings)
    if wrong:
        pieces = ()
    return Sheet(
        pieces=pieces,
        findings=(
            *agreed.findings,
            *complaints(about, reader.problems),
            *reader.findings,
            *remarks(about, reader.said),
        ),
    )


@dataclass(slots=True)
class _Reader:
    isvc: InferenceService
    defaults: SpecDefaults
    overrides: Overrides
    opted: frozenset[str]
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    def pieces(self) -> Iterator[Piece]:
        spec = Place("", "spec", tree(self.isvc.spec), self.problems)
        predictor = spec.at(PREDICTOR)
        if predictor is None:
            spec.lacks(PREDICTOR, "is missing")
            return
        yield from self._predictors(spec, predictor)
        for kind in (TRANSFORMER, EXPLAINER):
            place = spec.at(kind)
            if place is not None:
                component = self._component(place)
                self._canary_percent(component)
                yield self._piece(component, kind, f"{self.isvc.meta.name}-{kind}")

    def _predictors(self, spec: Place, predictor: Place) -> Iterator[Piece]:
        component = self._component(predictor, spec=spec)
        self._canary_percent(component)
        if (workers := predictor.at("workerSpec")) is not None:
            workers.bad(
                "is not served by this version: KServe wants the class none for it"
            )
        stable = self._piece(component, PREDICTOR, self._base(predictor))
        listed = spec.at("canary")
        names = {stable.name}
        variants = []
        for each in listed.each() if listed else ():
            variant = self._variant(each, predictor, stable)
            if variant is None:
                continue
            if variant.name in names:
                each.bad("has the predictor.name of another variant, must have its own")
            names.add(variant.name)
            variants.append(variant)
        left = 100.0 - sum(each.share for each in variants)
        if left < 0 and listed is not None:
            listed.bad(f"has trafficPercent of {100 - left:g} % in all, must be ≤ 100")
        yield replace(stable, share=max(left, 0.0))
        yield from variants

    def _variant(self, place: Place, stable: Place, first: Piece) -> Piece | None:
        inside = place.at(PREDICTOR)
        percent_at = place.at("trafficPercent")
        percent = (percent_at.whole(0, 100) if percent_at else None) or 0
        name_at = inside.at("name") if inside else None
        if inside is None or name_at is None:
            place.lacks(f"{PREDICTOR}.name", "is missing")
            return None
        component = self._component(inside, stable=stable)
        piece = self._piece(component, PREDICTOR, self._base(inside))
        low = piece.scaling.min_replicas
        if inside.at("minReplicas") is None and "min-replicas" not in component.live:
            # As KServe does: the share of the stable's, not all of them once more.
            low = math.ceil(first.scaling.min_replicas * percent / 100)
        scaling = replace(piece.scaling, min_replicas=low)
        return replace(piece, scaling=scaling, share=float(percent), canary=True)

    def _base(self, predictor: Place) -> str:
        name_at = predictor.at("name")
        name = name_at.text() if name_at else None
        whole = self.isvc.meta.name
        return f"{whole}-{name}-{PREDICTOR}" if name else f"{whole}-{PREDICTOR}"

    def _component(
        self, place: Place, *, spec: Place | None = None, stable: Place | None = None
    ) -> Component:
        annotations = tree({"annotations": self.isvc.meta.annotations})
        return Component(
            place=place,
            metadata=Place("", "metadata", annotations, self.problems),
            spec=spec,
            stable=stable,
            said=self.said,
        )

    def _piece(self, component: Component, kind: str, name: str) -> Piece:
        place = component.place
        key = RevisionKey(self.isvc.meta.namespace, name)
        component.live = places(self.overrides.of(key), self.problems)
        for number in _NUMBERS:
            if (found := component.at(number)) is None:
                continue
            if isinstance(found.node.data, str):
                # It would do for settings(), but KServe cannot read it.
                found.bad("is text, must be a whole number")
            else:
                found.whole(0, MOST_REPLICAS)
        scaling, gate = sized(component, self.defaults)
        protocol, called = _model(place)
        return Piece(
            name=name,
            service=name,
            component=kind,
            opted=kind in self.opted,
            scaling=scaling,
            gate=gate,
            protocol=protocol,
            model=called,
        )

    def _canary_percent(self, component: Component) -> None:
        place = component.at("canaryTrafficPercent")
        if place is None:
            return
        self.findings.append(
            Finding(
                about=reference(self.isvc),
                reason="CanaryTrafficPercent",
                message=f"{place.path} is ignored by KServe in Standard mode: write "
                "the new version under spec.canary[], with a predictor.name and a "
                "trafficPercent",
            )
        )


def sized(component: Component, defaults: SpecDefaults) -> tuple[ScalingSpec, GateSpec]:
    """Return the settings of *component*, with counts that a Deployment can have."""
    scaling, gate = settings(component, defaults)
    low, high = scaling.min_replicas, scaling.max_replicas
    if max(low, high) > MOST_REPLICAS:
        component.warn(f"bounds of {low} to {high} replicas are cut at 2³¹ - 1", 0)
        scaling = replace(
            scaling,
            min_replicas=min(low, MOST_REPLICAS),
            max_replicas=min(high, MOST_REPLICAS),
        )
    return scaling, gate


def _model(place: Place) -> tuple[str, str]:
    """Return the protocol that its model speaks and what its arguments call it."""
    for name in ("model", *OLD):
        if (model := place.at(name)) is not None:
            return _spoken(model)
    listed = place.at("containers")
    containers = list(listed.each()) if listed else []
    return _spoken(containers[0]) if containers else ("", "")


def _spoken(place: Place) -> tuple[str, str]:
    protocol_at, args_at = place.at("protocolVersion"), place.at("args")
    protocol = protocol_at.text() if protocol_at else None
    args = [each.text() or "" for each in (args_at.each() if args_at else ())]
    return (protocol if protocol in _KNOWN_PROTOCOLS else "") or "", model_name(args)
