"""Laws of the Fleet, on random histories of calls.

Activators and a backend around it lose messages, break and are slow as chance has it.
They know the truth, and the laws are judged by it and by the commands alone.
"""

from __future__ import annotations

import io
from collections import defaultdict, deque
from dataclasses import dataclass, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoscaler.core.commands import Command, Decided, Order, Scale, Tell
from autoscaler.core.domain import (
    Budget,
    Needs,
    Replica,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
    StartFailure,
)
from autoscaler.core.messages import (
    Drained,
    Gone,
    Lost,
    Ready,
    ReplicaLoad,
    Sample,
    Uplink,
    View,
    Wake,
)
from autoscaler.recording import RecordedFleet, replayed

WINDOW_S = 10
KEYS = tuple(RevisionKey("ns", name) for name in ("llm", "iris", "text"))
NAMES = ("a", "b")
STEPS = (
    "arrive", "arrive", "arrive", "finish", "finish", "leave", "second", "second",
    "seconds", "up", "up", "fail", "fail for good", "die", "gone", "quiet", "loud",
    "lose", "keep", "wake", "sleep", "pin", "unpin", "restart", "repeat", "less",
    "more",
)  # fmt: skip


def scaling(least: int, most: int, *, panic: bool = True) -> ScalingSpec:
    return ScalingSpec(
        total_value=2.0,
        min_replicas=least,
        max_replicas=most,
        initial_scale=0,
        stable_window_s=WINDOW_S,
        grace_s=0.0,
        panic=panic,
        progress_deadline_s=60.0,
    )


@dataclass(slots=True)
class Machine:
    """A replica as it truly is."""

    name: str
    up: bool = False
    stopping: bool = False


class Gate:
    """What one activator truly has of one revision."""

    def __init__(self) -> None:
        self.view: View | None = None
        self.held = 0
        self.in_flight: dict[str, int] = defaultdict(int)
        self.used: dict[str, float] = defaultdict(float)
        self.ready: set[str] = set()
        self.arrived = 0
        self.woken = -1
        self.since = 0.0
        """Everything since then was reported, and the report came."""
        self.heard_at = -1e9


class Theatre:
    """The world around a Fleet."""

    def __init__(
        self, budget: Budget, specs: dict[RevisionKey, RevisionSpec], there: int = 0
    ) -> None:
        self.now = 1000.0
        self.out = io.StringIO()
        self.budget = budget
        self.fleet = RecordedFleet(self.out, budget=budget, now=self.now)
        self.specs: dict[RevisionKey, RevisionSpec] = {}
        self.since: dict[RevisionKey, float] = {}
        self.machines: dict[RevisionKey, dict[str, Machine]] = defaultdict(dict)
        self.target: dict[RevisionKey, int] = defaultdict(int)
        self.gates = {(name, key): Gate() for name in NAMES for key in KEYS}
        self.views: dict[RevisionKey, View] = {}
        self.joined: dict[str, float] = {}
        self.quiet: set[str] = set()
        self.losing = False
        self.forced: set[RevisionKey] = set()
        """Revisions that a person, new settings or failed starts make smaller now."""
        self.old_wake: RevisionKey | None = None
        self.born = 0
        self.waiting: deque[Command] = deque()
        self.obeying = False
        self.late: deque[Wake | Drained] = deque(maxlen=4)
        """What may be said again, late."""
        self.rejected = 0
        for name in NAMES:
            self.join(name)
        for key, spec in specs.items():
            self.configure(key, spec)
            self.find(key, there)

    def find(self, key: RevisionKey, there: int) -> None:
        """Let a Fleet that is new meet replicas that are not."""
        for number in range(there):
            name = f"{key.name}-old-{number}"
            self.machines[key][name] = Machine(name, up=True)
        self.target[key] = there
        if there:
            self.show(key)
            self.up(key)

    # Calls.

    def join(self, name: str) -> None:
        self.joined[name] = self.now
        for key, view in self.views.items():
            self.gates[name, key] = Gate()
            self.gates[name, key].since = self.now
            self.gates[name, key].view = view
        self.fleet.joined(name, self.now)
        self.settle()

    def restart(self, name: str) -> None:
        """Let an activator's process end, with all that it had, and another begin."""
        for (of, _), gate in self.gates.items():
            if of == name:
                gate.held = 0
                gate.in_flight.clear()
        self.fleet.left(name, self.now)
        self.settle()
        self.join(name)

    def configure(self, key: RevisionKey, spec: RevisionSpec) -> None:
        if key not in self.specs:
            self.since[key] = self.now
        self.specs[key] = spec
        self.forced.add(key)
        self.fleet.configure(key, spec, self.now)
        self.settle()
        self.forced.discard(key)

    def order(self, key: RevisionKey, order: Order) -> None:
        self.forced.add(key)
        self.fleet.order(key, order, self.now)
        self.settle()
        self.forced.discard(key)

    def say(self, message: Uplink) -> None:
        if message.reporter in self.quiet or self.losing:
            return
        gate = self.gates[message.reporter, message.key]
        told = self.views.get(message.key)
        if isinstance(message, Wake | Drained) and message not in self.late:
            self.late.append(message)
        if isinstance(message, Wake) and told and message.epoch < told.epoch:
            self.old_wake = message.key
        if isinstance(message, Sample):
            idle = not (message.held or message.in_flight or message.requests)
            vouched = min((e.idle_s for e in message.replicas), default=0.0)
            begin = self.now - max(message.span_s, vouched if idle else 0.0)
            if begin > gate.heard_at + 0.5:
                gate.since = begin
            gate.heard_at = self.now
        self.fleet.hear(message, self.now)
        self.settle()
        self.old_wake = None

    def settle(self) -> None:
        """Obey in order: what a command causes waits for its turn."""
        self.waiting.extend(self.fleet.take())
        if not self.obeying:
            self.obeying = True
            while self.waiting:
                self.obey(self.waiting.popleft())
            self.obeying = False

    def advance(self) -> None:
        while self.fleet.wake_at <= self.now:
            self.fleet.advance(self.now)
            self.settle()
            assert self.fleet.wake_at > self.now, "advance left something undone"
            self.fleet.advance(self.now)
            assert self.fleet.take() == [], "advancing twice is not advancing once"

    # Commands, and their laws.

    def obey(self, command: Command) -> None:
        match command:
            case Decided(key=key, replicas=count):
                most = self.specs[key].scaling.max_replicas
                assert 0 <= count <= most
            case Tell(message=View() as view):
                self.tell(view)
            case Tell(message=Gone()):
                raise AssertionError("nothing was removed")
            case Scale():
                self.scale(command)

    def tell(self, view: View) -> None:
        key = view.key
        before = self.views.get(key)
        if before is not None:
            assert view.version >= before.version
            assert view.epoch >= before.epoch
            assert (view.version == before.version) == (view == before)
            known = {each.replica: each for each in before.addresses}
            for each in view.addresses:
                was = known.get(each.replica)
                machine = self.machines[key].get(each.replica)
                if each.draining and was and not was.draining and machine:
                    self.begins_to_drain(key, machine)
        self.views[key] = view
        for name in NAMES:
            if name not in self.quiet:
                self.update(name, view)

    def begins_to_drain(self, key: RevisionKey, machine: Machine) -> None:
        """Hold it to the law: nothing goes by load unless all load is known."""
        limited = self.budget.memory is not None
        if limited or key in self.forced or not machine.up:
            return
        assert self.now - self.since[key] >= WINDOW_S, "within its first window"
        for name in self.joined:
            gate = self.gates[name, key]
            assert gate.since <= self.now - WINDOW_S, f"{name} was not heard"
            assert gate.heard_at >= self.now - 1.6, f"{name} is not heard"

    def scale(self, scale: Scale) -> None:
        key = scale.key
        machines = self.machines[key]
        staying = [each for each in machines.values() if not each.stopping]
        if scale.replicas > self.target[key]:
            assert scale.replicas <= self.specs[key].scaling.max_replicas
            assert key != self.old_wake, "a wake of an older sleep started something"
        self.target[key] = scale.replicas
        for name in scale.stop:
            if name in machines:
                self.stop(key, machines[name])
                staying.remove(machines[name])
        for machine in staying[scale.replicas :]:
            assert not machine.up, f"{machine.name} was not drained"
            self.stop(key, machine)
        for _ in range(scale.replicas - len(staying)):
            self.born += 1
            name = f"{key.name}-{self.born}"
            machines[name] = Machine(name)
        self.keep_budget()
        self.show(key)

    def stop(self, key: RevisionKey, machine: Machine) -> None:
        for name in self.joined:
            busy = self.gates[name, key].in_flight[machine.name]
            assert not busy, f"{machine.name} was stopped with {busy} of {name}'s"
        machine.stopping = True

    def keep_budget(self) -> None:
        if self.budget.memory is not None:
            taken = sum(
                self.specs[key].needs.memory * len(machines)
                for key, machines in self.machines.items()
            )
            assert taken <= self.budget.memory

    def show(self, key: RevisionKey) -> None:
        picture = tuple(
            Replica(id=each.name, host="127.0.0.1", port=9000)
            for each in self.machines[key].values()
        )
        self.fleet.observe(key, picture, self.now)
        self.settle()

    # Activators.

    def update(self, name: str, view: View) -> None:
        gate = self.gates[name, view.key]
        if gate.view is not None and view.version <= gate.view.version:
            return
        gate.view = view
        if view.refusal is not None:
            self.rejected += gate.held
            gate.held = 0
        for each in view.addresses:
            if each.draining and not gate.in_flight[each.replica]:
                drained = Drained(key=view.key, reporter=name, replica=each.replica)
                self.say(drained)
        self.dispatch(name, view.key)

    def serving(self, gate: Gate, key: RevisionKey) -> list[str]:
        view = gate.view
        if view is None or view.paused or view.refusal:
            return []
        return [
            each.replica
            for each in view.addresses
            if not each.draining and each.replica in gate.ready
        ]

    def dispatch(self, name: str, key: RevisionKey) -> None:
        gate = self.gates[name, key]
        if gate.held and (serving := self.serving(gate, key)):
            for number in range(gate.held):
                replica = serving[number % len(serving)]
                machine = self.machines[key].get(replica)
                assert machine, f"{replica} is gone"
                assert not machine.stopping, f"{replica} was told to stop"
                gate.in_flight[replica] += 1
                gate.used[replica] = self.now
            gate.held = 0

    def arrive(self, name: str, key: RevisionKey) -> None:
        gate = self.gates[name, key]
        if gate.view is None or gate.view.refusal:
            return
        gate.arrived += 1
        gate.held += 1
        self.dispatch(name, key)
        self.knock(name, key)

    def knock(self, name: str, key: RevisionKey) -> None:
        gate = self.gates[name, key]
        if gate.held and gate.view and gate.woken != gate.view.epoch:
            gate.woken = gate.view.epoch
            epoch = gate.view.epoch
            self.say(Wake(key=key, reporter=name, epoch=epoch, held=gate.held))

    def finish(self, name: str, key: RevisionKey) -> None:
        gate = self.gates[name, key]
        for replica in [each for each, count in gate.in_flight.items() if count]:
            gate.in_flight[replica] = 0
            gate.used[replica] = self.now
            view = gate.view
            if view and any(
                e.replica == replica and e.draining for e in view.addresses
            ):
                self.say(Drained(key=key, reporter=name, replica=replica))

    def report(self, name: str, key: RevisionKey) -> None:
        gate = self.gates[name, key]
        view = gate.view
        if view is None:
            return
        busy = sum(gate.in_flight.values())
        if not (view.addresses or gate.held or busy or gate.arrived):
            return
        requests, gate.arrived = gate.arrived, 0
        loads = tuple(
            ReplicaLoad(
                replica=each.replica,
                in_flight=gate.in_flight[each.replica],
                idle_s=0.0
                if gate.in_flight[each.replica]
                else self.now - gate.used[each.replica],
                ready=each.replica in gate.ready,
            )
            for each in view.addresses
        )
        self.say(
            Sample(
                key=key,
                reporter=name,
                span_s=1.0,
                concurrency=float(busy + gate.held),
                requests=requests,
                held=gate.held,
                in_flight=busy,
                epoch=view.epoch,
                version=view.version,
                replicas=loads,
            )
        )

    def second(self) -> None:
        """Let time pass, with ticks in it and reports at its end."""
        until = self.now + 1.0
        while self.fleet.wake_at < until:
            self.now = self.fleet.wake_at
            self.advance()
        self.now = until
        for name in NAMES:
            for key in self.specs:
                self.report(name, key)
        self.advance()

    # The backend.

    def up(self, key: RevisionKey) -> None:
        for machine in list(self.machines[key].values()):
            if not machine.stopping:
                machine.up = True
                for name in NAMES:
                    gate = self.gates[name, key]
                    if gate.view and any(
                        each.replica == machine.name for each in gate.view.addresses
                    ):
                        gate.ready.add(machine.name)
                        ready = Ready(key=key, reporter=name, replica=machine.name)
                        self.say(ready)
                        self.dispatch(name, key)

    def fail(self, key: RevisionKey, *, final: bool) -> None:
        for machine in list(self.machines[key].values()):
            if not (machine.up or machine.stopping):
                failure = StartFailure(
                    reason="exit status 1", final=final, replica=machine.name
                )
                self.machines[key].pop(machine.name)
                self.forced.add(key)
                self.fleet.failed(key, failure, self.now)
                self.settle()
                self.show(key)
                self.forced.discard(key)
                return

    def die(self, key: RevisionKey) -> None:
        for machine in list(self.machines[key].values()):
            if machine.up and not machine.stopping:
                del self.machines[key][machine.name]
                for name in NAMES:
                    gate = self.gates[name, key]
                    gate.in_flight[machine.name] = 0
                    gate.ready.discard(machine.name)
                    self.say(Lost(key=key, reporter=name, replica=machine.name))
                self.show(key)
                return

    def gone(self, key: RevisionKey) -> None:
        for machine in list(self.machines[key].values()):
            if machine.stopping:
                del self.machines[key][machine.name]
        self.show(key)

    # A play.

    def step(self, kind: str, key: RevisionKey, name: str) -> None:
        spec = self.specs[key]
        match kind:
            case "arrive":
                self.arrive(name, key)
            case "finish":
                self.finish(name, key)
            case "leave":
                gate = self.gates[name, key]
                gate.held = max(0, gate.held - 1)
            case "second":
                self.second()
            case "seconds":
                for _ in range(WINDOW_S + 3):
                    self.second()
            case "up":
                self.up(key)
            case "fail":
                self.fail(key, final=False)
            case "fail for good":
                self.fail(key, final=True)
            case "die":
                self.die(key)
            case "gone":
                self.gone(key)
            case "quiet":
                self.quiet.add(name)
            case "loud":
                self.quiet.discard(name)
            case "lose":
                self.losing = True
            case "keep":
                self.losing = False
            case "restart":
                self.restart(name)
            case "repeat":
                for message in tuple(self.late):
                    self.say(message)
            case "less":
                less = replace(spec.scaling, max_replicas=1, min_replicas=0)
                self.configure(key, replace(spec, scaling=less))
            case "more":
                more = replace(spec.scaling, max_replicas=4)
                self.configure(key, replace(spec, scaling=more))
            case _:
                self.order(key, Order(kind))

    def be_kind(self, seconds: int) -> None:
        """Let everything go well from now on: nothing is lost, all comes up."""
        self.quiet.clear()
        self.losing = False
        for _ in range(seconds):
            for key in self.specs:
                for name in NAMES:
                    if key in self.views:
                        self.update(name, self.views[key])
                    self.finish(name, key)
                    self.knock(name, key)
                self.up(key)
                self.gone(key)
            self.second()

    def held(self) -> int:
        return sum(gate.held for gate in self.gates.values())

    def decides_the_same_again(self) -> None:
        lines = self.out.getvalue().splitlines(keepends=True)
        for answer in replayed(lines):
            assert answer.theirs == answer.ours


GIB = 1 << 30
PLAY = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(KEYS), st.sampled_from(NAMES)),
    max_size=60,
)
BOUNDS = st.sampled_from([(0, 1), (0, 4), (1, 2), (2, 3)])
SLEEPS_AND_IS_WOKEN_LATE = [
    (kind, KEYS[0], "a")
    for kind in ("arrive", "up", "finish", "seconds", "seconds", "gone", "repeat")
]
LONG_S = 330
"""The longest back-off, and a start."""


def perform(
    steps: list[tuple[str, RevisionKey, str]],
    budget: Budget,
    specs: dict[RevisionKey, RevisionSpec],
    there: int = 0,
) -> Theatre:
    theatre = Theatre(budget, specs, there)
    theatre.advance()
    for kind, key, name in steps:
        if key in specs:
            theatre.step(kind, key, name)
    theatre.be_kind(LONG_S)
    return theatre


@settings(deadline=None)
@given(PLAY, BOUNDS, st.integers(0, 3), st.booleans())
@example(SLEEPS_AND_IS_WOKEN_LATE, (0, 1), 0, True)
@example([], (0, 4), 2, False)
def test_all_that_waits_is_served_and_what_is_idle_sleeps_in_the_end(
    steps, bounds, there, panic
):
    key = KEYS[0]
    there = min(there, bounds[1])
    theatre = perform(
        [(kind, key, name) for kind, _, name in steps],
        Budget(),
        {key: RevisionSpec(scaling=scaling(*bounds, panic=panic))},
        there,
    )

    assert theatre.held() == 0
    pinned = [kind for kind, _, _ in steps if kind in ("pin", "unpin")][-1:] == ["pin"]
    least = max(int(pinned), theatre.specs[key].scaling.min_replicas)
    assert len(theatre.machines[key]) == least
    if not least:
        assert theatre.fleet.status(key).state in ("asleep", "failing")
        assert theatre.fleet.wake_at > 1e9, "who sleeps is due"
    theatre.decides_the_same_again()


@settings(deadline=None)
@given(PLAY, st.integers(1, 4), st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_room_is_never_exceeded_and_all_that_waits_is_served(steps, gib, needs):
    theatre = perform(
        steps,
        Budget(memory=gib * GIB, patience_s=5.0),
        {
            key: RevisionSpec(scaling=scaling(0, 2), needs=Needs(memory=each * GIB))
            for key, each in zip(KEYS, needs, strict=True)
        },
    )

    assert theatre.held() == 0
    for key, each in zip(KEYS, needs, strict=True):
        if each > gib:
            assert not theatre.machines[key]
    theatre.decides_the_same_again()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 3), min_size=3, max_size=3),
    st.integers(0, 20),
)
@example(1, [1, 1, 1], 0)
def test_with_load_for_ever_everybody_has_its_turn(gib, needs, patience_s):
    specs = {
        key: RevisionSpec(scaling=scaling(0, 2), needs=Needs(memory=each * GIB))
        for key, each in zip(KEYS, needs, strict=True)
    }
    theatre = Theatre(Budget(memory=gib * GIB, patience_s=patience_s), specs)
    served = dict.fromkeys(KEYS, theatre.now)
    turn_s = patience_s + 10
    longest = dict.fromkeys(KEYS, 0.0)

    for _ in range(12 * turn_s):
        for key in KEYS:
            # One that is served always has a request when it is asked.
            theatre.finish("a", key)
            theatre.arrive("a", key)
            theatre.up(key)
            theatre.gone(key)
        theatre.second()
        for key in KEYS:
            if not theatre.gates["a", key].held:
                served[key] = theatre.now
            longest[key] = max(longest[key], theatre.now - served[key])

    assert max(longest.values()) <= 3 * turn_s
