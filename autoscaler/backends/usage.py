"""What replicas use of this machine, in % of what they are said to use.

CPU is a rate between two looks. Memory is what is resident, added up: a page that two
processes of a replica share counts twice, as finding out which they share costs
milliseconds for each process.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoscaler.backends.base import Requested
from autoscaler.core.domain import Metric

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One process at one look."""

    parent: int
    ticks: int
    """Of CPU, by itself and by the children that it has reaped."""
    memory: int = 0
    """Bytes that are resident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a replica has used by now, and holds now."""

    ticks: int
    memory: int


class Look:
    """All processes of a machine at one time."""

    def __init__(self, processes: Mapping[int, Seen], at: float) -> None:
        self.at = at
        self._processes = processes
        self._children: dict[int, list[int]] = defaultdict(list)
        for pid, each in processes.items():
            self._children[each.parent].append(pid)

    def parent(self, pid: int) -> int:
        """Return the parent of *pid*; 0: there is none, or no such process."""
        return its.parent if (its := self._processes.get(pid)) else 0

    def below(self, root: int) -> Use:
        """Return the use of all that descend from *root*, the dead among them too.

        CPU of the dead is with whoever reaped them, so *root*'s own counts as well.

        >>> look = Look({2: Seen(parent=1, ticks=1, memory=8),
        ...              3: Seen(parent=2, ticks=20, memory=4),
        ...              4: Seen(parent=3, ticks=300, memory=2)}, at=0.0)
        >>> look.below(2)
        Use(ticks=321, memory=6)
        """
        seen = {root}
        order = [root]
        for pid in order:
            new = [each for each in self._children.get(pid, ()) if each not in seen]
            seen.update(new)
            order += new
        its = [self._processes[pid] for pid in order if pid in self._processes]
        own = self._processes.get(root)
        return Use(
            ticks=sum(each.ticks for each in its),
            memory=sum(each.memory for each in its) - (own.memory if own else 0),
        )


class Meter:
    """The use of one revision from look to look."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._before: dict[str, tuple[float, int]] = {}
        self._passed: frozenset[str] = frozenset()

    def percent(
        self, uses: Mapping[str, Use], requested: Requested, at: float
    ) -> float | None:
        """Return the mean of those whose use is known; None: of none, or of nothing."""
        if self.metric is Metric.MEMORY:
            whole: float = requested.memory
            known: list[float] = [each.memory for each in uses.values()]
        else:
            whole = requested.cpu
            known = list(self._cores(uses, at))
        if not known or not whole:
            return None
        return 100.0 * sum(known) / len(known) / whole

    def _cores(self, uses: Mapping[str, Use], at: float) -> Iterator[float]:
        """Give the rate of each replica that was seen before."""
        before, self._before = self._before, {}
        passed, self._passed = self._passed, frozenset()
        for name, use in uses.items():
            then, ticks = before.get(name, (at, use.ticks))
            if use.ticks < ticks and name not in passed:
                # One died between the look at its parent and that at itself: it will
                # be in its parent's sum at the next look, which is measured from the
                # look before this one. Twice is no accident: nobody reaps it.
                self._before[name] = then, ticks
                self._passed |= {name}
                continue
            self._before[name] = at, use.ticks
            if at > then:
                yield max(0, use.ticks - ticks) / TICKS_PER_S / (at - then)


def measurable(proc: Path = PROC) -> bool:
    """Say whether processes can be seen here."""
    return (proc / "self" / "stat").exists()


def processes(proc: Path = PROC) -> dict[int, Seen]:
    """Read all processes there are, parents before those that they start."""
    found = {}
    try:
        names = os.listdir(proc)
    except OSError:
        return {}
    for pid in sorted(int(name) for name in names if name.isdigit()):
        try:
            with open(proc / str(pid) / "stat", "rb") as file:
                # A program may have spaces and brackets in its name.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # It has ended meanwhile.
        if len(fields) > _RESIDENT:
            found[pid] = Seen(
                parent=int(fields[_PARENT]),
                ticks=sum(map(int, fields[_TICKS])),
                memory=int(fields[_RESIDENT]) * _PAGE_BYTES,
            )
    return found


# Fields of /proc/PID/stat after the name, see proc_pid_stat(5).
_PARENT = 1
_TICKS = slice(11, 15)  # utime, stime, cutime, cstime
_RESIDENT = 21
