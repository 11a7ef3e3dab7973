"""What simulations say about settings, on public traces: docs/findings.md is of this.

    python -m benchmarks.findings --traces FOLDER [panic] [grace] [histogram] [tuned]

FOLDER has the files that docs/traces.md names; what lacks one of them is left out, and
said. Every run is of the production machines, but for `histogram`, which is the closed
form of simulations/closed.py.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from autoscaler.core.domain import GateSpec, RevisionSpec, ScalingSpec
from benchmarks.held_back import (
    CHOSEN_ON,
    HOUR_S,
    LOAD_S,
    SERVICE_S,
    Ran,
    case,
    simulated,
)
from simulations import edit, plan
from simulations.chance import generator
from simulations.closed import Kept, keep, offline
from simulations.formats import servegen
from simulations.formats.known import read
from simulations.policies.histogram import Histogram
from simulations.policies.rule import Fixed, Rule
from simulations.trace import Trace, trace

CODE = "azure_llm_2024_code_10s.csv.gz"
CLIENTS = "servegen/m-large_clients_10min.csv.gz"
STATISTICS = "gentd26_per_model_statistics.csv"
SEEDS = (1, 2, 3)
CLIENTS_TUNED = 6
POINTS = 64
"""Settings tried for each trace; more find a little more."""


def knative(concurrency: int = 0, *, most: int = 0) -> RevisionSpec:
    """Return Knative's defaults for a model that may sleep."""
    spec = RevisionSpec(
        scaling=ScalingSpec(min_replicas=0, max_replicas=most),
        gate=GateSpec(
            container_concurrency=concurrency, max_held=100_000, hold_limit_s=3_600.0
        ),
    )
    spec = plan.defaults(spec)
    return replace(spec, gate=replace(spec.gate, max_held=100_000))


def changed(spec: RevisionSpec, **settings: object) -> RevisionSpec:
    return replace(spec, scaling=replace(spec.scaling, **settings))  # type: ignore[arg-type]


def m0002(folder: Path, seed: int) -> Trace:
    """Draw a trace with the published gaps and times of GenTD26's busiest model.

    Gaps are independent, which those of the real one need not be: its trace is not
    published under a licence that lets one keep it. Between two quantiles a gap is
    log-uniform; the longest is the published one.
    """
    with (folder / STATISTICS).open() as file:
        row = next(each for each in csv.DictReader(file) if each["model"] == "M0002")
    count, chance = int(row["requests"]), generator(seed, "m0002")
    shares = (0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)
    middle = [float(row[f"gap_p{p}"]) for p in (10, 25, 50, 75, 90, 95, 99)]
    gaps = np.exp(
        np.interp(chance.random(count), shares, np.log([1.0, *middle, 51_668.0]))
    )
    execs = [float(row[f"exec_p{p}"]) for p in (50, 90, 99)]
    services = np.interp(
        chance.random(count),
        (0.0, 0.5, 0.9, 0.99, 1.0),
        [execs[0] / 2, *execs, 2 * execs[2]],
    )
    at = np.cumsum(gaps)
    return trace(
        at, source="like GenTD26 M0002", services=services, span_s=float(at[-1])
    )


@cache
def code(folder: Path, factor: float, seed: int) -> Trace:
    return edit.thin(_whole(folder), factor, seed=seed)


@cache
def _whole(folder: Path) -> Trace:
    return read(folder / CODE)


def clients(folder: Path, count: int) -> list[Trace]:
    """Return the rarest clients of a ServeGen file, each as a model of its own."""
    with gzip.open(folder / CLIENTS, "rt") as file:
        head, *lines = file.read().splitlines()
    asked: Counter[str] = Counter()
    for line in lines:
        client, _, rate, *_ = line.split(",")
        asked[client] += round(float(rate) * servegen.WINDOW_S)
    rare = [client for client, _ in asked.most_common()[-count:]]
    lines = [line for line in lines if line.partition(",")[0] in set(rare)]
    whole = servegen.parse([head, *lines], CLIENTS, 1)
    return [edit.only(whole, f"client-{client}") for client in rare]


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"\n{title}")
    for row in (heads, *rows):
        first, *rest = zip(row, widths, strict=True)
        print(f"  {first[0]:<{first[1]}}", *(f"{cell:>{w}}" for cell, w in rest))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def line(name: str, rans: Sequence[Ran]) -> list[str]:
    """Return one row: the mean over the seeds' runs."""
    each = [ran.totals for ran in rans]
    return [
        name,
        f"{mean([ran.cost_h for ran in rans]):.1f}",
        f"{100 * mean([t.cold / t.requests for t in each]):.2f}",
        f"{mean([t.p95_s for t in each]):.2f}",
        f"{mean([t.p99_s for t in each]):.2f}",
        f"{mean([t.starts for t in each]):.0f}",
    ]


HEADS = ("", "replica-h", "cold %", "p95 s", "p99 s", "starts")


def compare(
    pool: ProcessPoolExecutor,
    title: str,
    traces: Sequence[Trace],
    ways: Sequence[tuple[str, RevisionSpec]],
) -> list[list[Ran]]:
    """Run each way on each trace and print the means, a row for each way."""
    jobs = [(each, spec) for _, spec in ways for each in traces]
    flat = list(pool.map(simulated, jobs))
    size = len(traces)
    rans = [flat[n * size : (n + 1) * size] for n in range(len(ways))]
    rows = [line(name, mine) for (name, _), mine in zip(ways, rans, strict=True)]
    table(f"{title}; mean of {size}", HEADS, rows)
    return rans


def less(rans: list[list[Ran]], this: int, than: int) -> str:
    """Say by how much one row is cheaper than another, seed by seed."""
    shares = [
        100 * (1 - a.cost_h / b.cost_h)
        for a, b in zip(rans[this], rans[than], strict=True)
    ]
    return f"{mean(shares):.1f} % ({min(shares):.1f} to {max(shares):.1f})"


def panic(folder: Path, pool: ProcessPoolExecutor) -> None:
    """Does panic cost a quarter of the GPU-hours, one request at a time?"""
    one = knative(1)
    ways = [("panic", one), ("no panic", changed(one, panic=False))]
    ways += [
        ("starting ones counted", changed(one, count_starting=True)),
        ("no panic, utilization 1", changed(one, panic=False, target_utilization=1.0)),
    ]
    drawn = [m0002(folder, seed) for seed in SEEDS]
    rans = compare(pool, "like GenTD26 M0002, one at a time", drawn, ways)
    print(f"  without panic {less(rans, 1, 0)} less")
    eight = knative(8)
    ways = [("panic", eight), ("no panic", changed(eight, panic=False))]
    drawn = [code(folder, 100, seed) for seed in SEEDS]
    rans = compare(pool, "azure 2024 code, 1 in 100, eight at a time", drawn, ways)
    print(f"  without panic {less(rans, 1, 0)} less")


def grace(folder: Path, pool: ProcessPoolExecutor) -> None:
    """Are grace and stable window substitutes below one replica, and not above?"""
    for factor, spec in ((1000, knative(most=1)), (100, knative(8))):
        ways = [
            ("grace 30 s, window 60 s", spec),
            ("grace 300 s", changed(spec, grace_s=300.0)),
            ("window 300 s", changed(spec, stable_window_s=300)),
        ]
        drawn = [code(folder, factor, seed) for seed in SEEDS]
        title = f"azure 2024 code, 1 in {factor}"
        if spec.gate.container_concurrency:
            title += ", eight at a time"
        rans = compare(pool, title, drawn, ways)
        print(f"  window 300 s costs {less(rans, 2, 1)} less than grace 300 s")


def kept(models: Sequence[Trace], make: Callable[[], Rule] | None) -> Kept:
    """Return what a rule comes to over all models; None: one who knows the future."""
    found = []
    for each in models:
        arrivals, span_s = each.arrivals.tolist(), each.span_s
        services = [SERVICE_S] * len(arrivals)
        if make is None:
            one = offline(arrivals, services, load_s=LOAD_S, span_s=span_s)
        else:
            one = keep(arrivals, services, make(), load_s=LOAD_S, span_s=span_s)
        found.append(one)
    total = found[0]
    for one in found[1:]:
        total += one
    return total


def histogram(folder: Path, pool: ProcessPoolExecutor) -> None:
    """Is there a timer that is no colder than the histogram, and no dearer?"""
    cases = [
        (f"azure 2024 code, 1 in {factor}", [code(folder, factor, 1)])
        for factor in (1000, 10000)
    ]
    cases.append(("ServeGen m-large, 54 rarest clients", clients(folder, 54)))
    if (folder / STATISTICS).exists():
        cases.append(("like GenTD26 M0002, independent gaps", [m0002(folder, 1)]))
    for title, models in cases:
        rows = []
        for hours in (1, 4):
            its = kept(models, partial(Histogram, hours * HOUR_S))
            timer, fixed = as_warm(models, its.cold)
            rows.append(_closed(f"histogram {hours} h", its))
            rows.append(_closed(f"  as warm: timer {timer:.0f} s", fixed))
        rows += [
            _closed(f"timer {timer:.0f} s", kept(models, partial(Fixed, timer)))
            for timer in (300.0, 1_200.0, 7_200.0)
        ]
        rows.append(_closed("knows the future", kept(models, None)))
        heads = ("", "cold %", "of always on %", "starts ahead")
        table(title, heads, rows)
        rows = []
        for hours in (1, 4):
            rule = partial(Histogram, hours * HOUR_S)
            timer, _ = as_warm(firsts(models), kept(firsts(models), rule).cold)
            rows.append(_closed(f"histogram {hours} h", later(models, rule)))
            fixed = later(models, partial(Fixed, timer))
            rows.append(_closed(f"  as warm before: timer {timer:.0f} s", fixed))
        table(f"{title}, the days held back", heads, rows)


def firsts(models: Sequence[Trace]) -> list[Trace]:
    """Return the days that timers are chosen on."""
    return [edit.slice_(each, 0.0, each.span_s * CHOSEN_ON) for each in models]


def later(models: Sequence[Trace], make: Callable[[], Rule]) -> Kept:
    """Return what a rule comes to on the days held back, with all it learnt before:
    what it comes to on all days, but for the first."""
    whole, first = asdict(kept(models, make)), asdict(kept(firsts(models), make))
    return Kept(**{name: whole[name] - first[name] for name in whole})


def as_warm(models: Sequence[Trace], cold: int) -> tuple[float, Kept]:
    """Return the shortest timer that has no more cold requests, to 1 %."""
    low, high = 1.0, 1_000_000.0
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        if kept(models, partial(Fixed, middle)).cold <= cold:
            high = middle
        else:
            low = middle
    return high, kept(models, partial(Fixed, high))


def _closed(name: str, its: Kept) -> list[str]:
    return [
        name,
        f"{100 * its.cold_share:.3f}",
        f"{100 * its.cost_share:.2f}",
        str(its.ahead),
    ]


def tuned(folder: Path, pool: ProcessPoolExecutor, points: int = POINTS) -> None:
    """What do settings save that were chosen on the first 60 % of the days, no colder
    and no slower there than Knative's defaults, on the rest?"""
    hour, tenth = code(folder, 1000, 1), code(folder, 10000, 1)
    rare = clients(folder, 54)
    some = rare[:: len(rare) // CLIENTS_TUNED][:CLIENTS_TUNED]
    cases = [
        ("code 1/1000, one at a time", [hour], knative(1)),
        ("code 1/10000, one at a time", [tenth], knative(1)),
        ("code 1/1000, eight at a time", [hour], knative(8)),
        ("code 1/10000, eight at a time", [tenth], knative(8)),
        ("code 1/1000, one replica", [hour], knative(most=1)),
        ("code 1/10000, one replica", [tenth], knative(most=1)),
        (f"ServeGen, {len(some)} rare clients, one replica", some, knative(most=1)),
    ]
    if (folder / STATISTICS).exists():
        cases.append(("like M0002, one at a time", [m0002(folder, 1)], knative(1)))
    rows = []
    for name, traces, spec in cases:
        for row in case(pool, traces, spec, points):
            rows.append([name, *row])
            print(f"{name}: {row}", flush=True)
    heads = ("", "p99 within", "replica-h", "less %", "95 %", "cold %", "p99 s",
             "as good", "changed")  # fmt: skip
    table("held-back days, Knative's -> tuned", heads, rows)


ALL = {each.__name__: each for each in (panic, grace, histogram, tuned)}
NEEDS = {
    "panic": (STATISTICS, CODE),
    "grace": (CODE,),
    "histogram": (CODE, CLIENTS),
    "tuned": (CODE, CLIENTS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("which", nargs="*", help=f"of {', '.join(ALL)}")
    given = parser.parse_args()
    for name in given.which or ALL:
        if name not in ALL:
            parser.error(f"{name}: must be one of {', '.join(ALL)}")
        lacks = [each for each in NEEDS[name] if not (given.traces / each).exists()]
        if lacks:
            print(f"\n{name}: left out, {', '.join(lacks)} is not in {given.traces}")
            continue
        begun = time.perf_counter()
        with ProcessPoolExecutor(given.jobs) as pool:
            ALL[name](given.traces, pool)
        print(f"  {name}: {time.perf_counter() - begun:.0f} s with {given.jobs} jobs")


if __name__ == "__main__":
    main()
