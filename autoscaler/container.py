"""The layers of one container -> how it is started, asked whether it is ready, sized.

A runtime's container is the first layer; what an InferenceService says of its model is
laid over it as KServe does: arguments are added, environment and resources are merged
by name, the rest is replaced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler import quantity
from autoscaler.backends.base import Launch, Requested
from autoscaler.component import Component
from autoscaler.core.domain import Needs
from autoscaler.place import Place

GPU = "nvidia.com/gpu"
_LIMITS_FIRST = ("limits", "requests")
_REQUESTS_FIRST = ("requests", "limits")  # As Kubernetes fills in what is left out.
_PORT = 8080  # What KServe takes where a container names no port.
_FIELD = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_MAP = re.compile(
    r"(?:\.(?P<dotted>Labels|Annotations)\.(?P<name>\w+)"
    r"|index \.(?P<indexed>Labels|Annotations) \"(?P<key>[^\"]+)\")"
)
_MODEL_NAME = re.compile(
    r"--(?:model[_-]name|served[_-]model[_-]name|alias)(?:=(?P<value>\S+))?"
)
_PORT_OPTION = (
    r"(--?[\w-]*port[\w-]*(?:=|\s+)"
    r"|(?<![\w.])(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]|\*)?:)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What `{{.Name}}` and its like stand for."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A container, or what is laid over one."""

    place: Place
    directory: str
    """Where relative paths in it begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container, read."""

    launch: Launch
    """As the documents have it: what is filled in at a start is left as it is."""
    ready_path: str
    """Of its readinessProbe; empty: it has none that can be asked by HTTP GET."""
    model_name: str
    """Name of the model as its arguments say; empty: they do not."""
    storage_uri: str
    """STORAGE_URI of its environment; empty: not there."""


def read(layers: Sequence[Layer], identity: Identity, owner: Component) -> Container:
    """Read the container that *layers* are; what is wrong is complained of."""
    command: tuple[str, ...] = ()
    args: list[str] = []
    env: dict[str, str] = {}
    cwd = ""
    for layer in layers:
        said = _texts(layer.place.at("command"), identity)
        command = said or command
        args += _texts(layer.place.at("args"), identity)
        env |= dict(_env(layer.place.at("env"), identity, owner))
        cwd = _cwd(layer) or cwd
    storage_uri = env.pop("STORAGE_URI", "")
    launch = Launch(
        command=(*command, *args) if command else (),
        env=tuple(env.items()),
        cwd=cwd or layers[0].directory,
        needs=_needs(layers, owner),
        requested=_requested(layers),
    )
    return Container(
        launch=_ported(launch, _declared_port(layers)),
        ready_path=_ready_path(layers, identity, owner),
        model_name=model_name(launch.command),
        storage_uri=storage_uri,
    )


def filled(place: Place, text: str, identity: Identity) -> str:
    """Return *text* with its `{{…}}` filled in, as KServe's Go templates are."""

    def value(found: re.Match[str]) -> str:
        field = found[1]
        if field == ".Name":
            return identity.name
        if field == ".Namespace":
            return identity.namespace
        if its := _MAP.fullmatch(field):
            labels = (its["dotted"] or its["indexed"]) == "Labels"
            known = identity.labels if labels else identity.annotations
            return known.get(its["name"] or its["key"], "")
        place.bad(
            f"has {found[0]}, must be one of {{{{.Name}}}}, {{{{.Namespace}}}}, "
            "{{.Labels.x}}, {{.Annotations.x}}"
        )
        return found[0]

    return _FIELD.sub(value, text)


def _texts(place: Place | None, identity: Identity) -> tuple[str, ...]:
    return tuple(
        filled(each, text, identity)
        for each in (place.each() if place else ())
        if (text := each.text()) is not None
    )


def _env(
    place: Place | None, identity: Identity, owner: Component
) -> list[tuple[str, str]]:
    found = []
    for each in place.each() if place else ():
        name_at, value_at = each.at("name"), each.at("value")
        name = name_at.text() if name_at else None
        if name is None or name_at is None:
            if name_at is None:
                each.lacks("name", "is missing")
            continue
        if "=" in name or not name.isprintable():
            name_at.bad("must be the name of a variable")
        elif value_at is not None:
            if (text := value_at.text()) is not None:
                found.append((name, filled(value_at, text, identity)))
        elif source := each.at("valueFrom"):
            value = _from_field(source, identity)
            if value is not None:
                found.append((name, value))
            else:
                owner.warn(
                    f"{name} comes from {next(iter(_names(source)), 'nowhere')}, which "
                    "is not here: set it in the environment that fromzero runs in",
                    each.line,
                )
        else:
            found.append((name, ""))
    return found


def _names(place: Place) -> list[str]:
    words = {
        "secretKeyRef": "a Secret",
        "configMapKeyRef": "a ConfigMap",
        "resourceFieldRef": "the container's resources",
        "fieldRef": "a field of its pod",
    }
    return [words.get(name, name) for name, _ in place.items()]


def _from_field(source: Place, identity: Identity) -> str | None:
    path_at = source.at("fieldRef", "fieldPath")
    match path_at.text() if path_at else None:
        case "metadata.namespace":
            return identity.namespace
        case "status.podIP" | "status.hostIP":
            return "127.0.0.1"
        case _:
            return None


def _cwd(layer: Layer) -> str:
    place = layer.place.at("workingDir")
    text = place.text() if place else None
    return os.path.join(layer.directory, text) if text else ""


def _needs(layers: Sequence[Layer], owner: Component) -> Needs:
    size = _bytes(_resource(layers, "memory", _LIMITS_FIRST))
    gpus = _resource(layers, GPU, _LIMITS_FIRST)
    count = 0
    if gpus is not None:
        text = gpus.anything()
        amount = quantity.amount(text) if text is not None else None
        if text is not None and (amount is None or amount != int(amount)):
            gpus.bad("must be a whole number of GPUs")
        count = int(amount or 0)
    if not size:
        owner.note(
            "resources has no memory, so a replica counts as nothing against --memory"
        )
    return Needs(memory=size, gpus=count)


def _requested(layers: Sequence[Layer]) -> Requested:
    cores = 0.0
    if (cpu := _resource(layers, "cpu", _REQUESTS_FIRST)) is not None:
        text = cpu.anything()
        found = quantity.amount(text) if text is not None else None
        if text is not None and found is None:
            cpu.bad("must be an amount of cores such as 500m")
        cores = float(found or 0)
    memory = _bytes(_resource(layers, "memory", _REQUESTS_FIRST))
    return Requested(cpu=cores, memory=memory)


def _bytes(place: Place | None) -> int:
    text = place.anything() if place is not None else None
    found = quantity.whole_bytes(text) if text is not None else 0
    if found is None and place is not None:
        place.bad("must be an amount of memory such as 512Mi")
    return found or 0


def _resource(
    layers: Sequence[Layer], name: str, kinds: tuple[str, str]
) -> Place | None:
    """Return where *name* is said last, in the first of *kinds* that has it."""
    for kind in kinds:
        for layer in reversed(layers):
            amounts = layer.place.at("resources", kind)
            if amounts is not None and (found := amounts.at(name)) is not None:
                return found
    return None


def _declared_port(layers: Sequence[Layer]) -> int:
    """Return the first containerPort; 0: none is named, so $PORT is heeded."""
    for layer in reversed(layers):
        ports = layer.place.at("ports")
        for each in ports.each() if ports else ():
            place = each.at("containerPort")
            found = place.whole(1, 65535) if place else None
            if found is not None:
                return found
    return 0


def _ported(launch: Launch, declared: int) -> Launch:
    """Return *launch* with a port of its own, or with the only one it can use."""
    texts = (*launch.command, *(value for _, value in launch.env))
    if any(re.search(r"\$\(PORT\)|\$\{?PORT\b", each) for each in texts):
        return launch
    moved = moved_port(launch.command, declared or _PORT)
    if moved != launch.command:
        return replace(launch, command=moved)
    return replace(launch, port=declared)


def moved_port(command: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Return *command* with $(PORT) where an option says *port*.

    >>> moved_port(("serve", "--http_port=8080", "--size", "8080"), 8080)
    ('serve', '--http_port=$(PORT)', '--size', '8080')
    >>> moved_port(("serve", "--port", "8080", "--at", "[::]:8080"), 8080)
    ('serve', '--port', '$(PORT)', '--at', '[::]:$(PORT)')
    """
    option = re.compile(rf"{_PORT_OPTION}{port}(?![\w.])")
    found = []
    before = ""
    for each in command:
        if each == str(port) and re.fullmatch(r"-p|--?[\w-]*port[\w-]*", before):
            found.append("$(PORT)")
        else:
            found.append(option.sub(r"\1$(PORT)", each))
        before = each
    return tuple(found)


def _ready_path(layers: Sequence[Layer], identity: Identity, owner: Component) -> str:
    for layer in reversed(layers):
        probe = layer.place.at("readinessProbe")
        if probe is None:
            continue
        place = probe.at("httpGet", "path") if probe.at("httpGet") else None
        path = place.text() if place else None
        if place is None or path is None:
            if probe.at("exec") or probe.at("grpc"):
                owner.note(
                    f"{probe.path} is not run here: a replica that listens is ready",
                    probe.line,
                )
            return ""
        return filled(place, path if path.startswith("/") else f"/{path}", identity)
    return ""


def model_name(command: Sequence[str]) -> str:
    """Return what arguments call the model; empty: they do not say."""
    for at, each in enumerate(command):
        if found := _MODEL_NAME.fullmatch(each):
            value = found["value"]
            if value is None and at + 1 < len(command):
                value = command[at + 1]
            return value or ""
    return ""
