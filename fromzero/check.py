"""`fromzero check`: say for each service by name what `up` would make of it.

What is wrong with a document is raised, as by `up`. What is right in it but cannot be
served on this machine is only said: the documents may be meant for another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoscaler import versions
from autoscaler.core.domain import Metric, RevisionSpec, Route, ScalingSpec
from autoscaler.documents import load
from autoscaler.errors import BadInput
from autoscaler.kserve import Plan, Planned, RuntimePlan, ServicePlan, plan
from autoscaler.notes import Level, Note
from autoscaler.quantity import in_words
from fromzero.config import resolve
from fromzero.show import console

_STYLES = {Level.NOTE: "", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_COLUMN = 12

Line = tuple[str, str]
"""Text and style."""


def run(paths: Sequence[Path], config: Path | None = None, **flags: object) -> int:
    """Print what would happen; raise BadInput for documents that nobody could use.

    *flags* are settings by name, as the command line got them.
    """
    settings = resolve(flags, os.environ, config)
    defaults = settings.defaults(
        f"127.0.0.1:{settings.port}", os.environ.get("PATH", "")
    )
    screen = console()
    documents = load(paths)
    memory = versions.load(versions.directory_of(settings.state_dir, paths))
    try:
        found = plan(documents, defaults, memory)
    except BadInput:
        for note in documents.notes:  # A misspelt field may be why.
            for text, style in _note(note, indent=""):
                screen.print(text, style=style or None)
        raise
    for text, style in lines(found):
        screen.print(text, style=style or None)
    return 0


def lines(found: Plan) -> Iterator[Line]:
    """Return what there is to say of a plan: services, runtimes, files, the sum."""
    for service in found.services:
        yield from _service(found, service)
        yield "", ""
    for runtime in found.runtimes:
        yield from _runtime(runtime)
    for note in found.notes:
        if not note.service:
            yield from _note(note, indent="")
    yield _sum(found), "red" if found.problems else "bold"


def _service(found: Plan, service: ServicePlan) -> Iterator[Line]:
    yield f"{service.name}  ({service.file}:{service.line})", "bold"
    for each in service.revisions:
        yield from _revision(found, each)
    if service.revisions:
        yield _row("reached at", ", ".join(_ways(found.routes, service))), ""
    for note in found.notes:
        if note.service == service.name:
            yield from _note(note, indent="  ")


def _revision(found: Plan, planned: Planned) -> Iterator[Line]:
    wanted = found.wanted[planned.key]
    spec, launch = wanted.spec, wanted.launch
    share = f", {planned.weight:g} % of requests" if planned.weight < 100 else ""
    yield _row(planned.component, f"{planned.key.name}{share}"), ""
    yield _row("replicas", _bounds(spec.scaling)), ""
    yield _row("scales by", _target(spec.scaling)), ""
    if spec.gate.container_concurrency:
        limit = spec.gate.container_concurrency
        yield _row("limit", f"{limit} requests at once in each replica"), ""
    yield _row("model", launch.storage_uri or "its own command brings it"), ""
    yield _row("started by", planned.runtime), ""
    yield _row("command", " ".join(launch.command) or "none"), "dim"
    yield _row("needs", _needs(spec)), ""
    asked = f"GET {spec.probe.path} answers 2xx" if spec.probe.path else "it listens"
    yield _row("ready when", asked), ""


def _row(name: str, text: str) -> str:
    return f"  {name:<{_COLUMN}}{text}"


def _bounds(scaling: ScalingSpec) -> str:
    most = f"{scaling.max_replicas}" if scaling.max_replicas else "any number"
    low = scaling.min_replicas
    if low or not scaling.scale_to_zero:
        return f"{max(low, 1)} to {most}, never sleeps"
    kept_s = max(scaling.grace_s, scaling.retention_s if scaling.reachable else 0.0)
    idle_s = scaling.stable_window_s + kept_s
    return f"0 to {most}, sleeps after {idle_s:g} s without a request"


def _target(scaling: ScalingSpec) -> str:
    metric, total = scaling.metric, scaling.total_value
    if metric in (Metric.CPU, Metric.MEMORY):
        return f"{metric}, {total:g} % of the request for each replica"
    what = "requests in flight" if metric is Metric.CONCURRENCY else "requests a second"
    return f"{metric}: {total:g} {what} a replica, aiming at {scaling.target_value:g}"


def _needs(spec: RevisionSpec) -> str:
    memory, gpus = spec.needs.memory, spec.needs.gpus
    said = [in_words(memory)] if memory else ["memory not declared"]
    if gpus:
        said.append("1 GPU" if gpus == 1 else f"{gpus} GPUs")
    return " and ".join(said)


def _ways(routes: Sequence[Route], service: ServicePlan) -> Iterator[str]:
    for route in routes:
        whole = f"{route.namespace}/{route.service}"
        if whole == service.name and not route.component:
            yield route.hosts[0]
            yield f"/serving/{whole}/"
            yield f"model: {route.models[0]}"


def _runtime(runtime: RuntimePlan) -> Iterator[Line]:
    what = f"starts {', '.join(runtime.users)}" if runtime.users else "not used"
    why = f": {runtime.why_unused}" if runtime.why_unused else ""
    yield f"{runtime.title}  ({runtime.file}:{runtime.line})  {what}{why}", ""


def _note(note: Note, indent: str) -> Iterator[Line]:
    yield f"{indent}{note.level}: {note}", _STYLES[note.level]


def _sum(found: Plan) -> str:
    services = _count(len(found.services), "service")
    revisions = _count(len(found.wanted), "revision")
    if not found.problems:
        return f"{services}, {revisions}: ready for `fromzero up`"
    problems = _count(len(found.problems), "problem")
    return f"{services}, {revisions}, {problems}: `fromzero up` refuses these documents"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
