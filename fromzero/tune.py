"""`fromzero tune`: the cheapest settings that meet a goal, and how they do later."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autoscaler.core.domain import RevisionKey, RevisionSpec
from fromzero.errors import CommandError
from fromzero.files import write
from fromzero.patch import chosen, patched
from fromzero.printable import printable
from fromzero.simulate import (
    ALWAYS,
    HERE,
    KNATIVE,
    Asked,
    Watch,
    lines,
    origin_of,
    question,
    watching,
)
from simulations import edit, plan, sweep
from simulations.bands import Bands, bands
from simulations.goal import Goal, GoalError, parse
from simulations.outcome import Front, Heat, Outcome, Point
from simulations.page.html import render
from simulations.pareto import front, knee
from simulations.summary import duration
from simulations.totals import Totals, totals
from simulations.workload import Workload
from simulations.world import World

PICK = "the pick"
_CHOSEN_ON = 0.6
"""Share of the trace that settings are chosen on; the rest says how they do."""
_WINDOWS = (6, 15, 30, 60, 120, 300)
_RETENTIONS = (0, 30, 120, 300, 900, 3600)
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Settings, and what came of them on the part to choose on."""

    spec: RevisionSpec
    totals: Totals
    name: str = ""
    choice: sweep.Choice = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line says besides."""

    slo: str
    points: int = 200
    jobs: int = 0
    """Processes; 0: one for each core."""
    report: Path | None = None
    patch: Path | None = None
    as_json: bool = False


def tune(asked: Asked, wanted: Wanted) -> int:
    """Search, print one screen, write report and patch; 1: nothing meets the goal."""
    try:
        goal = parse(wanted.slo)
    except GoalError as error:
        raise CommandError(f"--slo {error}") from error
    whole, specs = question(asked)
    if len(specs) != 1:
        raise CommandError(
            f"{len(specs)} services: tune one at a time (give one document)"
        )
    ((key, spec),) = specs.items()
    begun, rest = _parts(whole)
    with watching(wanted.points + len(_WINDOWS) * len(_RETENTIONS) + 4) as watch:
        search = _Search(begun, key, spec, wanted.jobs)
        with search.pool:
            tried = search.run(wanted.points, asked.seed, watch)
            picked = pick(tried, goal)
            heat = None if watch.stopped else search.heat(picked.spec, watch)
        found, sure = _held_back(rest, key, picked, spec, asked.seed, watch)
    met = goal.met(picked.totals)
    said = verdict(picked, found, goal, sure)
    report = Front(
        points=points(tried, picked, goal), goal=str(goal), verdict=said, heat=heat
    )
    if wanted.as_json:
        print(json.dumps(_as_json(report, found, picked, met=met), indent=2))
    else:
        for line in _screen(found, rest, tried, picked, said, stopped=watch.stopped):
            print(printable(line))
    if wanted.report is not None:
        write(wanted.report, [render(found, origin_of(asked, whole), front=report)])
    if wanted.patch is not None and met:
        write(wanted.patch, [_patch(asked.paths, key, picked.spec)])
    if watch.stopped:
        return 130
    return 0 if met else 1


def pick(tried: Sequence[Tried], goal: Goal) -> Tried:
    """Return the cheapest that meets the goal, else what comes nearest to it."""
    good = [each for each in tried if goal.met(each.totals)]
    if good:
        return min(good, key=lambda each: (each.totals.cost_s, each.totals.p99_s))
    return min(tried, key=lambda each: (goal.excess(each.totals), each.totals.cost_s))


def points(tried: Sequence[Tried], picked: Tried, goal: Goal) -> tuple[Point, ...]:
    """Return all that was tried, with the front, the knee and the pick marked."""
    pairs = [(each.totals.cost_s, each.totals.mean_wait_s) for each in tried]
    best = front(pairs)
    bend = knee(pairs, best)
    found = []
    for place, each in enumerate(tried):
        name = PICK if each is picked else each.name
        found.append(
            Point(
                settings=plan.said(each.spec),
                cost_s=each.totals.cost_s,
                wait_s=each.totals.mean_wait_s,
                cold=each.totals.cold_share,
                name=name or ("the knee" if place == bend else ""),
                front=place in best,
            )
        )
    return tuple(found)


def verdict(
    picked: Tried, found: Sequence[Outcome], goal: Goal, sure: Bands | None
) -> str:
    """Say how the pick does where it was chosen, and on the rest."""
    met = goal.met(picked.totals)
    hours = picked.totals.cost_s / _HOUR_S
    said = (
        f"The pick is the cheapest of those that meet {goal}"
        if met
        else f"Nothing that was tried meets {goal}; the pick comes nearest"
    )
    said += f", with {hours:,.1f} hours where it was chosen."
    if not found:
        return said
    rest = totals(found[0])
    held = "meets it too" if goal.met(rest) else "does not meet it"
    said += (
        f" On the part not used for choosing it {held}: {rest.cost_s / _HOUR_S:,.1f} "
        f"hours, 99 of 100 waited {duration(rest.p99_s)} or less, "
        f"{rest.cold_share:.2%} found no replica ready."
    )
    against = []
    for each in found[1:]:
        theirs = totals(each)
        if theirs.cost_s:
            less = 1 - rest.cost_s / theirs.cost_s
            word = "less" if less >= 0 else "more"
            against.append(f"{abs(less):.0%} {word} than {each.name}")
    if against:
        said += f" That is {', '.join(against)}."
    if sure is not None:
        low, high = (each / _HOUR_S for each in sure.cost_s)
        said += (
            f" How sure that is: with hours drawn anew from its {sure.blocks}, 95 "
            f"times of 100 it costs {low:,.1f} to {high:,.1f} hours and "
            f"{sure.cold[0]:.2%} to {sure.cold[1]:.2%} find no replica ready."
        )
    return said


class _Search:
    """Runs of one revision with many settings, on all cores."""

    def __init__(
        self, asked: plan.Question, key: RevisionKey, spec: RevisionSpec, jobs: int
    ) -> None:
        self._spec = spec
        self.pool = ProcessPoolExecutor(
            jobs or os.cpu_count() or 1,
            initializer=_begin,
            initargs=(asked, key, plan.workloads(asked)),
        )

    def run(self, points: int, seed: int, watch: Watch) -> list[Tried]:
        """Try what is there, then choices all over the space, then closer ones."""
        spec = self._spec
        named = [
            (HERE, spec),
            (KNATIVE, plan.defaults(spec)),
            (ALWAYS, plan.always_on(spec)),
        ]
        tell = watch("searching", 0)
        tried = [
            Tried(spec=each, totals=found, name=name)
            for (name, each), found in zip(
                named, self._all([each for _, each in named]), strict=True
            )
        ]
        choices = sweep.first(spec, points)
        while choices and not watch.stopped:
            specs = [sweep.apply(spec, choice) for choice in choices]
            for choice, each, found in zip(
                choices, specs, self._all(specs), strict=False
            ):
                tried.append(Tried(spec=each, totals=found, choice=choice))
                if not tell(len(tried)):
                    return tried
            chosen = [(t.choice, _point(t)) for t in tried if t.choice]
            left = points - len(chosen)
            count = min(left, max(8, points // 8))
            choices = sweep.closer(spec, chosen, count, seed) if left > 0 else []
        return tried

    def heat(self, picked: RevisionSpec, watch: Watch) -> Heat:
        """Try all of two settings together, the others as they were picked."""
        grid = [
            replace(
                picked,
                scaling=replace(
                    picked.scaling, stable_window_s=window, retention_s=float(kept)
                ),
            )
            for kept in _RETENTIONS
            for window in _WINDOWS
        ]
        found = list(self._all(grid))
        wide = len(_WINDOWS)
        rows = [found[at : at + wide] for at in range(0, len(found), wide)]
        return Heat(
            across="window",
            up="scale-to-zero-pod-retention-period",
            columns=tuple(f"{each}s" for each in _WINDOWS),
            rows=tuple(f"{each}s" for each in _RETENTIONS),
            cost_s=tuple(tuple(each.cost_s for each in row) for row in rows),
            wait_s=tuple(tuple(each.mean_wait_s for each in row) for row in rows),
        )

    def _all(self, specs: Sequence[RevisionSpec]) -> Iterator[Totals]:
        return self.pool.map(_try, specs)


_Task = tuple[plan.Question, RevisionKey, tuple[Workload, ...]]
_task: list[_Task] = []
"""What a worker process runs, given once: traces are large."""


def _begin(asked: plan.Question, key: RevisionKey, loads: tuple[Workload, ...]) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _task[:] = [(asked, key, loads)]


def _try(spec: RevisionSpec) -> Totals:
    asked, key, loads = _task[0]
    return plan.brief(asked, {key: spec}, loads)


def _parts(whole: plan.Question) -> tuple[plan.Question, plan.Question]:
    """Return the part to choose on and the rest, each beginning anew."""
    trace = whole.trace
    cut = trace.span_s * _CHOSEN_ON
    parts = edit.slice_(trace, 0.0, cut), edit.slice_(trace, cut, trace.span_s)
    for part in parts:
        if not len(part):
            raise CommandError(
                f"{trace.source}: no request in the first {_CHOSEN_ON:.0%} or in the "
                "rest; a longer trace is needed to choose on one and look at the other"
            )
    begun, rest = (replace(whole, trace=part) for part in parts)
    return begun, rest


def _held_back(
    rest: plan.Question,
    key: RevisionKey,
    picked: Tried,
    spec: RevisionSpec,
    seed: int,
    watch: Watch,
) -> tuple[list[Outcome], Bands | None]:
    """Run the pick and what it is compared with on the part not used for choosing."""
    if watch.stopped:
        return [plan.answer(PICK, rest, {key: picked.spec})], None
    run = World(plan.scenario(rest, {key: picked.spec})).run()
    found = [plan.outcome(PICK, {key: picked.spec}, run)]
    for name, other in (
        (HERE, spec),
        (KNATIVE, plan.defaults(spec)),
        (ALWAYS, plan.always_on(spec)),
    ):
        found.append(plan.answer(name, rest, {key: other}))
    return found, bands(run, seed=seed)


def _screen(
    found: Sequence[Outcome],
    rest: plan.Question,
    tried: Sequence[Tried],
    picked: Tried,
    said: str,
    *,
    stopped: bool,
) -> Iterator[str]:
    yield f"{len(tried)} settings tried on the first {_CHOSEN_ON:.0%} of the trace"
    yield "on the rest:"
    yield ""
    yield from lines(found, rest, stopped=stopped)
    yield ""
    for name, value in chosen(picked.spec).items():
        yield f"  {name}: {value}"
    yield f"  minReplicas: {picked.spec.scaling.min_replicas}"
    yield ""
    yield said


def _point(tried: Tried) -> Point:
    return Point(
        settings={},
        cost_s=tried.totals.cost_s,
        wait_s=tried.totals.mean_wait_s,
        cold=tried.totals.cold_share,
    )


def _patch(paths: Sequence[Path], key: RevisionKey, spec: RevisionSpec) -> str:
    from autoscaler.documents import load

    for service in load(paths).services:
        name = f"{service.namespace}/{service.name}"
        if key.namespace == service.namespace and key.name.startswith(service.name):
            return patched(Path(service.root.file), name, spec)
    raise CommandError(f"no document of {key}")


def _as_json(
    report: Front, found: Sequence[Outcome], picked: Tried, *, met: bool
) -> Mapping[str, object]:
    return {
        "goal": report.goal,
        "met": met,
        "verdict": report.verdict,
        "pick": dict(plan.said(picked.spec)),
        "held_back": [
            {"name": each.name, "totals": asdict(totals(each))} for each in found
        ],
        "front": [asdict(point) for point in report.points if point.front],
    }
