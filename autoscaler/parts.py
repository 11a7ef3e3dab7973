"""A predictor, transformer or explainer -> what is launched, and how it scales."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler import container, runtimes
from autoscaler.backends.base import Launch
from autoscaler.component import Component, Said, SpecDefaults, settings
from autoscaler.container import Identity, Layer
from autoscaler.core.domain import GateSpec, Metric, Probe, ScalingSpec
from autoscaler.notes import Level
from autoscaler.place import Place
from autoscaler.runtimes import Runtime, Wish
from autoscaler.storage_uri import absolute
from autoscaler.versions import Made

OLD = (
    "sklearn",
    "xgboost",
    "tensorflow",
    "pytorch",
    "triton",
    "onnx",
    "huggingface",
    "pmml",
    "lightgbm",
    "paddle",
)
"""Fields of a predictor that mean `model` with a modelFormat of that name."""

OWN = "its own command"
"""The runtime, in words, of who brings none."""
_PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")
_MLSERVER = {
    "sklearn": "mlserver_sklearn.SKLearnModel",
    "xgboost": "mlserver_xgboost.XGBoostModel",
    "lightgbm": "mlserver_lightgbm.LightGBMModel",
    "mlflow": "mlserver_mlflow.MLflowRuntime",
    "catboost": "mlserver_catboost.CatboostModel",
}
"""What KServe puts into the label modelClass, which MLServer's runtime asks for."""

_NOT_RUN = {
    "batcher": "requests go on one by one",
    "logger": "requests are not logged elsewhere",
    "initContainers": "prepare by hand what they prepare",
    "autoScaling": "use scaleMetric and scaleTarget",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a component is read against."""

    identity: Identity
    directory: str
    runtimes: Sequence[Runtime]
    defaults: SpecDefaults
    grace_s: float
    predictor: str = ""
    """Where a transformer or explainer reaches the predictor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component as the document says it."""

    made: Made
    scaling: ScalingSpec
    gate: GateSpec
    models: tuple[str, ...] = ()
    """Names by which its arguments call the model."""


def read(component: Component, around: Surroundings) -> Part | None:
    """Return the component; None: something is wrong, and was complained of."""
    place, problems = component.place, component.place.problems
    before = len(problems)
    scaling, gate = settings(component, around.defaults)
    for name, instead in _NOT_RUN.items():
        if (found := place.at(name)) is not None:
            component.warn(f"{found.path} is not run here: {instead}", found.line)
    if (workers := place.at("workerSpec")) is not None:
        workers.bad("is not served by this version: a model runs on one machine here")
    made, names = _made(component, around)
    if made is None or len(problems) > before:
        return None
    made = replace(made, launch=replace(made.launch, grace_s=_grace(place, around)))
    component.said += _unscaled(scaling, made.launch, place)
    if made.launch.port and scaling.max_replicas != 1:
        most = f", not {scaling.max_replicas}" if scaling.max_replicas else ""
        component.note(
            f"its port {made.launch.port} is fixed, so it has 1 replica at most{most}: "
            "$(PORT) in the arguments of its container allows more"
        )
        low = min(scaling.min_replicas, 1)
        scaling = replace(scaling, min_replicas=low, max_replicas=1, activation_scale=1)
    return Part(made=made, scaling=scaling, gate=gate, models=names)


def _unscaled(scaling: ScalingSpec, launch: Launch, place: Place) -> Iterator[Said]:
    """Say what use cannot be a share of."""
    metric, requested = scaling.metric, launch.requested
    if (metric is Metric.CPU and not requested.cpu) or (
        metric is Metric.MEMORY and not requested.memory
    ):
        yield Said(
            text=f"scaleMetric {metric} needs resources.requests.{metric}: "
            "it scales by use in % of the request",
            line=place.line,
            level=Level.PROBLEM,
        )


def _grace(place: Place, around: Surroundings) -> float:
    grace_at = place.at("terminationGracePeriodSeconds")
    grace = grace_at.whole(0) if grace_at else None
    return around.grace_s if grace is None else float(grace)


def _made(
    component: Component, around: Surroundings
) -> tuple[Made | None, tuple[str, ...]]:
    place = component.place
    models = [(name, at) for name in ("model", *OLD) if (at := place.at(name))]
    if len(models) > 1:
        models[1][1].bad(f"is a second model beside {models[0][0]}: leave one")
        return None, ()
    if models:
        return _of_model(component, around, *models[0])
    if (art := place.at("art")) is not None:
        art.bad("is not served by this version; give the containers of an explainer")
        return None, ()
    if place.at("containers") is None:
        place.lacks("model", "is missing, and so is containers: write one of them")
        return None, ()
    return _of_containers(component, around)


def _of_model(
    component: Component, around: Surroundings, name: str, model: Place
) -> tuple[Made | None, tuple[str, ...]]:
    wish = _wish(name, model)
    space = around.identity.namespace
    runtime = (
        runtimes.choose(around.runtimes, wish, component, model, space)
        if wish
        else None
    )
    storage_uri = _storage(component, model, around) or ""
    own = Layer(place=model, directory=around.directory)
    if wish is None or runtime is None:
        container.read((own,), around.identity, component)  # For what is wrong in it.
        return None, ()
    if runtime.workers is not None:
        where = model.at("runtime") or model
        where.bad(f"needs workers ({runtime.title} has a workerSpec): not served here")
        return None, ()
    first = _main(runtime.document.root.at("spec"), component)
    if first is None:
        return None, ()
    directory = around.directory if runtime.shipped else runtime.document.directory
    identity = around.identity
    if wish.name in _MLSERVER:
        labels = {"modelClass": _MLSERVER[wish.name], **identity.labels}
        identity = replace(identity, labels=labels)
    layer = Layer(place=first, directory=directory)
    found = container.read((layer, own), identity, component)
    called = found.model_name or identity.name
    made = Made(
        launch=replace(
            found.launch,
            storage_uri=storage_uri,
            model_mount=_mount(component),
        ),
        probe=asked(found.ready_path, _protocol(wish, runtime), called),
        runtime=f"{runtime.title}{', shipped' if runtime.shipped else ''}",
    )
    if not made.launch.command:
        component.said.append(_imageless(runtime.title, first, model))
    return made, (called,) if called != identity.name else ()


def _imageless(what: str, where: Place, at: Place) -> Said:
    return Said(
        text=f"{what} has no command in its container, and images do not run here: "
        f"write the command ({where.file}:{where.line})",
        line=at.line,
        level=Level.PROBLEM,
    )


def _of_containers(
    component: Component, around: Surroundings
) -> tuple[Made | None, tuple[str, ...]]:
    first = _main(component.place, component)
    if first is None:
        return None, ()
    layers = (Layer(place=first, directory=around.directory),)
    found = container.read(layers, around.identity, component)
    launch = found.launch
    if not launch.command:
        component.said.append(_imageless(first.path, first, first))
    elif around.predictor:
        launch = _introduced(launch, around)
    uri = absolute(found.storage_uri, around.directory) if found.storage_uri else ""
    protocol_at = first.at("protocolVersion")
    protocol = protocol_at.one_of(_PROTOCOLS) if protocol_at else None
    called = found.model_name or around.identity.name
    made = Made(
        launch=replace(
            launch,
            storage_uri=uri or _listed(component, around) or "",
            model_mount=_mount(component),
        ),
        probe=asked(found.ready_path, protocol or "", called),
        runtime=OWN,
    )
    return made, (called,) if called != around.identity.name else ()


def _introduced(launch: Launch, around: Surroundings) -> Launch:
    """Return *launch* with the arguments that KServe adds for a transformer."""
    given = {
        "--model_name": around.identity.name,
        "--predictor_host": around.predictor,
        "--http_port": "$(PORT)",
    }
    said = {each.partition("=")[0] for each in launch.command}
    added = [
        word
        for option, value in given.items()
        if option not in said
        for word in (option, value)
    ]
    return replace(launch, command=(*launch.command, *added), port=0)


def _wish(name: str, model: Place) -> Wish | None:
    protocol_at = model.at("protocolVersion")
    protocol = protocol_at.one_of(_PROTOCOLS) if protocol_at else None
    if protocol_at is not None and protocol is None:
        return None
    if name != "model":
        return Wish(name=name, protocol=protocol or "")
    format_at = model.at("modelFormat")
    name_at = format_at.at("name") if format_at else None
    format_name = name_at.text() if name_at else None
    if name_at is None:
        model.lacks("modelFormat.name", "is missing")
    if format_name is None or format_at is None:
        return None
    version_at = format_at.at("version")
    version = version_at.anything() if version_at else None
    return Wish(name=format_name, version=version or "", protocol=protocol or "")


def _main(spec: Place | None, component: Component) -> Place | None:
    """Return the container that serves, of a runtime or a component."""
    containers_at = spec.at("containers") if spec else None
    found: dict[str, Place] = {}
    for at, each in enumerate(containers_at.each() if containers_at else ()):
        name_at = each.at("name")
        found[(name_at.text() if name_at else None) or f"#{at}"] = each
    if not found:
        if spec is not None:
            spec.lacks("containers", "is missing or empty")
        return None
    wanted = ("kserve-container", "transformer-container", next(iter(found)))
    name = next(each for each in wanted if each in found)
    for other in found.keys() - {name}:
        component.warn(f"container {other} is not run here", found[other].line)
    return found[name]


def _protocol(wish: Wish, runtime: Runtime) -> str:
    if wish.protocol:
        return wish.protocol
    known = runtime.protocols
    return next((each for each in ("v1", "v2") if each in known), "")


def asked(ready_path: str, protocol: str, name: str) -> Probe:
    """Return how to ask: by what the container says itself, else by its protocol."""
    paths: Mapping[str, str] = {
        "v1": f"/v1/models/{name}",
        "v2": f"/v2/models/{name}/ready",
    }
    return Probe(path=ready_path or paths.get(protocol, ""))


def _storage(component: Component, model: Place, around: Surroundings) -> str | None:
    uri_at = model.at("storageUri")
    if uri_at is not None:
        return _checked(uri_at, around)
    if (storage := model.at("storage")) is not None:
        return _from_bucket(storage)
    return _listed(component, around)


def _checked(place: Place, around: Surroundings) -> str | None:
    text = place.text()
    if text is None:
        return None
    found = absolute(text, around.directory)
    if found is None:
        place.bad("must be a path, or begin with file, pvc, s3, gs, hf, http or https")
    return found


def _from_bucket(storage: Place) -> str | None:
    """Return the location that `storage` says without the help of a Secret."""
    parameters = storage.at("parameters")
    kind_at = parameters.at("type") if parameters else None
    bucket_at = parameters.at("bucket") if parameters else None
    path_at = storage.at("path")
    if kind_at is None or bucket_at is None:
        storage.bad("names a Secret, and there are none here: write storageUri")
        return None
    path = (path_at.text() or "") if path_at else ""
    return f"{kind_at.text()}://{bucket_at.text()}/{path.lstrip('/')}"


def _listed(component: Component, around: Surroundings) -> str | None:
    listed = component.place.at("storageUris")
    items = list(listed.each()) if listed else []
    if len(items) > 1:
        items[1].bad("is a second location: this version serves one")
    uri_at = items[0].at("uri") if items else None
    return _checked(uri_at, around) if uri_at else None


def _mount(component: Component) -> str:
    listed = component.place.at("storageUris")
    for each in listed.each() if listed else ():
        path_at = each.at("mountPath")
        text = path_at.text() if path_at else None
        if text:
            return os.path.normpath(text)
    return "/mnt/models"
