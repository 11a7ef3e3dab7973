"""From settings, a trace and a cold start to a run, and to what came of it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from autoscaler.core.domain import (
    Budget,
    GateSpec,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from simulations.bands import Spread, spread
from simulations.cluster import Behaviour, Part
from simulations.coldstart import AT_ONCE, ColdStart
from simulations.nodes import Nodes
from simulations.outcome import Moment, Outcome, Series
from simulations.report import figures, most_at_once, node_figures
from simulations.run import End, Run
from simulations.totals import Totals, totals
from simulations.trace import UNKNOWN, Trace, TraceError
from simulations.workload import Workload
from simulations.world import Model, Scenario, World

_POINTS = 1_000
_MOMENTS = 2_000
_SHARES = (
    *(step / 100 for step in range(0, 96)),
    0.96, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995, 1.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How long a request keeps its place, where the trace does not say."""

    base_s: float = 0.0
    input_token_s: float = 0.0
    output_token_s: float = 0.0

    def times(self, trace: Trace) -> NDArray[np.float64]:
        """Return a time for each request; TraceError: nothing says how long it is."""
        known = ~np.isnan(trace.services)
        if known.all():
            return trace.services
        if not (self.base_s or self.input_token_s or self.output_token_s):
            raise TraceError(
                f"{int((~known).sum()):,} requests have no service time: say how long "
                "they take (--service-time, --token-time)"
            )
        taken, made = trace.input_tokens, trace.output_tokens
        lacks = (self.input_token_s and (taken[~known] == UNKNOWN).any()) or (
            self.output_token_s and (made[~known] == UNKNOWN).any()
        )
        if lacks:
            raise TraceError(
                "some requests have no tokens, so --token-time says nothing of them: "
                "leave it out, and give --service-time"
            )
        drawn = (
            self.base_s
            + self.input_token_s * taken.clip(min=0)
            + self.output_token_s * made.clip(min=0)
        )
        return np.where(known, trace.services, drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to simulate, but for the settings."""

    trace: Trace
    keys: Mapping[str, RevisionKey]
    """Which revision each model of the trace is."""
    service: Service = field(default_factory=Service)
    cold_start: ColdStart = AT_ONCE
    stop_s: float = 1.0
    """From being told to stop to being gone."""
    slowing: float = 0.0
    """By what share a request takes longer for each other at its replica."""
    patience_s: float = inf
    """A client that has no whole answer by then leaves, or tries again."""
    retries: int = 0
    """How often a client that was not answered tries again, at most."""
    budget: Budget = field(default_factory=Budget)
    nodes: Nodes | None = None
    """Where replicas are placed; None: there is room, and nothing is shared."""
    images: Mapping[RevisionKey, str] = field(default_factory=dict)
    """What a node pulls once for all that have the same; else each has its own."""
    seed: int = 1


Specs = Mapping[RevisionKey, RevisionSpec]


def workloads(question: Question) -> tuple[Workload, ...]:
    """Return each revision's requests, in the order of *keys*."""
    trace = question.trace
    services = question.service.times(trace)
    keys = list(dict.fromkeys(question.keys.values()))
    owners = np.array([keys.index(question.keys[m]) for m in trace.models])[trace.model]
    found = []
    for place, key in enumerate(keys):
        mine = owners == place
        found.append(
            Workload(
                key=key,
                arrivals=array("d", trace.arrivals[mine].tobytes()),
                services=array("d", services[mine].tobytes()),
                patience_s=question.patience_s,
                retries=question.retries,
            )
        )
    return tuple(found)


def scenario(
    question: Question, specs: Specs, loads: tuple[Workload, ...] | None = None
) -> Scenario:
    """Return all that a run of these settings depends on."""
    behaviour = Behaviour(
        cold_start=question.cold_start,
        stop_s=question.stop_s,
        slowing=question.slowing,
    )
    images = question.images
    loads = workloads(question) if loads is None else loads
    return Scenario(
        models=tuple(
            Model(
                key=load.key,
                spec=specs[load.key],
                behaviour=replace(behaviour, image=images.get(load.key, "")),
            )
            for load in loads
        ),
        workloads=loads,
        until=question.trace.span_s,
        budget=_budget(question),
        nodes=question.nodes,
        seed=question.seed,
    )


def _budget(question: Question) -> Budget:
    """Return what the Fleet knows of room: the GPUs of all nodes there may be."""
    budget, nodes = question.budget, question.nodes
    if nodes is None:
        return budget
    gpus = nodes.most * nodes.gpus
    return replace(budget, gpus=gpus if budget.gpus is None else min(gpus, budget.gpus))


def answer(
    name: str,
    question: Question,
    specs: Specs,
    watch: Callable[[float], bool] | None = None,
) -> Outcome:
    """Run these settings and sum up what came of it."""
    run = World(scenario(question, specs)).run(watch)
    return outcome(name, specs, run)


def brief(
    question: Question,
    specs: Specs,
    loads: tuple[Workload, ...],
    watch: Callable[[float], bool] | None = None,
) -> tuple[Totals, Spread]:
    """Run these settings and return the figures alone, and how sure those are that a
    search goes by; *loads* are the question's."""
    run = World(scenario(question, specs, loads)).run(watch)
    found = totals(
        Outcome(
            name="",
            settings={},
            figures=figures(run),
            gpus=max(spec.needs.gpus for spec in specs.values()),
            most=_at_once(run),
            waits=_quantiles(run),
            mean_wait_s=_mean_wait(run),
            nodes=node_figures(run),
        )
    )
    return found, spread(run, seed=question.seed)


def outcome(name: str, specs: Specs, run: Run) -> Outcome:
    """Sum a run up."""
    moments = _moments(run)
    return Outcome(
        name=name,
        settings=_settings(specs),
        figures=figures(run),
        gpus=max(spec.needs.gpus for spec in specs.values()),
        most=_at_once(run),
        waits=_quantiles(run),
        mean_wait_s=_mean_wait(run),
        nodes=node_figures(run),
        series=_series(run),
        moments=tuple(moments[:_MOMENTS]),
        unlisted=max(0, len(moments) - _MOMENTS),
    )


def _settings(specs: Specs) -> dict[str, str]:
    """Return what is set; of several revisions, each name after whose it is."""
    of = {key: f"{key}: " if len(specs) > 1 else "" for key in specs}
    return {
        of[key] + name: value
        for key, spec in specs.items()
        for name, value in said(spec).items()
    }


def _at_once(run: Run) -> int:
    placed = (machine for machine in run.machines if machine.placed < inf)
    return most_at_once((machine.placed, machine.gone) for machine in placed)


def defaults(spec: RevisionSpec) -> RevisionSpec:
    """Return what Knative would do with the same replicas: its settings, and zero."""
    given, plain = spec.scaling, ScalingSpec()
    limit = spec.gate.container_concurrency
    return replace(
        spec,
        scaling=replace(
            plain,
            metric=given.metric,
            total_value=float(limit) if limit else plain.total_value,
            min_replicas=0,
            max_replicas=given.max_replicas,
            progress_deadline_s=given.progress_deadline_s,
        ),
        gate=GateSpec(container_concurrency=limit, hold_limit_s=spec.gate.hold_limit_s),
    )


def always_on(spec: RevisionSpec) -> RevisionSpec:
    """Return the same settings, but for never sleeping."""
    scaling = spec.scaling
    least = max(1, scaling.min_replicas)
    return replace(
        spec,
        scaling=replace(scaling, min_replicas=least, initial_scale=least),
    )


def said(spec: RevisionSpec) -> dict[str, str]:
    """Return the settings that matter here, by their names in documents."""
    its, gate = spec.scaling, spec.gate
    return {
        "minReplicas": str(its.min_replicas),
        "maxReplicas": str(its.max_replicas or "any"),
        "containerConcurrency": str(gate.container_concurrency or "any"),
        "target": f"{its.total_value:g}",
        "target-utilization-percentage": f"{its.target_utilization * 100:g}",
        "window": f"{its.stable_window_s}s",
        "panic": "on" if its.panic else "off",
        "panic-window-percentage": f"{its.panic_window_percentage:g}",
        "panic-threshold-percentage": f"{its.panic_threshold * 100:g}",
        "scale-to-zero-grace-period": f"{its.grace_s:g}s",
        "scale-to-zero-pod-retention-period": f"{its.retention_s:g}s",
        "scale-down-delay": f"{its.scale_down_delay_s}s",
    }


def _quantiles(run: Run) -> tuple[tuple[float, float], ...]:
    ends = np.frombuffer(run.ends, dtype=np.uint8)
    answered = ends == End.ANSWERED
    waits = np.zeros(int(answered.sum()))
    held = [wait for n, wait in run.waits.items() if answered[n]]
    if not len(waits):
        return ()
    waits[len(waits) - len(held) :] = np.sort(np.array(held))
    ranks = np.ceil(np.array(_SHARES) * len(waits)).astype(int).clip(min=1) - 1
    return tuple(zip(_SHARES, waits[ranks].tolist(), strict=True))


def _mean_wait(run: Run) -> float:
    answered = run.ends.count(End.ANSWERED)
    waits = [wait for n, wait in run.waits.items() if run.ends[n] == End.ANSWERED]
    return sum(waits) / answered if answered else 0.0


def _series(run: Run) -> Series:
    """Return what there was over time, each stretch by its most."""
    until = run.until
    if until <= 0.0:
        return Series()
    edges = np.linspace(0.0, until, _POINTS + 1)
    arrivals = np.asarray(run.requests.arrivals)
    counts, _ = np.histogram(arrivals, edges)
    held = np.array(list(run.waits.items()), dtype=np.float64).reshape(-1, 2)
    begun = arrivals[held[:, 0].astype(np.int64)]
    loading, ready = [], []
    for machine in run.machines:
        end = min(machine.gone, until)
        if machine.placed >= end:
            continue
        listens = machine.placed + machine.seconds[Part.LOADING]
        loading.append((machine.placed, min(listens, end)))
        ready.append((min(listens, end), end))
    return Series(
        at=tuple(edges[:-1].tolist()),
        arrivals=tuple((counts * (_POINTS / until)).tolist()),
        held=_most(np.stack([begun, begun + held[:, 1]], axis=1), edges),
        ready=_most(np.array(ready).reshape(-1, 2), edges),
        loading=_most(np.array(loading).reshape(-1, 2), edges),
    )


def _most(spans: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how many of *spans* there were at once, the most between two edges."""
    spans = spans[spans[:, 1] > spans[:, 0]]
    times = np.concatenate([edges[:-1], spans[:, 1], spans[:, 0]])
    turns = np.concatenate(
        [np.zeros(len(edges) - 1), -np.ones(len(spans)), np.ones(len(spans))]
    )
    # At one instant: who ends, then the edge, then who begins.
    rank = np.concatenate(
        [np.ones(len(edges) - 1), np.zeros(len(spans)), np.full(len(spans), 2)]
    )
    order = np.lexsort((rank, times))
    level = np.cumsum(turns[order])
    starts = np.flatnonzero(order < len(edges) - 1)
    return tuple(np.maximum.reduceat(level, starts).tolist())


def _moments(run: Run) -> list[Moment]:
    """Return the decisions that changed something."""
    shown: dict[RevisionKey, tuple[int, int, str]] = {}
    found = []
    for at, made in run.decisions:
        now = made.decision.desired, made.replicas, made.decision.mode.value
        if shown.get(made.key) == now:
            continue
        shown[made.key] = now
        found.append(
            Moment(
                at=at,
                model=str(made.key),
                ready=made.seen.ready,
                desired=made.decision.desired,
                applied=made.replicas,
                mode=made.decision.mode.value,
                reason=made.reason,
            )
        )
    return found
