"""Settings chosen on the first days of a trace, held against others on the days after.

What `python -m benchmarks.findings` compares runs by: a run in figures, which of two is
as good, the cheapest of many that are, and how sure a saving is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil

import numpy as np

from autoscaler.core.domain import RevisionKey, RevisionSpec
from simulations import edit, plan, sweep
from simulations.chance import generator
from simulations.coldstart import parse
from simulations.run import End, Run
from simulations.totals import Totals, totals
from simulations.trace import Trace
from simulations.world import World

KEY = RevisionKey("default", "model")
LOAD_S = 37.0
SERVICE_S = 4.0
"""Where a trace only counts requests."""
CHOSEN_ON = 0.6
HOUR_S = 3_600.0
THIRDS = 3
"""Settings must be as good in each of so many parts of the days they are chosen on:
those that are so by luck are not so again."""
SLACKS = (0.0, 0.05)
"""How much longer a p99 wait may be and still be called equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Who waited in a part of a run."""

    asked: int
    cold: int
    answered: int
    lost: int
    """Turned away, or left: who still waits at the end is neither this nor answered."""
    waited: tuple[float, ...]
    """How long those that were answered and waited did."""

    @property
    def cold_share(self) -> float:
        return self.cold / self.asked if self.asked else 0.0

    @property
    def p99_s(self) -> float:
        """Return what 99 of 100 that were answered waited at most."""
        rank = ceil(0.99 * self.answered) - (self.answered - len(self.waited))
        return sorted(self.waited)[rank - 1] if rank > 0 else 0.0

    def __add__(self, other: Waits) -> Waits:
        return Waits(
            asked=self.asked + other.asked,
            cold=self.cold + other.cold,
            answered=self.answered + other.answered,
            lost=self.lost + other.lost,
            waited=self.waited + other.waited,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run in figures, what each hour of it cost, who waited in each third."""

    totals: Totals
    hours: tuple[float, ...]
    thirds: tuple[Waits, ...]

    @property
    def cost_h(self) -> float:
        return self.totals.cost_s / HOUR_S


def simulated(job: tuple[Trace, RevisionSpec]) -> Ran:
    """Run these settings on a trace, with a constant cold start."""
    asked, spec = job
    question = plan.Question(
        trace=asked,
        keys=dict.fromkeys(asked.models, KEY),
        service=plan.Service(base_s=SERVICE_S),
        cold_start=parse(f"{LOAD_S:g}s"),
    )
    run = World(plan.scenario(question, {KEY: spec})).run()
    found = plan.outcome("", {KEY: spec}, run)
    hours = np.zeros(int(run.until // HOUR_S) + 1)
    for machine in run.machines:
        end = min(machine.gone, run.until)
        for hour in range(int(machine.launched // HOUR_S), int(end // HOUR_S) + 1):
            begin = max(machine.launched, hour * HOUR_S)
            hours[hour] += max(0.0, min(end, (hour + 1) * HOUR_S) - begin)
    return Ran(totals=totals(found), hours=tuple(hours.tolist()), thirds=waits(run))


def waits(run: Run, parts: int = THIRDS) -> tuple[Waits, ...]:
    """Return who waited in each of so many parts of a run, by when they came."""
    at = np.asarray(run.requests.arrivals, dtype=np.float64)
    part = np.minimum((at * (parts / run.until)).astype(int), parts - 1)
    ends = np.frombuffer(run.ends, dtype=np.uint8)
    answered, lost = ends == End.ANSWERED, ends > End.ANSWERED
    cold = np.frombuffer(run.cold, dtype=np.uint8)
    waited: list[list[float]] = [[] for _ in range(parts)]
    for number, wait in run.waits.items():
        if answered[number]:
            waited[part[number]].append(wait)
    return tuple(
        Waits(
            asked=int((part == n).sum()),
            cold=int(cold[part == n].sum()),
            answered=int(answered[part == n].sum()),
            lost=int(lost[part == n].sum()),
            waited=tuple(waited[n]),
        )
        for n in range(parts)
    )


def case(
    pool: ProcessPoolExecutor, traces: Sequence[Trace], spec: RevisionSpec, points: int
) -> Iterator[list[str]]:
    """Yield a row for each slack: each trace tuned by itself, all of them summed."""
    parts = [
        (edit.slice_(each, 0.0, cut), edit.slice_(each, cut, 1e12))
        for each in traces
        for cut in [each.span_s * CHOSEN_ON]
    ]
    found = [chosen(pool, first, spec, points) for first, _ in parts]
    rests = [rest for _, rest in parts]
    base = list(pool.map(simulated, [(rest, spec) for rest in rests]))
    for slack, specs in zip(SLACKS, zip(*found, strict=True), strict=True):
        ran = list(pool.map(simulated, zip(rests, specs, strict=True)))
        yield [f"{100 * slack:.0f} %", *compared(base, ran, slack), said(spec, specs)]


def compared(base: Sequence[Ran], ran: Sequence[Ran], slack: float) -> list[str]:
    """Return one row of runs on the same traces with other settings than *base*."""
    ours, theirs = (_hours(each) for each in (ran, base))
    mine, plain = (_all(each) for each in (ran, base))
    low, high = band(ours, theirs)
    good = not worse([mine], [plain], slack)
    return [
        f"{sum(theirs) / HOUR_S:.1f} -> {sum(ours) / HOUR_S:.1f}",
        f"{100 * (1 - sum(ours) / sum(theirs)):.0f}",
        f"{low:.0f}..{high:.0f}",
        f"{100 * plain.cold_share:.2f} -> {100 * mine.cold_share:.2f}",
        f"{plain.p99_s:.1f} -> {mine.p99_s:.1f}",
        "yes" if good else "NO",
    ]


def said(spec: RevisionSpec, specs: Sequence[RevisionSpec]) -> str:
    """Say what was changed, if all were changed alike; else in how many."""
    plain = plan.said(spec)
    if len(specs) > 1:
        return f"{sum(each != spec for each in specs)} of {len(specs)}"
    return ", ".join(
        f"{k} {v}" for k, v in plan.said(specs[0]).items() if plain[k] != v
    )


def _hours(rans: Sequence[Ran]) -> list[float]:
    found = np.zeros(max(len(each.hours) for each in rans))
    for each in rans:
        found[: len(each.hours)] += each.hours
    return [float(each) for each in found]


def _all(rans: Sequence[Ran]) -> Waits:
    total, *more = [third for ran in rans for third in ran.thirds]
    for each in more:
        total += each
    return total


def chosen(
    pool: ProcessPoolExecutor, first: Trace, spec: RevisionSpec, points: int
) -> tuple[RevisionSpec, ...]:
    """Return, for each slack, the cheapest settings that are no worse than *spec* in
    any third of *first*; *spec* itself where nothing is cheaper."""
    base = simulated((first, spec))
    tried = [(spec, base)]
    asks = sweep.Sweep(sweep.dimensions(spec), points, 1)
    while choices := asks.ask():
        jobs = [(first, sweep.apply(spec, choice)) for choice in choices]
        seen = []
        for choice, (_, each), ran in zip(
            choices, jobs, pool.map(simulated, jobs), strict=True
        ):
            tried.append((each, ran))
            seen.append(
                sweep.Seen(
                    choice=choice,
                    cost_s=ran.totals.cost_s,
                    wait_s=ran.totals.mean_wait_s,
                    excess=worse(ran.thirds, base.thirds, SLACKS[-1]),
                )
            )
        asks.tell(seen)
    return tuple(
        min(
            (each for each in tried if not worse(each[1].thirds, base.thirds, slack)),
            key=lambda each: each[1].totals.cost_s,
        )[0]
        for slack in SLACKS
    )


def worse(ours: Sequence[Waits], theirs: Sequence[Waits], slack: float) -> float:
    """Return by how much ours are colder, wait longer at p99 by more than *slack*, or
    are lost more often, in any part; 0: they are as good in all."""
    return sum(
        max(0.0, our.cold_share - their.cold_share)
        + max(0.0, our.p99_s - their.p99_s * (1 + slack) - 1e-6) / LOAD_S
        + max(0, our.lost - their.lost)
        for our, their in zip(ours, theirs, strict=True)
    )


def band(
    ours: Sequence[float], theirs: Sequence[float], times: int = 2_000
) -> tuple[float, float]:
    """Draw hours with replacement, the same of both: where 95 % of savings lie."""
    count = min(len(ours), len(theirs))
    a, b = np.array(ours[:count]), np.array(theirs[:count])
    drawn = generator(1, "hours").integers(0, count, (times, count))
    theirs_h = b[drawn].sum(axis=1)
    some = theirs_h > 0.0  # a rare model may have had no request in all hours drawn
    savings = 100 * (1 - a[drawn].sum(axis=1)[some] / theirs_h[some])
    low, high = np.quantile(savings, (0.025, 0.975))
    return float(low), float(high)
