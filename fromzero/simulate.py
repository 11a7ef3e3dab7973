"""`fromzero simulate`: what settings would have cost, and who would have waited."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from autoscaler import versions
from autoscaler.core.domain import Budget, RevisionKey, RevisionSpec
from autoscaler.documents import load
from autoscaler.kserve import Plan
from autoscaler.kserve import plan as planned
from autoscaler.parts import OWN
from autoscaler.quantity import number, seconds
from fromzero import __version__
from fromzero.config import Settings, resolve
from fromzero.errors import CommandError
from fromzero.files import write
from fromzero.placing import Placing, remarks
from fromzero.printable import printable
from fromzero.show import console
from fromzero.traces import opened, span, told
from simulations import edit, plan
from simulations.coldstart import ColdStartError, describe, parse
from simulations.outcome import Origin, Outcome
from simulations.page.html import render
from simulations.page.parts import rows
from simulations.policies.named import PolicyError, by_name
from simulations.policies.policy import Policy
from simulations.summary import duration
from simulations.totals import totals
from simulations.trace import Trace
from simulations.world import World

HERE, KNATIVE, ALWAYS = "these settings", "Knative's", "always on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says, of `simulate` and `tune` alike."""

    paths: tuple[Path, ...]
    trace: Path
    cold_start: str
    form: str = ""
    model: str = ""
    service_time: str = ""
    token_time: str = ""
    slowing: str = ""
    patience: str = ""
    retries: int = 0
    placing: Placing = field(default_factory=Placing)
    begin: str = ""
    end: str = ""
    seed: int = 1
    policies: tuple[str, ...] = ()
    """By their names: others to compare with."""
    config: Path | None = None
    flags: Mapping[str, object] | None = None


def question(asked: Asked) -> tuple[plan.Question, plan.Specs]:
    """Return what to simulate, and the settings that the documents have."""
    settings = resolve(asked.flags or {}, os.environ, asked.config)
    documents = _planned(asked.paths, settings)
    specs = _predictors(documents)
    part = {"model": asked.model, "begin": asked.begin, "end": asked.end}
    trace = opened(asked.trace, asked.form, asked.seed, part)
    if trace.span_s <= 0.0:
        raise CommandError(
            f"{asked.trace}: 0 s long, so nothing comes of it; `# span_s: 3600` in it "
            "says how long was recorded"
        )
    with told():
        keys, trace = _matched(trace, specs)
        try:
            start = parse(asked.cold_start)
        except ColdStartError as error:
            raise CommandError(f"--cold-start {error}") from error
        used = {key: spec for key, spec in specs.values() if key in set(keys.values())}
        found = plan.Question(
            trace=trace,
            keys=keys,
            service=_service(asked),
            slowing=_share(asked.slowing),
            patience_s=span(asked.patience) if asked.patience else inf,
            retries=asked.retries,
            cold_start=start,
            budget=Budget(memory=settings.memory, gpus=len(settings.gpus) or None),
            nodes=asked.placing.nodes(start, used),
            images=_images(documents),
            seed=asked.seed,
        )
        plan.workloads(found)
    return found, used


def simulate(asked: Asked, report: Path | None, *, as_json: bool) -> int:
    """Print one screen, or JSON, and write the report; return the exit status.

    Each policy that was named has a column beside the settings, on the same draws.
    """
    try:
        ways = [
            Policy(name=HERE),
            Policy(name=KNATIVE, adapt=plan.defaults),
            Policy(name=ALWAYS, adapt=plan.always_on),
            *map(by_name, asked.policies),
        ]
    except PolicyError as error:
        raise CommandError(f"--{error}") from error
    ours, specs = question(asked)
    found: list[Outcome] = []
    stopped = ""
    with watching(len(ways)) as watch:
        for place, policy in enumerate(ways):
            changed = {key: policy.adapt(spec) for key, spec in specs.items()}
            scenario = replace(plan.scenario(ours, changed), policy=policy)
            run = World(scenario).run(watch(policy.name, place))
            found.append(plan.outcome(policy.name, changed, run))
            if watch.stopped:
                part = duration(run.until)
                stopped = f'stopped: "{policy.name}" is of the first {part} only'
                break
    origin = origin_of(asked, ours, stopped)
    if as_json:
        print(json.dumps([_as_json(each) for each in found], indent=2))
    else:
        for line in lines(found, ours, stopped):
            print(printable(line))
    if report is not None:
        write(report, [render(found, origin)])
    return 130 if watch.stopped else 0


def lines(
    outcomes: Sequence[Outcome], asked: plan.Question, stopped: str = ""
) -> Iterator[str]:
    """Yield one screen: a column for each outcome; *stopped* says which is in part."""
    trace = asked.trace
    yield (
        f"{len(trace):,} requests in {duration(trace.span_s)}; a start takes "
        f"{describe(asked.cold_start)}"
    )
    for remark in (*trace.remarks, *remarks(asked.nodes, asked.cold_start)):
        yield f"note: {remark}"
    if asked.nodes is not None and not outcomes[0].gpus:
        yield "note: no replica needs a GPU (resources), so any number fits on a node"
    if stopped:
        yield stopped
    yield ""
    unit = "GPU-hours" if outcomes[0].gpus else "replica-hours"
    table = [("", [each.name for each in outcomes])]
    table += rows([totals(each) for each in outcomes], unit)
    width = max(len(name) for name, _ in table) + 2
    widths = [
        max(map(len, column)) + 3 for column in zip(*(c for _, c in table), strict=True)
    ]
    for name, cells in table:
        padded = (f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
        yield f"{name:<{width}}" + "".join(padded)


def origin_of(asked: Asked, ours: plan.Question, stopped: str = "") -> Origin:
    """Return how to have the same again; *stopped* says what there is less of."""
    return Origin(
        command=shlex.join(["fromzero", *sys.argv[1:]]),
        version=__version__,
        seed=asked.seed,
        trace=ours.trace.source,
        digest=ours.trace.digest,
        span_s=ours.trace.span_s,
        requests=len(ours.trace),
        remarks=(
            *ours.trace.remarks,
            *remarks(ours.nodes, ours.cold_start),
            *filter(None, [stopped]),
        ),
    )


class Watch:
    """Shows how far runs are, on a terminal, and ends them at Ctrl-C."""

    def __init__(self, progress: Progress | None, runs: int) -> None:
        self.stopped = False
        self._ends: list[Callable[[], None]] = []
        self._progress = progress
        self._task = progress.add_task("", total=runs) if progress else None

    def ends(self, what: Callable[[], None]) -> None:
        """Have *what* called when the first Ctrl-C comes."""
        self._ends.append(what)

    def stop(self) -> None:
        """End all that is watched, soon."""
        self.stopped = True
        for end in self._ends:
            end()

    def __call__(self, name: str, place: int) -> Callable[[float], bool]:
        """Return what a run is to tell; it is the one at *place*."""

        def tell(share: float) -> bool:
            if self._progress is not None and self._task is not None:
                self._progress.update(
                    self._task, completed=place + share, description=name
                )
            return not self.stopped

        return tell


@contextmanager
def watching(runs: int) -> Iterator[Watch]:
    """Watch so many runs; the first Ctrl-C ends them, the second ends all."""
    screen = console()
    bar = None
    if sys.stderr.isatty():
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
            console=type(screen)(stderr=True), transient=True,
        )  # fmt: skip
    watch = Watch(bar, runs)

    def stop(number: int, frame: object) -> None:
        if watch.stopped:
            raise KeyboardInterrupt
        # Not print(), which may be what was interrupted.
        os.write(2, b"\nstopping with what was found until now (Ctrl-C: at once)\n")
        watch.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        if bar is None:
            yield watch
        else:
            with bar:
                yield watch
    finally:
        signal.signal(signal.SIGINT, before)


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "settings": dict(outcome.settings),
        "totals": {**asdict(totals(outcome)), "cost_s": totals(outcome).cost_s},
        "waits": [list(each) for each in outcome.waits],
    }


def _planned(paths: Sequence[Path], settings: Settings) -> Plan:
    documents = load(paths)
    defaults = settings.defaults(
        f"127.0.0.1:{settings.port}", os.environ.get("PATH", "")
    )
    memory = versions.load(versions.directory_of(settings.state_dir, paths))
    return planned(documents, defaults, memory)


def _images(found: Plan) -> dict[RevisionKey, str]:
    """Return the image of each revision that a runtime starts: they share it."""
    return {
        each.key: each.runtime
        for service in found.services
        for each in service.revisions
        if each.runtime != OWN
    }


def _predictors(found: Plan) -> dict[str, tuple[RevisionKey, RevisionSpec]]:
    """Return each service's predictor, by the service's name."""
    services: dict[str, tuple[RevisionKey, RevisionSpec]] = {}
    for service in found.services:
        for each in service.revisions:
            if each.component == "predictor":
                services[service.name] = each.key, found.wanted[each.key].spec
    if not services:
        said = "; ".join(note.text for note in found.notes) or "none has a predictor"
        raise CommandError(f"no service to simulate: {said}")
    return services


def _matched(
    trace: Trace,
    services: Mapping[str, tuple[RevisionKey, RevisionSpec]],
) -> tuple[dict[str, RevisionKey], Trace]:
    """Return whose requests the trace's models are: by name, or all of the only one."""
    if len(services) == 1:
        ((name, (key, _)),) = services.items()
        trace = _of_one(trace, name, (name, name.partition("/")[2], key.name))
        return dict.fromkeys(trace.models, key), trace
    short = {name.partition("/")[2]: key for name, (key, _) in services.items()}
    full = {name: key for name, (key, _) in services.items()}
    revisions = {key.name: key for key in full.values()}
    keys = {
        name: (full | short | revisions)[name]
        for name in trace.models
        if name in full | short | revisions
    }
    unknown = [name for name in trace.models if name not in keys]
    if unknown:
        raise CommandError(
            f"{asked_for(unknown)}: must be one of {', '.join(full)}, as the documents "
            "have them (--model chooses one of the trace's)"
        )
    return keys, trace


def _of_one(trace: Trace, service: str, names: Sequence[str]) -> Trace:
    """Return the requests of a service that has *names*; of none of them: all."""
    others = len(trace.models) - 1
    if not others:
        return trace
    mine = [edit.only(trace, name) for name in names if name in trace.models]
    if mine:
        found = edit.merge(mine)
        count = len(trace) - len(found)
        remark = f"{count:,} requests are of other models than {service}: left out"
        return replace(found, source=trace.source, remarks=(*trace.remarks, remark))
    remark = (
        f"its {others + 1} models are all taken for {service} (--model chooses one)"
    )
    return replace(trace, remarks=(*trace.remarks, remark))


def asked_for(names: Sequence[str]) -> str:
    """Return some models of a trace that nobody serves, for an error."""
    few = ", ".join(repr(name) for name in names[:3])
    return f"model {few}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _share(text: str) -> float:
    """Return the share that a percentage is, of at most 1,000 %."""
    found = number(text.removesuffix("%")) if text else 0.0
    if found is None or not 0.0 <= found <= 1_000.0:
        raise CommandError(f"--slowing {text!r}: must be a percentage, as 3%")
    return found / 100.0


def _service(asked: Asked) -> plan.Service:
    """Return how long requests take, by --service-time and --token-time."""
    base = span(asked.service_time) if asked.service_time else 0.0
    taken = made = 0.0
    if asked.token_time:
        parts = [seconds(each) for each in asked.token_time.split(",")]
        if len(parts) != 2 or parts[0] is None or parts[1] is None:
            raise CommandError(
                f"--token-time {asked.token_time!r}: must be IN,OUT, as 0.2ms,20ms"
            )
        taken, made = parts[0], parts[1]
    return plan.Service(base_s=base, input_token_s=taken, output_token_s=made)
