"""One InferenceService -> its pieces: predictor, variants, transformer, explainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler import parts
from autoscaler.component import Component, Said, SpecDefaults
from autoscaler.container import Identity
from autoscaler.documents import Document
from autoscaler.notes import Level
from autoscaler.parts import Part, Surroundings
from autoscaler.place import Place
from autoscaler.runtimes import Runtime

PREDICTOR, TRANSFORMER, EXPLAINER = "predictor", "transformer", "explainer"

_KSERVE = "serving.kserve.io/"
_MODES = ("Standard", "Knative", "RawDeployment", "Serverless", "ModelMesh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What services are read against."""

    runtimes: Sequence[Runtime]
    defaults: SpecDefaults
    grace_s: float
    activator: str
    """Where a transformer finds the activator, as its arguments have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One component, or one variant of the predictor."""

    component: str
    base: str
    """Name of its revisions, without their number."""
    part: Part
    share: float = 100.0
    """Of the component's requests, in %, before `canary` divides it."""
    canary: float | None = None
    """canaryTrafficPercent: the newest version's share of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An InferenceService, read."""

    document: Document
    pieces: tuple[Piece, ...] = ()
    """Empty: it is not served; what was said tells why."""
    said: tuple[Said, ...] = ()

    @property
    def name(self) -> str:
        """Return namespace/name."""
        return f"{self.document.namespace}/{self.document.name}"


@dataclass(slots=True)
class _Reader:
    document: Document
    reading: Reading
    spec: Place
    said: list[Said] = field(default_factory=list)

    def component(
        self, place: Place, spec: Place | None = None, stable: Place | None = None
    ) -> Component:
        return Component(
            place=place,
            metadata=self.document.metadata,
            spec=spec,
            stable=stable,
            said=self.said,
        )

    def part(self, component: Component, predictor: str = "") -> Part | None:
        document, reading = self.document, self.reading
        around = Surroundings(
            identity=_identity(document),
            directory=document.directory,
            runtimes=reading.runtimes,
            defaults=reading.defaults,
            grace_s=reading.grace_s,
            predictor=predictor,
        )
        return parts.read(component, around)

    def pieces(self) -> Iterator[Piece]:
        predictor = self.spec.at(PREDICTOR)
        if predictor is None:
            self.spec.lacks(PREDICTOR, "is missing")
            return
        yield from self._predictors(predictor)
        document = self.document
        # By path: on one machine the name of a Service resolves to nothing.
        host = (
            f"{self.reading.activator}/serving/{document.namespace}"
            f"/{document.name}-{PREDICTOR}"
        )
        for kind in (TRANSFORMER, EXPLAINER):
            place = self.spec.at(kind)
            part = self.part(self.component(place), host) if place else None
            if part is not None and place is not None:
                base = f"{document.name}-{kind}"
                canary = _canary(self.component(place))
                yield Piece(component=kind, base=base, part=part, canary=canary)

    def _predictors(self, place: Place) -> Iterator[Piece]:
        component = self.component(place, spec=self.spec)
        part = self.part(component)
        canary = _canary(component)
        listed = self.spec.at("canary")
        variants = list(listed.each()) if listed else []
        if variants and canary is not None:
            variants[0].bad("cannot be beside canaryTrafficPercent: use one of them")
        name_at = place.at("name")
        names = {name_at.text() if name_at else None}
        left = 100.0
        found = []
        for each in variants:
            piece = self._variant(each, place, names)
            if piece is not None:
                left -= piece.share
                found.append(piece)
        if left < 0 and listed is not None:
            listed.bad(f"has trafficPercent of {100 - left:g} % in all, at most 100")
        if part is not None:
            base = _base(self.document.name, place)
            share = max(left, 0.0)
            yield Piece(
                component=PREDICTOR, base=base, part=part, share=share, canary=canary
            )
        yield from found

    def _variant(
        self, place: Place, stable: Place, names: set[str | None]
    ) -> Piece | None:
        inside = place.at(PREDICTOR)
        percent_at = place.at("trafficPercent")
        percent = percent_at.whole(0, 100) if percent_at else 0
        name_at = inside.at("name") if inside else None
        if inside is None or name_at is None:
            place.lacks(f"{PREDICTOR}.name", "is missing")
            return None
        name = name_at.text()
        if name is not None and name in names:
            name_at.bad("is the name of another variant: give each its own")
        names.add(name)
        for field_name in ("maxReplicas", "scaleTarget", "scaleMetric"):
            if (own := inside.at(field_name)) is not None:
                own.bad("is the stable predictor's to say: leave it out here")
        part = self.part(self.component(inside, stable=stable))
        if part is None:
            return None
        base = _base(self.document.name, inside)
        return Piece(
            component=PREDICTOR, base=base, part=part, share=float(percent or 0)
        )


def read(document: Document, reading: Reading) -> Service:
    """Read a service; what is wrong is complained of in its document's problems."""
    spec = document.root.at("spec")
    assert spec is not None
    reader = _Reader(document, reading, spec)
    refusal = _refusal(document)
    pieces = () if refusal else tuple(reader.pieces())
    said = (refusal,) if refusal else tuple(dict.fromkeys(reader.said))
    return Service(document=document, pieces=pieces, said=said)


def _refusal(document: Document) -> Said | None:
    """Return why a service that is written well is not served."""
    its = document.metadata.at("annotations") if document.metadata else None
    mode_at = its.at(f"{_KSERVE}deploymentMode") if its else None
    mode = mode_at.one_of(_MODES) if mode_at else None
    if mode_at is not None and mode == "ModelMesh":
        return Said(
            text="ModelMesh: not served by this version; without the annotation "
            f"{_KSERVE}deploymentMode it has a server of its own",
            line=mode_at.line,
            level=Level.PROBLEM,
        )
    stop_at = its.at(f"{_KSERVE}stop") if its else None
    if stop_at is not None and (stop_at.anything() or "").lower() == "true":
        return Said(
            text=f"stopped by the annotation {_KSERVE}stop: not served",
            line=stop_at.line,
        )
    return None


def _identity(document: Document) -> Identity:
    return Identity(
        name=document.name,
        namespace=document.namespace,
        labels=_texts(document.root.at("metadata", "labels")),
        annotations=_texts(document.root.at("metadata", "annotations")),
    )


def _texts(place: Place | None) -> Mapping[str, str]:
    return {
        name: each.anything() or "" for name, each in (place.items() if place else ())
    }


def _base(service: str, predictor: Place) -> str:
    name_at = predictor.at("name")
    name = name_at.text() if name_at else None
    return f"{service}-{name}-{PREDICTOR}" if name else f"{service}-{PREDICTOR}"


def _canary(component: Component) -> float | None:
    place = component.at("canaryTrafficPercent")
    found = place.whole(0, 100) if place else None
    return None if found is None else float(found)
