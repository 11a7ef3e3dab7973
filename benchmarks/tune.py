"""What a tune of a week takes, in runs of that week; and the two searches side by side.

    python -m benchmarks.tune [--points N] [--jobs N …] [--searches] [--seeds N …]

The week is generated: bursts with quiet between them, a request each half minute, up to
four replicas that take eight at once. It is tuned by the command itself: settings are
chosen on its first 60 % and tried on the rest. A plain run of the whole week is timed
before and after, in this same process; what else the machine does slows the clock of
both, so the processors' time is told too.

`--searches` has both searches try as many points on two kinds of half a day instead:
what share of the field their points cover (simulations/pareto.py), and the cheapest
that meets the goal.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from autoscaler.core.domain import RevisionSpec
from fromzero.asked import Asked, question
from fromzero.flags import How
from fromzero.search import Runs, Tried, asking, search
from fromzero.simulate import watching
from fromzero.tune import Wanted, pick, tune
from simulations import plan
from simulations.formats import own
from simulations.goal import parse
from simulations.pareto import covered
from simulations.shapes import Shape, Sizes, made
from simulations.sweep import dimensions

DAY_S = 86_400.0
POINTS = 500
SLO = "cold<10%"
DOCUMENT = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: model}}
spec:
  predictor:
    minReplicas: 0
    maxReplicas: 4
    containerConcurrency: {concurrency}
    containers:
      - {{name: kserve-container, image: none, command: [serve]}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to."""

    tried: tuple[Tried, ...]
    pick_h: float
    took_s: float

    @property
    def pairs(self) -> list[tuple[float, float]]:
        return [(t.totals.cost_s, t.totals.mean_wait_s) for t in self.tried]


def asked(folder: Path, span_s: float, kind: str, concurrency: int) -> Asked:
    """Write a document and a trace of so long, and return what `tune` is asked."""
    shape = Shape(kind=kind, rate=1 / 30, span_s=span_s, on_s=1_200.0, off_s=9_000.0)
    trace = made(shape, Sizes(service_s=4.0))
    (folder / "model.yaml").write_text(DOCUMENT.format(concurrency=concurrency))
    (folder / "trace.csv").write_text("".join(own.write(trace)))
    return Asked(
        paths=(folder / "model.yaml",), trace=folder / "trace.csv", cold_start="37s"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What something took: by the clock, and of all processors."""

    wall_s: float
    cpu_s: float


def timed(what: Callable[[], object]) -> Took:
    """Do it, quietly."""
    wall, cpu, said = time.perf_counter(), _cpu_s(), io.StringIO()
    with contextlib.redirect_stdout(said):
        what()
    return Took(wall_s=time.perf_counter() - wall, cpu_s=_cpu_s() - cpu)


def _cpu_s() -> float:
    """Return what this process has used, and those of its that have ended."""
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


def week(points: int, jobs: Sequence[int]) -> None:
    """Print how long a tune takes, with so many processes each."""
    with TemporaryDirectory() as folder:
        ours = asked(Path(folder), 7 * DAY_S, "bursts", 8)
        what, specs = question(ours)
        single = partial(timed, partial(plan.answer, "", what, dict(specs)))
        before = single()
        for count in jobs:
            report = Path(folder) / "tune.html"
            wanted = Wanted(
                slo=SLO, points=points, jobs=count, as_json=True, report=report
            )
            took = timed(partial(tune, ours, wanted))
            after = single()
            wall_s, cpu_s = before.wall_s + after.wall_s, before.cpu_s + after.cpu_s
            print(
                f"{points} points, {count} of {os.cpu_count()} cores: "
                f"{took.wall_s:,.0f} s, {took.cpu_s:,.0f} s of processors; one run of "
                f"the week {wall_s / 2:.2f} s, {cpu_s / 2:.2f} s; so it is "
                f"{2 * took.wall_s / wall_s:,.0f} runs by the clock and "
                f"{2 * took.cpu_s / cpu_s:,.0f} by processors",
                flush=True,
            )
            before = after


def duel(points: int, seeds: Sequence[int], kind: str, concurrency: int) -> None:
    """Print what both searches find, in as many runs."""
    with TemporaryDirectory() as folder:
        what, specs = question(asked(Path(folder), DAY_S / 2, kind, concurrency))
    ((key, spec),) = specs.items()
    found: dict[tuple[How, int], Found] = {}
    with Runs(what, key) as runs:
        for seed in seeds:
            for how in How:
                found[how, seed] = _searched(runs, spec, how, points, seed)
    pairs = [pair for each in found.values() for pair in each.pairs]
    most = max(x for x, _ in pairs), max(y for _, y in pairs)
    print(
        f"{kind}, {concurrency} at a time: {points} points, {len(what.trace):,} "
        f"requests, the cheapest with {SLO}"
    )
    for (how, seed), each in found.items():
        print(
            f"  seed {seed}, {how:6}: covered {100 * covered(each.pairs, most):.2f} %, "
            f"{each.pick_h:.3f} replica-hours, {each.took_s:.0f} s"
        )


def _searched(
    runs: Runs, spec: RevisionSpec, how: How, points: int, seed: int
) -> Found:
    goal, asks = parse(SLO), asking(how, dimensions(spec), points, seed)
    begun = time.perf_counter()
    with watching(points) as watch:
        tried = search(runs, [("", spec)], asks, goal, watch)[1:]
    return Found(
        tried=tuple(tried),
        pick_h=pick(tried, goal).totals.cost_s / 3_600.0,
        took_s=time.perf_counter() - begun,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--searches", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    if given.searches:
        for kind, concurrency in (("bursts", 8), ("on-off", 1)):
            duel(given.points, given.seeds, kind, concurrency)
    else:
        week(given.points, given.jobs)


if __name__ == "__main__":
    main()
