"""What `simulate` and `tune` are asked: documents, a trace, and how things go there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from autoscaler import versions
from autoscaler.core.domain import Budget, RevisionKey, RevisionSpec
from autoscaler.documents import load
from autoscaler.kserve import Plan
from autoscaler.kserve import plan as planned
from autoscaler.parts import OWN
from autoscaler.quantity import number, seconds
from fromzero.config import Settings, resolve
from fromzero.errors import CommandError
from fromzero.placing import Placing
from fromzero.traces import opened, span, told
from simulations import edit, plan
from simulations.coldstart import ColdStartError, parse
from simulations.trace import Trace


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
            trace=replace(trace, remarks=(*trace.remarks, *_uncounted(used))),
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
    named: dict[str, set[RevisionKey]] = {}
    for name, (key, _) in services.items():
        for each in (name, name.partition("/")[2], key.name):
            named.setdefault(each, set()).add(key)
    # A name that services of two namespaces have says of neither that it is meant.
    one = {name: key for name, (key, *others) in named.items() if not others}
    keys = {name: one[name] for name in trace.models if name in one}
    unknown = [name for name in trace.models if name not in keys]
    if unknown:
        raise CommandError(
            f"{asked_for(unknown)}: must be one of {', '.join(services)}, as the "
            "documents have them (--model chooses one of the trace's)"
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


def _uncounted(specs: plan.Specs) -> Iterator[str]:
    """Yield a remark if some of *specs* need GPUs, whose hours count, and some none."""
    bare = [str(key) for key, spec in specs.items() if not spec.needs.gpus]
    if bare and len(bare) < len(specs):
        yield f"GPU-hours have nothing of what needs no GPU: {', '.join(bare)}"


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
