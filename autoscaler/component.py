"""A component's fields and annotations -> how its revisions scale and hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.core.domain import GateSpec, Metric, ScalingSpec
from autoscaler.core.target import TargetDefaults, target
from autoscaler.fields import LIFTED, nearest
from autoscaler.knob import Knob, Value, held, parse
from autoscaler.knobs import KNATIVE, KNOBS, OURS
from autoscaler.notes import Level
from autoscaler.place import Place

PREFIXES = (KNATIVE, OURS)
_CLASS = f"{KNATIVE}class"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecDefaults:
    """What holds where a document says nothing.

    On one machine every request comes through the activator and a wake is cheap to
    ask for: revisions are born asleep, and nothing must be waited for before zero.
    """

    scaling: ScalingSpec = field(
        default_factory=lambda: ScalingSpec(initial_scale=0, grace_s=0.0)
    )
    gate: GateSpec = field(default_factory=GateSpec)
    target: TargetDefaults = field(default_factory=TargetDefaults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A remark on a component."""

    text: str
    line: int = 0
    level: Level = Level.NOTE


@dataclass(slots=True)
class Component:
    """Where one component's settings are read from: itself, then its service."""

    place: Place
    """The predictor, transformer or explainer."""
    metadata: Place | None
    """Of the InferenceService, for its annotations."""
    spec: Place | None = None
    """The spec around it, where some guides print its fields."""
    stable: Place | None = None
    """What this is a canary of: its fields count where this has none."""
    said: list[Said] = field(default_factory=list)
    live: Mapping[str, Place] = field(default_factory=dict)
    """Places by the names of settings: what is said of one revision wins over all."""

    def at(self, name: str) -> Place | None:
        """Return the field *name*, which guides also print at `spec` level."""
        own = self.place.at(name)
        if own is None and self.stable is not None:
            own = self.stable.at(name)
        if own is not None or self.spec is None or name not in LIFTED:
            return own
        lifted = self.spec.at(name)
        if lifted is not None:
            self.warn(
                f"{lifted.path} is read as {self.place.path}.{name}: KServe ignores it "
                "where it stands",
                lifted.line,
            )
        return lifted

    def annotation(self, *names: str) -> Place | None:
        """Return the first of these annotations; the component's own win."""
        for where in (self.place, self.metadata):
            its = where.at("annotations") if where else None
            for name in names if its else ():
                found = its.at(name) if its else None
                if found is not None:
                    return found
        return None

    def warn(self, text: str, line: int) -> None:
        """Remark on what is probably not meant."""
        self.said.append(Said(text=text, line=line, level=Level.WARNING))

    def note(self, text: str, line: int = 0) -> None:
        """Remark on what is good to know."""
        self.said.append(Said(text=text, line=line or self.place.line))


def settings(
    component: Component, defaults: SpecDefaults
) -> tuple[ScalingSpec, GateSpec]:
    """Return a component's settings; what is wrong is complained of, and left out."""
    values: dict[str, Value] = {}
    places: dict[str, Place] = {}
    for knob in KNOBS.values():
        if (place := _where(component, knob)) is not None:
            text = place.anything()
            if text is None:
                continue
            value = parse(knob, text)
            if value is None:
                place.bad(knob.rule)
            else:
                values[knob.name], places[knob.name] = value, place
    _strangers(component)
    scaling = replace(defaults.scaling, **_fields("scaling", values))
    gate = replace(defaults.gate, **_fields("gate", values))
    scaling = _bounded(component, scaling, values, places)
    used = scaling.metric in (Metric.CPU, Metric.MEMORY)
    if used and not 1 <= float(values.get("target", 1)) <= 100:
        places["target"].bad(f"must be a % in [1, 100] for {scaling.metric}")
    found = target(
        scaling.metric,
        container_concurrency=gate.container_concurrency,
        wanted=_number(values, "target"),
        utilization_percentage=_number(values, "target-utilization-percentage"),
        defaults=defaults.target,
    )
    scaling = replace(
        scaling, total_value=found.total, target_utilization=found.utilization
    )
    return scaling, gate


def _where(component: Component, knob: Knob) -> Place | None:
    if (live := component.live.get(knob.name)) is not None:
        return live
    annotated = component.annotation(*knob.annotations)
    own = component.at(knob.document) if knob.document else None
    if own is None:
        return annotated
    if annotated is not None and own.node.data != annotated.node.data:
        component.note(f"{own.path} wins over {annotated.path}", annotated.line)
    return own


def _fields(of: str, values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        KNOBS[name].field: held(KNOBS[name], value)
        for name, value in values.items()
        if KNOBS[name].of == of
    }


def _number(values: Mapping[str, Value], name: str) -> float | None:
    return float(values[name]) if name in values else None


def _bounded(
    component: Component,
    scaling: ScalingSpec,
    values: Mapping[str, Value],
    places: Mapping[str, Place],
) -> ScalingSpec:
    """Return *scaling* with its bounds, which depend on each other."""
    low = scaling.min_replicas
    if "max-replicas" not in values:
        high = max(low, 1)
    else:
        place = places["max-replicas"]
        high = int(values["max-replicas"])
        if high == 0 and place.path.endswith(".maxReplicas"):
            high = max(low, 1)  # KServe takes 0 for unset; Knative for no bound.
        elif 0 < high < low:
            place.bad(f"must be at least minReplicas, which is {low}")
            high = low
    if "min-replicas" not in values and low > 0:
        component.note(
            f"minReplicas is not set, so it is {low} and never sleeps: set 0"
        )
    activation = scaling.activation_scale
    if activation > 1 and high and activation > high:
        if "activation-scale" in places:
            places["activation-scale"].bad(f"must be at most maxReplicas, {high}")
        activation = high
    return replace(scaling, max_replicas=high, activation_scale=activation)


def _strangers(component: Component) -> None:
    """Remark on annotations under our prefixes that nothing reads."""
    known = {name for knob in KNOBS.values() for name in knob.annotations}
    for key, place in _annotations(component):
        if not key.startswith(PREFIXES) or key in known:
            continue
        if key == _CLASS:
            wanted = place.anything() or ""
            if not wanted.startswith(("kpa.", "hpa.")):
                component.warn(f"{key} is {wanted}: not known here", place.line)
            continue
        near = nearest(key, known)
        meant = f": did you mean {near}?" if near else ": nothing reads it"
        component.warn(f"{key} is not an annotation known here{meant}", place.line)


def _annotations(component: Component) -> Iterator[tuple[str, Place]]:
    for where in (component.place, component.metadata):
        its = where.at("annotations") if where else None
        if its is not None:
            yield from its.items()
