"""The production Fleet and Switchboards, in virtual time.

They are called as the live loop calls them: requests arrive and depart at Switchboards,
which report each second; the Fleet advances when it asked to; commands and effects are
carried at once. Several activators have their slots from Shares, as they would live.
Nothing happens while nothing is due: a night asleep costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, inf
from typing import assert_never

from activator.core.switchboard import Limits, Switchboard
from activator.core.ticket import Effect, Expire, Release, Report
from autoscaler.core.commands import Command, Decided, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    Replica,
    RevisionKey,
    RevisionSpec,
    StartFailure,
)
from autoscaler.core.fleet import Fleet
from autoscaler.core.judge import Judge, judge
from autoscaler.core.messages import Downlink, Gone, Sample, View
from autoscaler.core.quiet import Foresight, Windows
from autoscaler.core.shares import Shares
from simulations.cluster import Behaviour, Cluster, Machine, Part
from simulations.engine import Engine, Rank
from simulations.nodes import Nodes
from simulations.policies.judging import Judging
from simulations.policies.policy import Policy, unchanged
from simulations.run import Run
from simulations.traffic import Traffic
from simulations.workload import Requests, Workload, merge

_REST_S = 30.0
"""How long a dead activator's slots rest; none dies here."""

_SAMPLE_S = 1.0
"""How often activators report."""

_STEPS = 200
"""In how many stretches somebody who watches is told."""

_RESTLESS = 1000
"""Rounds in one instant after which a machine is held to go round for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One revision: its settings, and what its replicas do."""

    key: RevisionKey
    spec: RevisionSpec
    behaviour: Behaviour = field(default_factory=Behaviour)


Change = Callable[["World", float], None]
"""Something done to a world from outside: new settings, an order, a removal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a run depends on: the same scenario gives the same run, to the byte."""

    models: tuple[Model, ...]
    workloads: tuple[Workload, ...]
    until: float
    budget: Budget = field(default_factory=Budget)
    nodes: Nodes | None = None
    """Where replicas are placed; None: there is room, and nothing is shared."""
    activators: int = 1
    limits: Limits = field(default_factory=Limits)
    changes: tuple[tuple[float, Change], ...] = ()
    tick_s: float = 2.0
    late_s: float = 0.0
    """By how much a tick comes late; a live loop's timers ring about 1 ms late."""
    sample_at_s: float = 0.0
    """When in each second activators report; seconds are counted from 0."""
    seed: int = 1
    policy: Policy | None = None
    """What decides in the place of the production judge; None: that does."""
    walks: bool = False
    """Walk through each second and tick, also where nothing can come of it."""


class World:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        now = 0.0
        self.engine = Engine(now=now)
        # Late ticks drift, and a tick between a second's begin and its report sees a
        # window of fewer seconds: what comes of those is not known before.
        odd = scenario.late_s or scenario.sample_at_s
        self._leaps = not (scenario.walks or odd)
        self._adapt: Callable[[RevisionSpec], RevisionSpec] = unchanged
        decides: Judge = judge
        foresight: Foresight = Windows()
        if scenario.policy is not None:
            self._adapt = scenario.policy.adapt
            if scenario.policy.begin is not None:
                decides = foresight = Judging(scenario.policy.begin())
        self.fleet = Fleet(
            budget=scenario.budget,
            now=now,
            tick_s=scenario.tick_s,
            judge=decides,
            foresight=foresight if self._leaps else None,
        )
        self.cluster = Cluster(
            self.engine, self, seed=scenario.seed, nodes=scenario.nodes
        )
        self.boards = [
            Switchboard(name=f"activator-{number}", limits=scenario.limits, now=now)
            for number in range(1, scenario.activators + 1)
        ]
        self._by_name = {board.name: board for board in self.boards}
        self._shares = Shares(rest_s=_REST_S, now=now) if len(self.boards) > 1 else None
        self._scenario = scenario
        self._sampled_at = self._report_by(now)
        self._settling = False
        self._tick_at = inf
        self._expiry_at = inf
        self._run = self._empty(merge(scenario.workloads, seed=scenario.seed))
        self._traffic = Traffic(
            self.engine,
            self.cluster,
            self.boards,
            self._run,
            self._sample_again,
            self._settle,
        )
        for board in self.boards:
            self.fleet.joined(board.name, now)
            if self._shares is not None:
                self._shares.joined(board.name, now)
        for model in scenario.models:
            self.add(model, now)

    def run(self, watch: Callable[[float], bool] | None = None) -> Run:
        """Let the whole scenario happen.

        *watch* is told now and then what share of it has; False ends it there, and what
        is returned is what was found until then.
        """
        engine, scenario = self.engine, self._scenario
        for at, change in scenario.changes:
            engine.at(at, Rank.DEPARTURE, self._change, change)
        self._traffic.walk()
        if watch is None:
            engine.run(until=scenario.until)
        else:
            for step in range(1, _STEPS + 1):
                engine.run(until=scenario.until * step / _STEPS)
                if not watch(step / _STEPS):
                    break
            self._run.until = engine.now
        self.cluster.close()
        return self._run

    def add(self, model: Model, now: float) -> None:
        """Have a new revision, or one with new settings."""
        self.cluster.configure(model.key, model.behaviour, model.spec.needs.gpus)
        self.fleet.configure(model.key, self._adapt(model.spec), now)
        self._settle(now)

    def observed(self, key: RevisionKey, replicas: tuple[Replica, ...]) -> None:
        """Pass the cluster's picture on."""
        now = self.engine.now
        self.fleet.observe(key, replicas, now)
        self._settle(now)

    def failed(self, key: RevisionKey, failure: StartFailure) -> None:
        """Pass the cluster's failure on."""
        now = self.engine.now
        self.fleet.failed(key, failure, now)
        self._settle(now)

    def listens(self, machine: Machine) -> None:
        """Let each activator's probe of a replica succeed."""
        now = self.engine.now
        for board in self.boards:
            self._probe(board, now)
        self._settle(now)

    def broke(self, machine: Machine) -> None:
        """Break each connection to a replica."""
        self._traffic.broke(machine)
        self._settle(self.engine.now)

    def _empty(self, requests: Requests) -> Run:
        count = len(requests.arrivals)
        return Run(
            seed=self._scenario.seed,
            until=self._scenario.until,
            requests=requests,
            ends=bytearray(count),
            waits={},
            cold=bytearray(count),
            refusals=Counter(),
            decisions=[],
            scales=[],
            machines=self.cluster.machines,
            failures=self.cluster.failures,
            crashes=self.cluster.crashes,
            pool=self.cluster.pool,
        )

    # Between the machines.

    def _settle(self, now: float) -> None:
        """Carry commands and effects until nobody has any, then set the timers."""
        if self._settling:
            return
        self._settling = True
        for _ in range(_RESTLESS):
            commands = self.fleet.take()
            for command in commands:
                self._obey(command, now)
            grants = self._shares.take() if self._shares is not None else []
            for grant in grants:
                self._update(self._by_name[grant.activator], grant.view, now)
            stirred = [board for board in self.boards if board.stirred]
            for effect in [effect for board in stirred for effect in board.take()]:
                self._perform(effect, now)
            if not (commands or grants or stirred):
                break
        else:
            raise RuntimeError(f"{now}: Fleet and Switchboards never come to rest")
        self._settling = False
        tick_at = self.fleet.wake_at + self._scenario.late_s
        if tick_at < self._tick_at:
            self._tick_at = max(now, tick_at)
            self.engine.at(self._tick_at, Rank.TICK, self._tick, None)
        for board in self.boards:
            expiry_at = board.wake_at
            if expiry_at < self._expiry_at:
                self._expiry_at = max(now, expiry_at)
                self.engine.at(self._expiry_at, Rank.EXPIRY, self._expire, None)

    def _obey(self, command: Command, now: float) -> None:
        match command:
            case Scale():
                self._run.scales.append((now, command))
                self.cluster.scale(command.key, command.replicas, command.stop)
            case Tell(message=message):
                self._tell(message, now)
            case Decided():
                self._run.decisions.append((now, command))
            case _:
                assert_never(command)

    def _tell(self, message: Downlink, now: float) -> None:
        match message:
            case View():
                self._show(message, now)
            case Gone(key=key):
                if self._shares is not None:
                    self._shares.gone(key)
                for board in self.boards:
                    board.remove(key, now)
                self._traffic.find_doors(key)
                self.cluster.remove(key)

    def _perform(self, effect: Effect, now: float) -> None:
        match effect:
            case Release(ticket=ticket, endpoint=endpoint):
                self._traffic.released(ticket, endpoint)
            case Expire(ticket=ticket, reject=reject):
                self._traffic.expired(ticket, reject)
            case Report(message=message):
                self.fleet.hear(message, now)
            case _:
                assert_never(effect)

    def _show(self, view: View, now: float) -> None:
        for address in view.addresses:
            machine = self.cluster.find(view.key, address.replica)
            if machine is None or not machine.listening or machine.stopping:
                continue
            if address.draining:
                self._traffic.closed(machine)
                machine.turn(Part.DRAINING, now)
            elif machine.part is Part.DRAINING:
                self._traffic.opened(machine)
                machine.turn(Part.BUSY if machine.in_flight else Part.IDLE, now)
        if self._traffic.quiet:
            self._sample_again(now)
        if self._shares is not None:
            self._shares.update(view, now)
            return
        for board in self.boards:
            self._update(board, view, now)

    def _update(self, board: Switchboard, view: View, now: float) -> None:
        board.update(view, now)
        self._probe(board, now)
        self._traffic.find_doors(view.key)

    def _probe(self, board: Switchboard, now: float) -> None:
        """Let the probes succeed of what an activator waits for and what answers."""
        for key, endpoint in board.probing():
            machine = self.cluster.find(key, endpoint.replica)
            if machine is not None and machine.listening and not machine.stopping:
                self._traffic.opened(machine)
                board.ready(key, machine.id, now)

    # Timers.

    def _sample_again(self, now: float) -> None:
        """Take up the reports of each second, where they would be by now.

        They stop when nobody has anything to report; one that says nothing is made up
        for, so that the next span begins where it would have.
        """
        last = self._report_before(now)
        if last > self._sampled_at:
            self._sampled_at = last
            for board in self.boards:
                for sample in board.report(last):
                    self._hear(sample, last)
        self._traffic.quiet = False
        self.engine.at(self._sampled_at + _SAMPLE_S, Rank.SAMPLE, self._sample, None)

    def _hear(self, sample: Sample, now: float) -> None:
        if self._shares is not None:
            sample = self._shares.heard(sample, now)
        self.fleet.hear(sample, now)

    def _sample(self, subject: None, now: float) -> None:
        self._sampled_at = now
        if self._shares is not None:
            self._shares.advance(now)
        said = False
        for board in self.boards:
            for sample in board.report(now):
                said = True
                self._hear(sample, now)
        self._traffic.quiet = not said
        self._settle(now)
        if said:
            next_at = now + _SAMPLE_S
            if self._leaps and self._shares is None:
                next_at = self._leap(next_at)
            self.engine.at(next_at, Rank.SAMPLE, self._sample, None)

    def _leap(self, next_at: float) -> float:
        """Return the last second before anything happens: reports of those between
        would say the same as this one, and one report says it of all of them."""
        scenario, engine, wake_at = self._scenario, self.engine, self.fleet.wake_at
        if wake_at <= next_at + scenario.tick_s:
            return next_at  # It has not leapt: what is reported may change something.
        if engine.horizon == self._tick_at < wake_at:
            # What is next is a tick that has been put off.
            engine.withdraw(self._tick, lambda _: True)
            self._tick_at = wake_at
            if wake_at < inf:
                engine.at(wake_at, Rank.TICK, self._tick, None)
        horizon = min(engine.horizon, scenario.until)
        return max(next_at, self._report_before(horizon))

    def _report_before(self, now: float) -> float:
        last = self._report_by(now)
        return last if last < now else last - _SAMPLE_S

    def _report_by(self, now: float) -> float:
        """Return when activators report, or would, last before *now* or at it."""
        at = self._scenario.sample_at_s
        return floor((now - at) / _SAMPLE_S) * _SAMPLE_S + at

    def _tick(self, subject: None, now: float) -> None:
        if now != self._tick_at:
            return
        self._tick_at = inf
        if self.fleet.wake_at <= now:
            self.fleet.advance(now)
            if self.fleet.wake_at <= now:
                raise RuntimeError(f"{now}: the Fleet never has advanced enough")
        self._settle(now)

    def _expire(self, subject: None, now: float) -> None:
        if now != self._expiry_at:
            return
        self._expiry_at = inf
        for board in self.boards:
            board.advance(now)
        self._settle(now)

    def _change(self, change: Change, now: float) -> None:
        change(self, now)
        self._settle(now)
