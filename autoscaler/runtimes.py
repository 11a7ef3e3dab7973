"""Which ServingRuntime serves a model, chosen as KServe chooses.

One that is named is looked for in the service's namespace, then in the cluster. Else
those that may be selected: of the namespace before those of the cluster, higher
priority first. What ships with fromzero comes after all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.component import Component
from autoscaler.documents import Document
from autoscaler.errors import Problem
from autoscaler.fields import nearest
from autoscaler.place import Place

_PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")
_LOWEST = -(1 << 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One entry of supportedModelFormats."""

    name: str
    version: str = ""
    selectable: bool = False
    priority: int = _LOWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A ServingRuntime or ClusterServingRuntime, read."""

    document: Document
    formats: tuple[Format, ...]
    protocols: tuple[str, ...]
    """Empty: it says nothing, so it is taken to speak any."""
    disabled: bool = False
    multi_model: bool = False
    workers: Place | None = None
    shipped: bool = False

    @property
    def title(self) -> str:
        """Return it by kind and name."""
        where = self.document
        space = f"{where.namespace}/" if where.namespace else ""
        return f"{where.kind} {space}{where.name}"

    def speaks(self, protocol: str) -> bool:
        """Say whether requests of *protocol* can be sent to it."""
        return not self.protocols or protocol in self.protocols


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a model asks of its runtime."""

    name: str
    version: str = ""
    protocol: str = ""
    """Empty: not said, which is v1."""

    def __str__(self) -> str:
        said = f"{self.name} version {self.version}" if self.version else self.name
        return f"{said} over {self.protocol}" if self.protocol else said


def read(document: Document, *, shipped: bool = False) -> Runtime:
    """Read a runtime's document; what is wrong is complained of in its problems."""
    spec = document.root.at("spec")
    assert spec is not None
    formats_at = spec.at("supportedModelFormats")
    formats = [_format(each) for each in (formats_at.each() if formats_at else ())]
    protocols_at = spec.at("protocolVersions")
    protocols = [
        each.one_of(_PROTOCOLS)
        for each in (protocols_at.each() if protocols_at else ())
    ]
    return Runtime(
        document=document,
        formats=tuple(each for each in formats if each),
        protocols=tuple(each for each in protocols if each),
        disabled=_flag(spec.at("disabled")),
        multi_model=_flag(spec.at("multiModel")),
        workers=spec.at("workerSpec"),
        shipped=shipped,
    )


def _format(place: Place) -> Format | None:
    name_at, version_at = place.at("name"), place.at("version")
    name = name_at.text() if name_at else None
    if name_at is None:
        place.lacks("name", "is missing")
    priority_at = place.at("priority")
    priority = priority_at.whole(1) if priority_at else None
    version = version_at.anything() if version_at else None
    selectable = _flag(place.at("autoSelect"))
    if name is None:
        return None
    return Format(
        name=name,
        version=version or "",
        selectable=selectable,
        priority=_LOWEST if priority is None else priority,
    )


def _flag(place: Place | None) -> bool:
    return bool(place.flag()) if place else False


def supports(runtime: Runtime, wish: Wish, *, named: bool) -> Format | None:
    """Return the format of *runtime* that fits, of the highest priority."""
    fits = [
        each
        for each in runtime.formats
        if (named or each.selectable)
        and each.name == wish.name
        and (not wish.version or wish.version == each.version)
    ]
    return max(fits, key=lambda each: each.priority, default=None)


def select(runtimes: Sequence[Runtime], wish: Wish, namespace: str) -> Runtime | None:
    """Return the runtime that serves *wish*, which names none; None: none does."""
    for protocol in (wish.protocol,) if wish.protocol else ("v1", ""):
        fits = [
            (runtime, found.priority)
            for runtime in runtimes
            if runtime.document.namespace in ("", namespace)
            and not runtime.disabled
            and not runtime.multi_model
            and (not protocol or runtime.speaks(protocol))
            and (found := supports(runtime, wish, named=False))
        ]
        if fits:
            return min(fits, key=lambda each: (*_rank(each[0]), -each[1]))[0]
    return None


def named(runtimes: Sequence[Runtime], name: str, namespace: str) -> Runtime | None:
    """Return the runtime called *name* that a service in *namespace* sees."""
    fits = [
        each
        for each in runtimes
        if each.document.name == name and each.document.namespace in ("", namespace)
    ]
    return min(fits, key=_rank, default=None)


def _rank(runtime: Runtime) -> tuple[bool, bool]:
    return runtime.shipped, not runtime.document.namespace


def choose(
    runtimes: Sequence[Runtime], wish: Wish, owner: Component, model: Place, space: str
) -> Runtime | None:
    """Return the runtime for *model*, or complain and return None."""
    name_at = model.at("runtime")
    if name_at is None:
        return _selected(runtimes, wish, owner, model, space)
    name = name_at.text()
    if name is None:
        return None
    found = named(runtimes, name, space)
    if found is None:
        known = [each.document.name for each in runtimes]
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else "give its file as well"
        name_at.bad(f"is a runtime that no document names: {hint}")
    elif found.disabled:
        name_at.bad("is a runtime that is disabled")
    elif found.multi_model:
        name_at.bad("is a runtime with multiModel: true, which is ModelMesh's")
    elif wish.protocol and not found.speaks(wish.protocol):
        name_at.bad(f"speaks {', '.join(found.protocols)}, not {wish.protocol}")
    elif found.formats and not supports(found, wish, named=True):
        names = ", ".join(dict.fromkeys(each.name for each in found.formats))
        name_at.bad(f"does not support {wish}, only {names}")
    else:
        return found
    return None


def _selected(
    runtimes: Sequence[Runtime], wish: Wish, owner: Component, model: Place, space: str
) -> Runtime | None:
    found = select(runtimes, wish, space)
    format_at = model.at("modelFormat") or model
    if found is None:
        known = sorted(
            {
                each.name
                for runtime in runtimes
                if not runtime.multi_model and not runtime.disabled
                for each in runtime.formats
            }
        )
        model.problems.append(_nobody(format_at, wish, known))
        return None
    if not wish.protocol and not found.speaks("v1"):
        owner.note(
            f"protocolVersion is not set and {found.document.name} speaks "
            f"{', '.join(found.protocols)}: in a cluster, KServe wants it said",
            format_at.line,
        )
    return found


def _nobody(place: Place, wish: Wish, known: Sequence[str]) -> Problem:
    return Problem(
        file=place.file,
        line=place.line,
        field=place.path,
        value=str(wish),
        rule="is served by no runtime that may be selected; name one in "
        f"model.runtime or give a ServingRuntime (known: {', '.join(known)})",
    )
