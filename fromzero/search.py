"""Runs of one model with many settings, on all cores: all that a search asks for, and
two settings together."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from types import TracebackType

from autoscaler.core.domain import RevisionKey, RevisionSpec
from fromzero.flags import How
from fromzero.simulate import Watch
from fromzero.study import Study
from simulations import plan, sweep
from simulations.bands import Spread
from simulations.goal import Goal
from simulations.outcome import Heat
from simulations.totals import Totals
from simulations.workload import Workload

_WINDOWS = (6, 15, 30, 60, 120, 300)
_RETENTIONS = (0, 30, 120, 300, 900, 3600)
FIELDS = len(_WINDOWS) * len(_RETENTIONS)
"""How many runs *grid* takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Settings, and what came of them on the part to choose on."""

    spec: RevisionSpec
    totals: Totals
    sure: Spread
    name: str = ""


def asking(how: How, wide: int, points: int, seed: int) -> sweep.Search:
    """Return who asks; CommandError: it is not installed."""
    make = Study if how is How.OPTUNA else sweep.Sweep
    return make(wide, points, seed)


class Runs:
    """Processes that run one model, its trace given to each of them once."""

    def __init__(self, asked: plan.Question, key: RevisionKey, jobs: int = 0) -> None:
        """Have so many; 0: one for each core."""
        self._ending = multiprocessing.Event()
        self._pool = ProcessPoolExecutor(
            jobs or os.cpu_count() or 1,
            initializer=_begin,
            initargs=(asked, key, plan.workloads(asked), self._ending),
        )

    def __enter__(self) -> Runs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the runs that have begun, and begin no more."""
        self.end()
        self._pool.shutdown(cancel_futures=True)

    def end(self) -> None:
        """Have runs end soon, wherever they are; *each* yields no more."""
        self._ending.set()

    def each(self, specs: Sequence[RevisionSpec]) -> Iterator[tuple[Totals, Spread]]:
        """Yield what each comes to, in order; what is not taken is not begun."""
        for found in self._pool.map(_try, specs):
            if found is None:
                return
            yield found


def search(
    runs: Runs,
    named: Sequence[tuple[str, RevisionSpec]],
    asks: sweep.Search,
    goal: Goal,
    watch: Watch,
) -> list[Tried]:
    """Run the *named*, then what is asked for until no more is, or Ctrl-C.

    What is asked for are settings of the first that is named.
    """
    tell = watch("searching", 0)
    base = named[0][1]
    tried = [
        Tried(spec=spec, totals=found, sure=sure, name=name)
        for (name, spec), (found, sure) in zip(
            named, runs.each([spec for _, spec in named]), strict=False
        )
    ]
    while not watch.stopped and (choices := asks.ask()):
        specs = [sweep.apply(base, choice) for choice in choices]
        seen = []
        # At Ctrl-C there are fewer found than asked for.
        for choice, spec, (found, sure) in zip(
            choices, specs, runs.each(specs), strict=False
        ):
            tried.append(Tried(spec=spec, totals=found, sure=sure))
            seen.append(
                sweep.Seen(
                    choice=choice,
                    cost_s=found.cost_s,
                    wait_s=found.mean_wait_s,
                    excess=goal.excess(found),
                )
            )
            if not tell(len(tried)):
                return tried
        if watch.stopped:
            break
        asks.tell(seen)
    return tried


def grid(runs: Runs, picked: RevisionSpec, watch: Watch, done: int) -> Heat | None:
    """Try all of two settings together, the others as they were picked.

    *done* runs came before. None: Ctrl-C came before all were tried.
    """
    specs = [
        replace(
            picked,
            scaling=replace(
                picked.scaling, stable_window_s=window, retention_s=float(kept)
            ),
        )
        for kept in _RETENTIONS
        for window in _WINDOWS
    ]
    tell = watch("two settings together", done)
    found: list[Totals] = []
    for each in () if watch.stopped else runs.each(specs):
        found.append(each[0])
        if not tell(len(found)):
            break
    if len(found) < len(specs):
        return None
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


_Task = tuple[plan.Question, RevisionKey, tuple[Workload, ...], Event]
_task: list[_Task] = []
"""What a worker process runs, given once: traces are large."""


def _begin(
    asked: plan.Question, key: RevisionKey, loads: tuple[Workload, ...], ending: Event
) -> None:
    # Ctrl-C is for the parent, which says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _task[:] = [(asked, key, loads, ending)]


def _try(spec: RevisionSpec) -> tuple[Totals, Spread] | None:
    """Run *spec*; None: it was to end, and what there is would be of a part."""
    asked, key, loads, ending = _task[0]
    found = plan.brief(asked, {key: spec}, loads, lambda share: not ending.is_set())
    return None if ending.is_set() else found
