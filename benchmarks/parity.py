"""Same code, same decisions: a real `fromzero up`, and the same run simulated.

    python -m benchmarks.parity play FILE [--short]
    python -m benchmarks.parity score FILE...

`play` runs real processes for ten minutes (or one) and writes all that was recorded.
`score` simulates each recorded run, with its own arrivals, starts and service times,
compares it with the real one, and the real ones with each other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median

from benchmarks.likeness import Likeness, Story, compare
from benchmarks.played import LONG, SHORT, play
from benchmarks.replayed import simulated, told

NOISE = 1.25
"""A simulation may be so much further from a run than another run is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of a comparison, and what it has to be."""

    name: str
    of: Callable[[Likeness], float]
    shown: str
    """Its format."""
    rule: str = ""
    holds: Callable[[float], bool] = lambda _: True
    least: bool = False
    """The least of several is the worst."""
    noisy: bool = False
    """A distance: it may be NOISE times what it is between real runs."""

    def worst(self, of: Sequence[float]) -> float:
        return min(of) if self.least else max(of, key=abs)


def _ratio(pair: tuple[float, float]) -> float:
    return abs(pair[1] / pair[0] - 1) if pair[0] else float(pair[1] > 0)


def _starts(like: Likeness) -> float:
    a, b = like.starts
    return abs(b - a) / max(1.0, 0.05 * a)


MEASURES = (
    Measure(name="ticks with equal desired", of=lambda k: k.equal, shown="{:.2%}",
            least=True),
    Measure(name="the same within 10 s of a change", of=lambda k: k.near,
            shown="{:.2%}", least=True),
    Measure(name="ticks that differ", of=lambda k: 1 - k.equal, shown="{:.2%}",
            noisy=True),
    Measure(name="latest common change, ticks", of=lambda k: k.lag_ticks,
            shown="{:.3f}"),
    Measure(name="changes that one alone made", of=lambda k: k.unmatched, shown="{:g}"),
    Measure(name="cold starts: recall", of=lambda k: k.recall, shown="{:.3f}",
            rule=">= 0.95", holds=lambda x: x >= 0.95, least=True),
    Measure(name="cold starts: precision", of=lambda k: k.precision, shown="{:.3f}",
            rule=">= 0.95", holds=lambda x: x >= 0.95, least=True),
    Measure(name="waits > 0.1 s: MAPE", of=lambda k: k.mape, shown="{:.2%}",
            noisy=True),
    Measure(name="waits > 0.1 s: Pearson", of=lambda k: k.pearson, shown="{:.5f}",
            least=True),
    Measure(name="waits > 0.1 s: bias, ms", of=lambda k: 1000 * k.bias_s,
            shown="{:+.1f}"),
    Measure(name="p50 wait, ms apart",
            of=lambda k: 1000 * (k.quantiles[0][1] - k.quantiles[0][0]),
            shown="{:+.1f}"),
    Measure(name="p95 wait, apart", of=lambda k: _ratio(k.quantiles[1]),
            shown="{:.2%}", rule="<= 10 %", holds=lambda x: x <= 0.10),
    Measure(name="p99 wait, apart", of=lambda k: _ratio(k.quantiles[2]),
            shown="{:.2%}"),
    Measure(name="waits: KS distance", of=lambda k: k.distance, shown="{:.4f}",
            noisy=True),
    Measure(name="replica-seconds, apart", of=lambda k: _ratio(k.replica_s),
            shown="{:.2%}", rule="<= 3 %", holds=lambda x: x <= 0.03),
    Measure(name="starts, of max(1, 5 %)", of=_starts, shown="{:.2f}", rule="<= 1",
            holds=lambda x: x <= 1),
    Measure(name="failed starts apart", of=lambda k: k.failures[1] - k.failures[0],
            shown="{:+g}"),
    Measure(name="answered apart", of=lambda k: k.answered[1] - k.answered[0],
            shown="{:+g}"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("play", "score"))
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--short", action="store_true", help="one minute, not ten")
    given = parser.parse_args()
    if given.what == "play":
        for file in given.files:
            file.write_text(json.dumps(play(SHORT if given.short else LONG)))
        return
    real, other = [], []
    for file in given.files:
        played = json.loads(file.read_text())
        story, _ = told(played)
        real.append(story)
        other.append(simulated(played))
    print(*runs(real, other), "", *table(real, other), sep="\n")


def runs(real: Sequence[Story], other: Sequence[Story]) -> list[str]:
    """Say what each run was, and what the simulation of it."""
    lines = [
        "| run | sleeps | changes | most | starts | failed | cold | cold: both, "
        "real only, simulated only, neither | replica-seconds | p95, p99 wait |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, (a, b) in enumerate(zip(real, other, strict=True), 1):
        like = compare(a, b)
        pairs = (
            (a.sleeps, b.sleeps),
            (len(a.desired), len(b.desired)),
            (a.most, b.most),
            (a.starts, b.starts),
            (a.failures, b.failures),
            (int(a.cold.sum()), int(b.cold.sum())),
        )
        matrix = (
            like.both_cold, like.only_a_cold, like.only_b_cold, like.neither_cold
        )  # fmt: skip
        cells = [f"{x} / {y}" for x, y in pairs]
        cells += [", ".join(map(str, matrix))]
        cells += [f"{a.replica_s:.1f} / {b.replica_s:.1f}"]
        cells += [", ".join(f"{x:.3f} / {y:.3f} s" for x, y in like.quantiles[1:])]
        lines.append(f"| {number} | {' | '.join(cells)} |")
    return lines


def table(real: Sequence[Story], other: Sequence[Story]) -> list[str]:
    """Compare each run with its simulation, and each run with each other one."""
    replays = [compare(a, b) for a, b in zip(real, other, strict=True)]
    repeats = [compare(a, b) for a, b in combinations(real, 2)]
    lines = [
        "| measure | simulated and real: median (worst) | real and real: median "
        "(worst) | must be | |",
        "|---|---|---|---|---|",
    ]
    for each in MEASURES:
        ours = [each.of(like) for like in replays]
        theirs = [each.of(like) for like in repeats]
        lines.append(_row(each, ours, theirs))
    return lines


def _row(each: Measure, ours: list[float], theirs: list[float]) -> str:
    rule, met = each.rule, each.holds(each.worst(ours))
    if each.noisy and theirs:
        most = NOISE * median(theirs)
        rule, met = f"<= {NOISE} x real", median(ours) <= most
    verdict = ("met" if met else "MISSED") if rule else ""
    cells = [_cell(each, ours), _cell(each, theirs) if theirs else "", rule, verdict]
    return f"| {each.name} | {' | '.join(cells)} |"


def _cell(each: Measure, values: list[float]) -> str:
    middle, worst = each.shown.format(median(values)), each.worst(values)
    return f"{middle} ({each.shown.format(worst)})"


if __name__ == "__main__":
    main()
