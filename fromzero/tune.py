"""`fromzero tune`: the cheapest settings that meet a goal, and how they do later."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autoscaler.core.domain import RevisionKey, RevisionSpec
from fromzero.asked import Asked, question
from fromzero.errors import CommandError
from fromzero.files import write
from fromzero.flags import How
from fromzero.patch import chosen, patched
from fromzero.printable import printable
from fromzero.search import FIELDS, Runs, Tried, asking, grid, search
from fromzero.simulate import (
    ALWAYS,
    HERE,
    KNATIVE,
    Watch,
    lines,
    origin_of,
    watching,
)
from simulations import edit, plan
from simulations.bands import Bands, bands
from simulations.goal import Goal, GoalError, parse
from simulations.outcome import Front, Outcome, Point
from simulations.page.html import render
from simulations.pareto import front, knee
from simulations.summary import duration
from simulations.sweep import dimensions
from simulations.totals import compared, totals
from simulations.world import World

PICK = "the pick"
_STOPPED = "stopped: fewer settings were tried than was asked for"
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_CHOSEN_ON = 0.6
"""Share of the trace that settings are chosen on; the rest says how they do."""
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line says besides."""

    slo: str
    how: How = How.SOBOL
    points: int = 200
    jobs: int = 0
    """Processes; 0: one for each core."""
    report: Path | None = None
    patch: Path | None = None
    as_json: bool = False


def tune(asked: Asked, wanted: Wanted) -> int:
    """Search, write report and patch, print one screen; 1: nothing meets the goal."""
    try:
        goal = parse(wanted.slo)
    except GoalError as error:
        raise CommandError(f"--slo {error}") from error
    whole, specs = question(asked)
    if len(specs) != 1:
        raise CommandError(
            f"{len(specs)} services: tune one at a time (give one document, "
            "or --model NAME)"
        )
    ((key, spec),) = specs.items()
    begun, rest = _parts(whole)
    named = _named(spec)
    asks = asking(wanted.how, dimensions(spec), wanted.points, asked.seed)
    searched = wanted.points + len(named)
    with watching(searched + FIELDS + 1 + len(named)) as watch:
        with Runs(begun, key, wanted.jobs) as runs:
            watch.ends(runs.end)
            tried = search(runs, named, asks, goal, watch)
            if not tried:
                print("no settings were tried to their end", file=sys.stderr)
                return _INTERRUPTED
            picked = pick(tried, goal)
            heat = grid(runs, picked.spec, watch, searched)
        found, sure = _held_back(rest, key, picked, named, asked.seed, watch)
    met = goal.met(picked.totals)
    said = verdict(picked, found, goal, sure)
    stopped = _STOPPED if watch.stopped else ""
    report = Front(
        points=points(tried, picked, goal), goal=str(goal), verdict=said, heat=heat
    )
    # Files before the screen, which `head` may close.
    if wanted.report is not None:
        write(
            wanted.report,
            [render(found, origin_of(asked, whole, stopped), front=report)],
        )
    if wanted.patch is not None and met:
        write(wanted.patch, [_patch(asked.paths, key, picked.spec)])
    if wanted.as_json:
        print(json.dumps(_as_json(report, found, picked, met=met), indent=2))
    else:
        if stopped:
            print(stopped)
        for line in _screen(found, rest, tried, picked, said):
            print(printable(line))
    if watch.stopped:
        return _INTERRUPTED
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
                sure=each.sure,
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
            against.append(compared(rest.cost_s, theirs.cost_s, each.name))
    if against:
        said += f" That is {', '.join(against)}."
    if sure is not None:
        low, high = (each / _HOUR_S for each in sure.cost_s)
        said += (
            f" How sure that is: with hours drawn anew from its {sure.blocks}, 95 "
            f"times of 100 it costs {low:,.1f} to {high:,.1f} hours, 99 of 100 wait "
            f"{' to '.join(dict.fromkeys(map(duration, sure.p99_s)))} or less, and "
            f"{sure.cold[0]:.2%} to {sure.cold[1]:.2%} find no replica ready."
        )
    return said


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


def _named(spec: RevisionSpec) -> tuple[tuple[str, RevisionSpec], ...]:
    """Return what everything is compared with, the document's settings first."""
    return (
        (HERE, spec),
        (KNATIVE, plan.defaults(spec)),
        (ALWAYS, plan.always_on(spec)),
    )


def _held_back(
    rest: plan.Question,
    key: RevisionKey,
    picked: Tried,
    named: Sequence[tuple[str, RevisionSpec]],
    seed: int,
    watch: Watch,
) -> tuple[list[Outcome], Bands | None]:
    """Run the pick and what it is compared with on the part not used for choosing.

    At Ctrl-C no more than the pick, and those that were run to their end.
    """
    run = World(plan.scenario(rest, {key: picked.spec})).run()
    found = [plan.outcome(PICK, {key: picked.spec}, run)]
    for name, other in named:
        one = plan.answer(name, rest, {key: other}, lambda share: not watch.stopped)
        if watch.stopped:
            return found, None
        found.append(one)
    return found, bands(run, seed=seed)


def _screen(
    found: Sequence[Outcome],
    rest: plan.Question,
    tried: Sequence[Tried],
    picked: Tried,
    said: str,
) -> Iterator[str]:
    yield f"{len(tried)} settings tried on the first {_CHOSEN_ON:.0%} of the trace"
    yield "on the rest:"
    yield ""
    yield from lines(found, rest)
    yield ""
    for name, value in chosen(picked.spec).items():
        yield f"  {name}: {value}"
    yield f"  minReplicas: {picked.spec.scaling.min_replicas}"
    yield ""
    yield said


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
