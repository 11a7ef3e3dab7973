"""`fromzero simulate`: what settings would have cost, and who would have waited."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fromzero import __version__
from fromzero.asked import Asked, question
from fromzero.errors import CommandError
from fromzero.files import write
from fromzero.placing import remarks
from fromzero.printable import printable
from fromzero.show import console
from simulations import plan
from simulations.coldstart import describe
from simulations.outcome import Origin, Outcome
from simulations.page.html import render
from simulations.page.parts import rows
from simulations.policies.named import PolicyError, by_name
from simulations.policies.policy import Policy
from simulations.summary import duration
from simulations.totals import totals
from simulations.world import World

HERE, KNATIVE, ALWAYS = "these settings", "Knative's", "always on"


def simulate(asked: Asked, report: Path | None, *, as_json: bool) -> int:
    """Write the report and print one screen, or JSON; return the exit status.

    Each policy that was named has a column beside the settings, on the same draws.
    """
    try:
        ways = [
            Policy(name=HERE),
            Policy(name=KNATIVE, adapt=plan.defaults),
            Policy(name=ALWAYS, adapt=plan.always_on),
        ]
        for name in asked.policies:
            by_name(name)  # Before the trace is read, which takes a while.
    except PolicyError as error:
        raise CommandError(f"--{error}") from error
    ours, specs = question(asked)
    loads = plan.workloads(ours)
    ways += [by_name(name, loads) for name in asked.policies]
    found: list[Outcome] = []
    stopped = ""
    with watching(len(ways)) as watch:
        for place, policy in enumerate(ways):
            changed = {key: policy.adapt(spec) for key, spec in specs.items()}
            scenario = replace(plan.scenario(ours, changed, loads), policy=policy)
            run = World(scenario).run(watch(policy.name, place))
            found.append(plan.outcome(policy.name, changed, run))
            if watch.stopped:
                part = duration(run.until)
                stopped = f'stopped: "{policy.name}" is of the first {part} only'
                break
    if report is not None:
        # Before the screen, which `head` may close.
        write(report, [render(found, origin_of(asked, ours, stopped))])
    if as_json:
        print(json.dumps([_as_json(each) for each in found], indent=2))
    else:
        for line in lines(found, ours, stopped):
            print(printable(line))
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
        start=describe(ours.cold_start),
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
