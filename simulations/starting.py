"""Starts on nodes: they wait for GPUs, then load over a bandwidth that they share.

A node pulls an image once, whoever waits for it, and goes on if nobody does any more;
weights are loaded by each replica for itself. The phase `node` is what a node takes
that is asked for because no other has room: nobody else pays it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from autoscaler.core.domain import StartFailure
from simulations.chance import uniform
from simulations.coldstart import IMAGE, NODE, ColdStart, Phase
from simulations.engine import Engine, Rank
from simulations.nodes import Node, Nodes, Pool

if TYPE_CHECKING:
    from simulations.cluster import Machine


class Start:
    """One replica's way from its launch until it listens, and then its place."""

    __slots__ = ("gpus", "image", "machine", "node", "phases", "place", "since")

    def __init__(self, machine: Machine, start: ColdStart, image: str) -> None:
        self.machine = machine
        self.gpus = machine.gpus
        self.image = image
        self.phases = start
        self.place = 0
        """The phase that is next."""
        self.node: Node | None = None
        """Where it is; None: it waits for a place."""
        self.since = inf
        """Since when it waits in vain: no node is coming for it."""


class _Pull:
    """An image on its way to a node."""

    __slots__ = ("image", "node", "waiting")

    def __init__(self, node: Node, image: str) -> None:
        self.node = node
        self.image = image
        self.waiting: list[Start] = []


class Starting:
    """All starts of a run: who is placed is told to *placed*, and then to *ready*."""

    def __init__(
        self,
        engine: Engine,
        nodes: Nodes,
        *,
        seed: int,
        placed: Callable[[Machine, float], None],
        ready: Callable[[Machine, float], None],
        failed: Callable[[tuple[Machine, StartFailure], float], None],
    ) -> None:
        self.pool = Pool(nodes, engine.now)
        self._engine = engine
        self._seed = seed
        self._placed = placed
        self._ready = ready
        self._failed = failed
        self._starts: dict[str, Start] = {}
        """Of each replica that is not gone, by its id."""
        self._waiting: list[Start] = []
        self._node: Phase | None = None
        """What a new node takes: the last that was launched says so."""

    def enter(self, machine: Machine, how: ColdStart, image: str) -> None:
        """Launch a replica: place it, or have it wait for a place."""
        start = Start(machine, how, image)
        self._starts[machine.id] = start
        self._waiting.append(start)
        for phase in how:
            if phase.name == NODE:
                self._node = phase
        self._settle(self._engine.now)

    def load(self, machine: Machine, now: float) -> None:
        """Have a replica that was placed go through its phases."""
        self._go_on(self._starts[machine.id], now)

    def stop(self, machine: Machine, now: float) -> None:
        """Place or load it no more: it is about to go."""
        start = self._starts[machine.id]
        if start.node is None:
            self._waiting.remove(start)
        else:
            start.node.link.cancel(start, now)
            self._watch(start.node)

    def leave(self, machine: Machine, now: float) -> None:
        """Give the place of a replica that is gone to who waits for one."""
        start = self._starts.pop(machine.id)
        if start.node is None:
            if start in self._waiting:
                self._waiting.remove(start)
        else:
            self.pool.leave(start.node, start.gpus, now)
            start.node.link.cancel(start, now)
            self._watch(start.node)
            self._spare(start.node, now)
        self._settle(now)

    # Places.

    def _settle(self, now: float) -> None:
        """Place who waits and fits, in their order; ask for nodes for the others."""
        rooms = [node.free for node in self.pool.coming]
        waiting, self._waiting = self._waiting, []
        for start in waiting:
            node = self.pool.place(start.gpus, start.image)
            if node is not None:
                start.node = node
                start.machine.node = node.number
                self._placed(start.machine, now)
                continue
            self._waiting.append(start)
            fits = [place for place, free in enumerate(rooms) if free >= start.gpus]
            if not fits and self.pool.may_grow:
                rooms.append(self._ask(now).free)
                fits = [len(rooms) - 1]
            if fits:
                rooms[fits[0]] -= start.gpus
                start.since = inf
            elif start.since == inf:
                start.since = now
                at = now + self.pool.facts.limit_s
                self._engine.at(at, Rank.DEPARTURE, self._give_up, (start, now))

    def _ask(self, now: float) -> Node:
        node = self.pool.add(now)
        took = 0.0
        if self._node is not None:
            took = self._node.draw(uniform(self._seed, "node", node.number))
        self._engine.at(now + took, Rank.DEPARTURE, self._came, node)
        return node

    def _came(self, node: Node, now: float) -> None:
        node.up = node.empty = now
        self._settle(now)
        self._spare(node, now)

    def _spare(self, node: Node, now: float) -> None:
        if self.pool.spare(node):
            at = now + self.pool.facts.idle_s
            self._engine.at(at, Rank.DEPARTURE, self._give_back, (node, now))

    def _give_back(self, subject: tuple[Node, float], now: float) -> None:
        node, since = subject
        if self.pool.spare(node) and node.empty == since and node.gone == inf:
            self.pool.remove(node, now)

    def _give_up(self, subject: tuple[Start, float], now: float) -> None:
        start, since = subject
        if start.node is not None or start.since != since or start.machine.stopping:
            return
        key, gpus = start.machine.key, start.gpus
        others = any(
            each.node is not None and each.gpus >= gpus and each.machine.key != key
            for each in self._starts.values()
        )
        words = f"{gpus} GPU{'s' * (gpus != 1)} free for {now - since:g} s"
        failure = StartFailure(
            reason=f"unschedulable: no node has had {words}",
            final=not others,
            replica=start.machine.id,
        )
        self._failed((start.machine, failure), now)

    # Phases.

    def _go_on(self, start: Start, now: float) -> None:
        """Go through phases to the next that has to be waited for."""
        node, machine = start.node, start.machine
        if node is None or machine.stopping:
            return
        at = now
        while start.place < len(start.phases):
            phase = start.phases[start.place]
            if (phase.size or phase.name == IMAGE) and at > now:
                # What there is by then is not known yet.
                self._engine.at(at, Rank.DEPARTURE, self._go_on, start)
                return
            start.place += 1
            if phase.name == IMAGE:
                if start.image not in node.images:
                    self._pull(start, node, phase, now)
                    return
            elif phase.size:
                node.link.begin(start, phase.size, now)
                self._watch(node)
                return
            elif phase.name != NODE:
                at += self._draw(machine, phase)
        self._engine.at(at, Rank.DEPARTURE, self._listens, machine)

    def _listens(self, machine: Machine, now: float) -> None:
        self._ready(machine, now)

    def _draw(self, machine: Machine, phase: Phase) -> float:
        purpose = f"{machine.key}/{phase.name}"
        return phase.draw(uniform(self._seed, purpose, machine.number))

    def _pull(self, start: Start, node: Node, phase: Phase, now: float) -> None:
        pull = node.pulls.get(start.image)
        if pull is None:
            pull = node.pulls[start.image] = _Pull(node, start.image)
            if phase.size:
                node.link.begin(pull, phase.size, now)
                self._watch(node)
            else:
                at = now + self._draw(start.machine, phase)
                self._engine.at(at, Rank.DEPARTURE, self._pulled, pull)
        assert isinstance(pull, _Pull)
        pull.waiting.append(start)

    def _pulled(self, pull: _Pull, now: float) -> None:
        node = pull.node
        if node.gone < inf:
            return
        node.images.add(pull.image)
        node.pulled += 1
        del node.pulls[pull.image]
        for start in pull.waiting:
            self._go_on(start, now)

    def _watch(self, node: Node) -> None:
        """Have an alarm set for the next end of a load on *node*."""
        at = node.link.next_at
        if at != node.due:
            node.due = at
            if at < inf:
                self._engine.at(at, Rank.DEPARTURE, self._loaded, node)

    def _loaded(self, node: Node, now: float) -> None:
        if now != node.due or node.gone < inf:
            return  # Another alarm was set since.
        node.due = inf
        ended = node.link.ended(now)
        self._watch(node)
        for load in ended:
            if isinstance(load, Start):
                self._go_on(load, now)
            else:
                assert isinstance(load, _Pull)
                self._pulled(load, now)
