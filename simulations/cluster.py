"""Replicas in virtual time: how they start, break and go. The Fleet's backend here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, auto
from math import inf
from typing import Protocol

from autoscaler.core.domain import Replica, RevisionKey, StartFailure
from simulations.chance import exponential, uniform
from simulations.coldstart import A_SECOND, ColdStart
from simulations.engine import Engine, Rank
from simulations.nodes import Nodes, Pool
from simulations.starting import Starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A stretch of time in which every start fails."""

    begin: float
    end: float
    after_s: float = 1.0
    """From launch to failure."""
    reason: str = "exit status 1: no reason given"
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one replica was measured to take: nothing of it is drawn."""

    start_s: float
    """From launch to ready, or to its failure."""
    stop_s: float = 0.0
    failure: str = ""
    """Not empty: it did not come to be ready, for this reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What replicas of one revision do, whatever is asked of them."""

    cold_start: ColdStart = A_SECOND
    """From launch to ready."""
    image: str = ""
    """What a node pulls once for all that have the same; empty: its revision's own."""
    lifetime_s: float = inf
    """Mean time from ready to a crash, exponential."""
    stop_s: float = 0.0
    """From being told to stop to being gone."""
    slowing: float = 0.0
    """By what share a request takes longer for each other that its replica has when it
    comes; 0: an engine that fills up is as fast as ever."""
    failing: tuple[Failing, ...] = ()
    lives: tuple[Life, ...] = ()
    """Those of its first replicas, by their numbers, as a real run had them."""


class Part(IntEnum):
    """What a replica's time is spent on.

    Numbers, because each request looks two of them up, and only they hash in C.
    """

    LOADING = auto()
    IDLE = auto()
    BUSY = auto()
    DRAINING = auto()


class Machine:
    """One replica, and what its time went into."""

    __slots__ = (
        "gone",
        "gpus",
        "id",
        "in_flight",
        "key",
        "launched",
        "listening",
        "node",
        "number",
        "part",
        "peak",
        "picture",
        "placed",
        "seconds",
        "since",
        "slowing",
        "stopping",
    )

    def __init__(
        self, key: RevisionKey, number: int, now: float, slowing: float = 0.0
    ) -> None:
        self.key = key
        self.slowing = slowing
        self.number = number
        self.id = f"{key}-{number}"
        self.picture = Replica(id=self.id, host="10.0.0.1", port=number)
        """As its backend shows it, for all its life."""
        self.launched = now
        self.placed = now
        """Since when it has its GPUs and costs; inf: it waits for a place on a node."""
        self.gpus = 0
        """That it takes."""
        self.node = 0
        """The number of the node it is on, where there are nodes."""
        self.listening = False
        """Ready to answer; from the end of its cold start until it is gone."""
        self.stopping = False
        """Told to stop."""
        self.gone = inf
        self.in_flight = 0
        self.peak = 0
        """The most it had in flight."""
        self.part = Part.LOADING
        self.since = now
        """Since when it is in *part*."""
        self.seconds = dict.fromkeys(Part, 0.0)

    def turn(self, part: Part, now: float) -> None:
        """Spend the time from *now* on something else; `Traffic` writes this out."""
        self.seconds[self.part] += now - self.since
        self.part = part
        self.since = now


class Sink(Protocol):
    """Who is told; the first two are what every backend tells its loop."""

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        """Take the complete picture of a revision."""

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        """Take note that a start failed; a picture without it follows."""

    def listens(self, machine: Machine) -> None:
        """Have it probed: from now on it answers."""

    def broke(self, machine: Machine) -> None:
        """Lose what it has in flight; a picture without it follows."""


class Cluster:
    """All replicas of a run; scaled as any backend is, reporting to a Sink."""

    def __init__(
        self, engine: Engine, sink: Sink, *, seed: int, nodes: Nodes | None = None
    ) -> None:
        self._engine = engine
        self._sink = sink
        self._seed = seed
        self._behaviours: dict[RevisionKey, Behaviour] = {}
        self._gpus: dict[RevisionKey, int] = {}
        self._groups: dict[RevisionKey, dict[str, Machine]] = {}
        self._starts: Counter[RevisionKey] = Counter()
        self.machines: list[Machine] = []
        """Every replica there has been, in the order of their starts."""
        self.failures: Counter[RevisionKey] = Counter()
        """Starts that failed."""
        self.crashes: Counter[RevisionKey] = Counter()
        self._nodes = nodes
        self._starting: Starting | None = None
        if nodes is not None:
            self._starting = Starting(
                engine,
                nodes,
                seed=seed,
                placed=self._place,
                ready=self._listen,
                failed=self._fail,
            )

    @property
    def pool(self) -> Pool | None:
        """The nodes there are; None: replicas are placed nowhere."""
        return None if self._starting is None else self._starting.pool

    def configure(self, key: RevisionKey, behaviour: Behaviour, gpus: int = 0) -> None:
        """Let replicas of *key* behave so from now on, each with so many GPUs."""
        if self._nodes is None and any(each.size for each in behaviour.cold_start):
            raise ValueError(f"{key}: a start loads bytes, but there are no nodes")
        if self._nodes is not None and gpus > self._nodes.gpus:
            raise ValueError(
                f"{key}: a replica needs {gpus} GPUs, but no node has more than "
                f"{self._nodes.gpus}"
            )
        self._gpus[key] = gpus
        self._behaviours[key] = behaviour
        self._groups.setdefault(key, {})

    def scale(self, key: RevisionKey, replicas: int, stop: tuple[str, ...]) -> None:
        """Have *replicas* replicas: stop those named, start what lacks."""
        group = self._groups[key]
        for name in stop:
            if name in group:
                self._stop(group[name])
        staying = sorted(
            (machine for machine in group.values() if not machine.stopping),
            key=lambda machine: (not machine.listening, machine.number),
        )
        for machine in staying[replicas:]:
            self._stop(machine)
        for _ in range(replicas - len(staying)):
            self._launch(key)
        self._show(key)

    def remove(self, key: RevisionKey) -> None:
        """Stop every replica of *key*."""
        if key in self._groups:
            self.scale(key, 0, ())

    def living(self, key: RevisionKey) -> Iterator[Machine]:
        """Yield the replicas of *key* that are not gone."""
        yield from self._groups[key].values()

    def find(self, key: RevisionKey, replica: str) -> Machine | None:
        """Return the replica of that name if it is not gone."""
        return self._groups[key].get(replica)

    def close(self) -> None:
        """Count the time of those that are still there at the end of a run."""
        for machine in self.machines:
            if machine.gone == inf and machine.placed < inf:
                machine.turn(machine.part, self._engine.now)

    def _launch(self, key: RevisionKey) -> None:
        now = self._engine.now
        behaviour = self._behaviours[key]
        self._starts[key] = number = self._starts[key] + 1
        machine = Machine(key, number, now, behaviour.slowing)
        machine.gpus = self._gpus[key]
        self.machines.append(machine)
        self._groups[key][machine.id] = machine
        if self._starting is None:
            self._begin(machine, now)
            return
        machine.placed = inf
        image = behaviour.image or str(key)
        self._starting.enter(machine, behaviour.cold_start, image)

    def _place(self, machine: Machine, now: float) -> None:
        machine.placed = machine.since = now
        self._begin(machine, now)

    def _begin(self, machine: Machine, now: float) -> None:
        """Let the start of a replica go on that has a place."""
        key, behaviour = machine.key, self._behaviours[machine.key]
        for failing in behaviour.failing:
            if failing.begin <= now < failing.end:
                failure = StartFailure(
                    reason=failing.reason, final=failing.final, replica=machine.id
                )
                at = now + failing.after_s
                self._engine.at(at, Rank.DEPARTURE, self._fail, (machine, failure))
                return
        life = self._life(machine)
        if life is not None:
            at = now + life.start_s
            if life.failure:
                failure = StartFailure(
                    reason=life.failure, final=True, replica=machine.id
                )
                self._engine.at(at, Rank.DEPARTURE, self._fail, (machine, failure))
                return
        elif self._starting is not None:
            self._starting.load(machine, now)
            return
        else:
            at = now
            for phase in behaviour.cold_start:
                chance = uniform(self._seed, f"{key}/{phase.name}", machine.number)
                at += phase.draw(chance)
        self._engine.at(at, Rank.DEPARTURE, self._listen, machine)

    def _life(self, machine: Machine) -> Life | None:
        lives = self._behaviours[machine.key].lives
        return lives[machine.number - 1] if machine.number <= len(lives) else None

    def _listen(self, machine: Machine, now: float) -> None:
        if machine.stopping:
            return
        machine.listening = True
        machine.turn(Part.IDLE, now)
        lifetime_s = self._behaviours[machine.key].lifetime_s
        if lifetime_s < inf:
            chance = uniform(self._seed, f"{machine.key}/life", machine.number)
            at = now + exponential(lifetime_s, chance)
            self._engine.at(at, Rank.DEPARTURE, self._crash, machine)
        self._sink.listens(machine)

    def _fail(self, subject: tuple[Machine, StartFailure], now: float) -> None:
        machine, failure = subject
        if machine.stopping:
            return
        self.failures[machine.key] += 1
        self._sink.failed(machine.key, failure)
        self._end(machine, now)

    def _crash(self, machine: Machine, now: float) -> None:
        if machine.gone == inf:
            self.crashes[machine.key] += 1
            machine.listening = False
            self._sink.broke(machine)
            self._end(machine, now)

    def _stop(self, machine: Machine) -> None:
        if machine.stopping:
            return
        now = self._engine.now
        machine.stopping = True
        if machine.listening:
            if machine.in_flight:
                self._sink.broke(machine)
            machine.turn(Part.DRAINING, now)
        life = self._life(machine)
        stop_s = self._behaviours[machine.key].stop_s if life is None else life.stop_s
        if self._starting is not None:
            self._starting.stop(machine, now)
        self._engine.at(now + stop_s, Rank.DEPARTURE, self._end, machine)

    def _end(self, machine: Machine, now: float) -> None:
        if machine.gone < inf:
            return
        if machine.placed < inf:
            machine.turn(machine.part, now)
        machine.gone = now
        machine.listening = False
        del self._groups[machine.key][machine.id]
        if self._starting is not None:
            self._starting.leave(machine, now)
        self._show(machine.key)

    def _show(self, key: RevisionKey) -> None:
        group = self._groups[key].values()
        self._sink.observed(key, tuple([machine.picture for machine in group]))
