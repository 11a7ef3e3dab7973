"""InferenceService and ServingRuntime documents -> revisions, settings and routes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from autoscaler import runtimes
from autoscaler.backends.base import Launch
from autoscaler.component import Said, SpecDefaults
from autoscaler.core.domain import Budget, RevisionKey, RevisionSpec, Route
from autoscaler.documents import Documents, shipped
from autoscaler.entrances import Entrance, clashes, routes
from autoscaler.errors import BadInput, Problem
from autoscaler.here import lacking, search_path, unmeasured
from autoscaler.notes import Level, Note
from autoscaler.parts import Part
from autoscaler.runtimes import Runtime
from autoscaler.service import PREDICTOR, Piece, Reading, Service, read
from autoscaler.versions import Made, Memory, advance, weights

ACTIVATOR = "FROMZERO_ACTIVATOR"
"""Variable with the address at which a transformer reaches its predictor."""
SERVERS = "FROMZERO_SERVERS"
"""Variable with the directory of the model servers that come with fromzero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where documents say nothing, and what this machine has."""

    spec: SpecDefaults = field(default_factory=SpecDefaults)
    budget: Budget = field(default_factory=Budget)
    domain: str = "localhost"
    activator: str = "127.0.0.1:8080"
    """Where replicas reach the activator."""
    grace_s: float = 30.0
    """terminationGracePeriodSeconds where it is not set: Kubernetes' own."""
    volumes: Path | None = None
    """Directory whose folders stand for volume claims."""
    path: str = ""
    """PATH, in which programs are looked for: only to say which are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A revision as the documents say it."""

    spec: RevisionSpec
    launch: Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One revision of a service, for those who explain a plan."""

    key: RevisionKey
    component: str
    weight: float
    """Its share of the component's requests, in %."""
    runtime: str
    """In words: which runtime starts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """What became of one InferenceService."""

    name: str
    """namespace/name."""
    file: str
    line: int
    revisions: tuple[Planned, ...] = ()
    """Empty: it is not served; a note says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePlan:
    """What became of one runtime among the documents."""

    title: str
    file: str
    line: int
    users: tuple[str, ...] = ()
    """Services that it starts."""
    why_unused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that documents mean on this machine."""

    wanted: Mapping[RevisionKey, Wanted]
    routes: tuple[Route, ...]
    memory: Memory
    """What to remember, once this plan is what is served."""
    notes: tuple[Note, ...]
    services: tuple[ServicePlan, ...]
    runtimes: tuple[RuntimePlan, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What keeps these good documents from being served here."""
        return tuple(
            Problem(file=each.file, line=each.line, field=each.service, rule=each.text)
            for each in self.notes
            if each.level is Level.PROBLEM
        )


def plan(documents: Documents, defaults: Defaults, memory: Memory) -> Plan:
    """Return what *documents* mean; raise BadInput with everything wrong in them."""
    given = (*documents.services, *documents.runtimes)
    with _complaints([each.root.problems for each in given]) as problems:
        known = [runtimes.read(each) for each in documents.runtimes]
        known += [runtimes.read(each, shipped=True) for each in shipped()]
        reading = Reading(
            runtimes=known,
            defaults=defaults.spec,
            grace_s=defaults.grace_s,
            activator=f"$({ACTIVATOR})",
        )
        services = [read(each, reading) for each in documents.services]
    problems += documents.problems
    problems += clashes(services, defaults.domain)
    if problems:
        raise BadInput(sorted(problems, key=lambda each: (each.file, each.line)))
    planner = _Planner(defaults, memory)
    for service in services:
        planner.add(service)
    return Plan(
        wanted=MappingProxyType(planner.wanted),
        routes=routes(planner.entrances, defaults.domain),
        memory=planner.memory,
        notes=(*documents.notes, *planner.notes),
        services=tuple(planner.services),
        runtimes=tuple(
            _used(each, planner.services) for each in known if not each.shipped
        ),
    )


def require(plan: Plan) -> Plan:
    """Return *plan* if this machine can serve it; else raise BadInput with reasons."""
    if plan.problems:
        raise BadInput(plan.problems)
    return plan


@contextmanager
def _complaints(lists: Iterable[list[Problem]]) -> Iterator[list[Problem]]:
    """Collect what is added to *lists*, and leave them as they were."""
    each_once = {id(each): (each, len(each)) for each in lists}.values()
    found: list[Problem] = []
    try:
        yield found
    finally:
        for each, length in each_once:
            found += each[length:]
            del each[length:]


class _Planner:
    """Services, one after the other, become revisions."""

    def __init__(self, defaults: Defaults, memory: Memory) -> None:
        self.memory = memory
        self.wanted: dict[RevisionKey, Wanted] = {}
        self.entrances: list[Entrance] = []
        self.notes: list[Note] = []
        self.services: list[ServicePlan] = []
        self._defaults = defaults
        self._search = search_path(defaults.path)

    def add(self, service: Service) -> None:
        """Take one service in."""
        self._said(service, service.said)
        planned: list[Planned] = []
        predictors: list[Planned] = []
        for piece in service.pieces:
            its = self._piece(service, piece, _heaviest(predictors))
            planned += its
            if piece.component == PREDICTOR:
                predictors += its
        root = service.document.root
        self.services.append(
            ServicePlan(
                name=service.name,
                file=root.file,
                line=root.line,
                revisions=tuple(planned),
            )
        )

    def _piece(
        self, service: Service, piece: Piece, together: tuple[RevisionKey, ...]
    ) -> list[Planned]:
        namespace = service.document.namespace
        name = f"{namespace}/{piece.base}"
        before = self.memory.components.get(name)
        history = advance(before, piece.part.made, piece.canary)
        self.memory = self.memory.remember(name, history)
        if piece.canary is not None and before is None:
            text = f"canaryTrafficPercent: {piece.base} has no version before this one"
            self._said(service, [Said(text=f"{text}, so all requests go to it")])
        backends = []
        planned = []
        for version, share in weights(history, piece.canary):
            key = RevisionKey(namespace, f"{piece.base}-{version.number:05}")
            weight = share * piece.share / 100
            self.wanted[key] = self._wanted(service, piece.part, version.made, together)
            self._check(service, self.wanted[key])
            backends.append((key, weight))
            planned.append(
                Planned(
                    key=key,
                    component=piece.component,
                    weight=weight,
                    runtime=version.made.runtime,
                )
            )
        self.entrances.append(
            Entrance(
                namespace=namespace,
                service=service.document.name,
                component=piece.component,
                base=piece.base,
                backends=tuple(backends),
                models=piece.part.models,
            )
        )
        return planned

    def _wanted(
        self,
        service: Service,
        part: Part,
        made: Made,
        together: tuple[RevisionKey, ...],
    ) -> Wanted:
        """Settings are the document's own; what is launched is the version's."""
        given = {
            "PYTHON": sys.executable,
            "INFERENCE_SERVICE_NAME": service.document.name,
        }
        own = {
            ACTIVATOR: self._defaults.activator,
            SERVERS: str(Path(__file__).parent / "servers"),
        }
        command = " ".join(made.launch.command)
        given |= {name: own[name] for name in own if name in command}
        launch = replace(made.launch, env=(*given.items(), *made.launch.env))
        spec = RevisionSpec(
            scaling=part.scaling,
            gate=part.gate,
            needs=launch.needs,
            probe=made.probe,
            together=together,
        )
        return Wanted(spec=spec, launch=launch)

    def _check(self, service: Service, wanted: Wanted) -> None:
        budget, volumes = self._defaults.budget, self._defaults.volumes
        self._said(service, lacking(wanted.launch, budget, volumes, self._search))
        self._said(service, unmeasured(wanted.spec.scaling.metric))

    def _said(self, service: Service, said: Iterable[Said]) -> None:
        root = service.document.root
        for each in said:
            note = Note(
                level=each.level,
                service=service.name,
                file=root.file,
                line=each.line or root.line,
                text=each.text,
            )
            if note not in self.notes:
                self.notes.append(note)


def _heaviest(planned: Sequence[Planned]) -> tuple[RevisionKey, ...]:
    """Return the revision that most requests of a component go to, if there is one."""
    most = max(planned, key=lambda each: each.weight, default=None)
    return (most.key,) if most else ()


def _used(runtime: Runtime, services: Sequence[ServicePlan]) -> RuntimePlan:
    users = [
        each.name
        for each in services
        if any(one.runtime == runtime.title for one in each.revisions)
    ]
    why = ""
    if runtime.multi_model:
        why = "multiModel: true is ModelMesh's, which is not served by this version"
    elif runtime.disabled:
        why = "it is disabled"
    elif not users:
        why = "no service chooses it"
    root = runtime.document.root
    return RuntimePlan(
        title=runtime.title,
        file=root.file,
        line=root.line,
        users=tuple(users),
        why_unused=why,
    )
