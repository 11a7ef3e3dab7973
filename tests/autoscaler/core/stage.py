"""A Fleet on a stage: activators and a backend around it that do as they are told.

Time goes in whole seconds; each brings a sample of every revision that is awake or
wanted, and the Fleet's ticks. What a test wants to go wrong it does by hand.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from autoscaler.core.commands import Command, Decided, Scale, Status, Tell
from autoscaler.core.domain import (
    Budget,
    Needs,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.messages import (
    Drained,
    Gone,
    Ready,
    ReplicaLoad,
    Sample,
    View,
    Wake,
)

GIB = 1 << 30
LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")
TEXT = RevisionKey("default", "text")

SLEEPY = ScalingSpec(total_value=10.0, min_replicas=0, max_replicas=4, initial_scale=0)


def spec(scaling: ScalingSpec = SLEEPY, *, gib: int = 0, gpus: int = 0, **changes):
    """Return a revision that may sleep, its scaling changed as named."""
    return RevisionSpec(
        scaling=replace(scaling, **changes), needs=Needs(memory=gib * GIB, gpus=gpus)
    )


class Stage:
    """A Fleet, what it was told, and what came of it."""

    def __init__(
        self, *, budget: Budget | None = None, reporters: tuple[str, ...] = ("a",)
    ) -> None:
        self.now = 0.0
        self.fleet = Fleet(budget=budget or Budget(), now=0.0)
        self.views: dict[RevisionKey, View] = {}
        self.said: list[tuple[float, Command]] = []
        self.there: dict[RevisionKey, list[str]] = defaultdict(list)
        """Replicas that exist."""
        self.up: set[str] = set()
        """Replicas that answer."""
        self.load: dict[RevisionKey, int] = defaultdict(int)
        """Requests that wait or are served, at all times."""
        self.used: dict[RevisionKey, float] = defaultdict(lambda: -1e9)
        self.slow: set[RevisionKey] = set()
        """Revisions whose starts are not ready until the test says so."""
        self.busy: set[str] = set()
        """Replicas that have a request for ever: they are never drained."""
        self.lingering: set[RevisionKey] = set()
        """Revisions whose replicas stay when they are told to stop, until `gone`."""
        self.quiet: set[str] = set()
        """Reporters that say nothing."""
        self.reporters = list(reporters)
        self.born = 0
        self.leaving: dict[RevisionKey, list[str]] = defaultdict(list)
        for name in reporters:
            self.fleet.joined(name, 0.0)

    def add(self, key: RevisionKey, wanted: RevisionSpec) -> None:
        self.fleet.configure(key, wanted, self.now)
        self.settle()

    def settle(self) -> None:
        """Let what was commanded come about."""
        while commands := self.fleet.take():
            for command in commands:
                self.said.append((self.now, command))
                self.obey(command)
        while self.fleet.wake_at <= self.now:
            self.fleet.advance(self.now)
            self.settle()

    def obey(self, command: Command) -> None:
        match command:
            case Scale(key=key, replicas=count, stop=stop):
                self.scale(key, count, stop)
            case Tell(message=View() as view):
                self.show(view)
            case Tell(message=Gone(key=key)):
                self.views.pop(key, None)
            case Decided():
                pass

    def scale(self, key: RevisionKey, count: int, stop: tuple[str, ...]) -> None:
        there = self.there[key]
        staying = [name for name in there if name not in stop]
        for name in [*stop, *staying[count:]]:
            if name in there:
                there.remove(name)
                if key in self.lingering:
                    self.leaving[key].append(name)
        while len(there) < count:
            self.born += 1
            there.append(f"{key.name}-{self.born}")
        self.picture(key)
        if key not in self.slow:
            self.ready(key)

    def picture(self, key: RevisionKey) -> None:
        self.fleet.observe(
            key,
            tuple(
                Replica(id=name, host="127.0.0.1", port=9000)
                for name in (*self.there[key], *self.leaving[key])
            ),
            self.now,
        )

    def gone(self, key: RevisionKey) -> None:
        """Have those that were told to stop be gone at last."""
        self.leaving[key].clear()
        self.picture(key)
        self.settle()

    def ready(self, key: RevisionKey) -> None:
        for name in self.there[key]:
            if name not in self.up:
                self.up.add(name)
                for reporter in self.reporters:
                    ready = Ready(key=key, reporter=reporter, replica=name)
                    self.fleet.hear(ready, self.now)

    def show(self, view: View) -> None:
        self.views[view.key] = view
        for address in view.addresses:
            if address.draining and address.replica not in self.busy:
                for reporter in self.reporters:
                    self.fleet.hear(
                        Drained(
                            key=view.key, reporter=reporter, replica=address.replica
                        ),
                        self.now,
                    )

    def wake(self, key: RevisionKey, held: int = 1, reporter: str = "a") -> None:
        epoch = self.views[key].epoch
        self.fleet.hear(
            Wake(key=key, reporter=reporter, epoch=epoch, held=held), self.now
        )
        self.settle()

    def serving(self, key: RevisionKey) -> list[str]:
        view = self.views[key]
        if view.paused or view.refusal:
            return []
        return [
            each.replica
            for each in view.addresses
            if each.replica in self.up and not each.draining
        ]

    def sample(self, key: RevisionKey, reporter: str = "a", **changes) -> None:
        """Have *reporter* say what it has of *key*."""
        view = self.views[key]
        serving = self.serving(key)
        load = self.load[key] if reporter == self.reporters[0] else 0
        if load:
            self.used[key] = self.now
        loads = tuple(
            ReplicaLoad(
                replica=each.replica,
                in_flight=load // len(serving) or 1
                if load and each.replica in serving
                else int(each.replica in self.busy),
                idle_s=self.now - self.used[key],
            )
            for each in view.addresses
        )
        sample = Sample(
            key=key,
            reporter=reporter,
            span_s=1.0,
            concurrency=float(load),
            requests=load,
            held=0 if serving or view.refusal else load,
            in_flight=load if serving else sum(each.in_flight for each in loads),
            epoch=view.epoch,
            version=view.version,
            replicas=loads,
        )
        self.fleet.hear(replace(sample, **changes), self.now)
        self.settle()

    def run(self, seconds: int) -> None:
        """Let *seconds* pass."""
        for _ in range(seconds):
            while self.fleet.wake_at < self.now + 1.0:
                self.now = self.fleet.wake_at
                self.settle()
            self.now = float(int(self.now) + 1)
            for key in list(self.views):
                for reporter in self.reporters:
                    if reporter in self.quiet:
                        continue
                    if self.views[key].addresses or self.load[key]:
                        self.sample(key, reporter)
            self.settle()

    def status(self, key: RevisionKey) -> Status:
        return self.fleet.status(key)

    def state(self, key: RevisionKey) -> str:
        return self.fleet.status(key).state

    def scales(self, key: RevisionKey) -> list[tuple[float, int]]:
        return [
            (at, each.replicas)
            for at, each in self.said
            if isinstance(each, Scale) and each.key == key
        ]

    def decided(self, key: RevisionKey) -> list[tuple[float, Decided]]:
        return [
            (at, each)
            for at, each in self.said
            if isinstance(each, Decided) and each.key == key
        ]

    def told(self, key: RevisionKey) -> list[View]:
        return [
            each.message
            for _, each in self.said
            if isinstance(each, Tell)
            and isinstance(each.message, View)
            and each.message.key == key
        ]
