import math
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import GateSpec, Probe, RevisionKey
from autoscaler.core.messages import Address, ReplicaLoad, Sample, View
from autoscaler.core.shares import SPAN, Shares

KEY = RevisionKey("ns", "iris")


def view(version: int, **limits: int) -> View:
    return View(
        key=KEY,
        version=version,
        epoch=1,
        gate=GateSpec(container_concurrency=1),
        probe=Probe(),
        addresses=tuple(
            Address(replica=name, host="127.0.0.1", port=1, slots=limit)
            for name, limit in limits.items()
        ),
    )


def sample(name: str, version: int, held: int = 0, **in_flight: int) -> Sample:
    return Sample(
        key=KEY,
        reporter=name,
        span_s=1.0,
        concurrency=0.0,
        requests=0,
        held=held,
        in_flight=sum(in_flight.values()),
        epoch=1,
        version=version,
        replicas=tuple(
            ReplicaLoad(replica=replica, in_flight=count, idle_s=0.0)
            for replica, count in in_flight.items()
        ),
    )


def slots(shares: Shares, name: str) -> dict[str, int]:
    return {each.replica: each.slots for each in shares.personal(name, KEY).addresses}


def acknowledge(shares: Shares, name: str, held: int = 0, **in_flight: int) -> None:
    version = shares.personal(name, KEY).version
    shares.heard(sample(name, version, held, **in_flight), 1.0)


def pair(**limits: int) -> Shares:
    shares = Shares(rest_s=10.0, now=0.0)
    shares.joined("a", 0.0)
    shares.joined("b", 0.0)
    shares.update(view(1, **limits), 0.0)
    return shares


def test_one_activator_gets_every_slot():
    shares = Shares(rest_s=10.0, now=0.0)
    shares.joined("a", 0.0)

    shares.update(view(1, r1=8, r2=3), 0.0)

    assert slots(shares, "a") == {"r1": 8, "r2": 3}
    assert [grant.activator for grant in shares.take()] == ["a"]
    assert shares.take() == []


def test_two_activators_get_half_each_and_the_first_the_odd_slot():
    shares = pair(r1=3, r2=2)

    assert sum(slots(shares, "a").values()) == 3
    assert sum(slots(shares, "b").values()) == 2


def test_no_limit_stays_no_limit():
    shares = pair(r1=-1)

    assert slots(shares, "a") == slots(shares, "b") == {"r1": -1}


def test_a_new_activator_gets_slots_only_after_the_old_one_let_them_go():
    shares = Shares(rest_s=10.0, now=0.0)
    shares.joined("a", 0.0)
    shares.update(view(1, r1=4), 0.0)

    shares.joined("b", 0.0)
    assert (slots(shares, "a"), slots(shares, "b")) == ({"r1": 2}, {"r1": 0})

    acknowledge(shares, "a", r1=4)
    assert slots(shares, "b") == {"r1": 0}, "all four are still in use"

    acknowledge(shares, "a", r1=1)
    assert (slots(shares, "a"), slots(shares, "b")) == ({"r1": 3}, {"r1": 1})


def test_idle_slots_are_lent_to_whoever_holds_requests():
    shares = pair(r1=1)
    assert (slots(shares, "a"), slots(shares, "b")) == ({"r1": 1}, {"r1": 0})

    acknowledge(shares, "b", held=5)
    acknowledge(shares, "a", r1=0)

    assert (slots(shares, "a"), slots(shares, "b")) == ({"r1": 0}, {"r1": 1})


def test_with_one_slot_and_two_that_want_it_each_has_its_turn():
    shares = pair(r1=1)
    had = set()

    for second in range(1, 7):
        for name in ("a", "b"):
            acknowledge(shares, name, held=3, r1=0)
        had |= {name for name in ("a", "b") if slots(shares, name)["r1"]}
        shares.advance(float(second))

    assert had == {"a", "b"}


def test_the_slots_of_a_dead_activator_rest_until_its_connections_are_closed():
    shares = pair(r1=2)
    shares.left("b", 5.0)
    shares.left("b", 9.0)

    shares.advance(14.0)
    assert slots(shares, "a") == {"r1": 1}

    shares.advance(15.0)
    assert slots(shares, "a") == {"r1": 2}


def test_an_activator_that_comes_back_finds_its_slots():
    shares = pair(r1=2)
    shares.left("b", 5.0)
    shares.joined("b", 6.0)

    shares.advance(16.0)

    assert slots(shares, "b") == {"r1": 1}


def test_samples_come_back_with_the_fleets_own_version():
    shares = pair(r1=2)
    shares.update(view(7, r1=2), 0.0)

    version = shares.personal("a", KEY).version

    assert shares.heard(sample("a", version), 1.0).version == 7
    assert shares.heard(sample("nobody", 3 * SPAN + 5), 1.0).version == 3


def test_what_an_activator_has_not_heard_is_told_again():
    shares = pair(r1=2)
    shares.take()

    shares.heard(sample("b", 0), 1.0)

    assert [grant.activator for grant in shares.take()] == ["b"]


def test_an_older_view_changes_nothing():
    shares = pair(r1=2)
    shares.update(view(3, r1=2, r2=2), 0.0)

    shares.update(view(2, r1=9), 0.0)

    assert set(slots(shares, "a")) == {"r1", "r2"}


def test_a_replica_that_went_takes_its_slots_along_and_a_draining_one_keeps_them():
    shares = pair(r1=2, r2=2)
    shares.update(view(3, r1=2), 0.0)
    assert set(slots(shares, "a")) == {"r1"}

    draining = replace(view(4, r1=2).addresses[0], draining=True)
    shares.update(replace(view(4), addresses=(draining,)), 0.0)
    assert slots(shares, "a") == {"r1": 1}


def test_an_old_sample_does_not_undo_a_newer_one():
    shares = pair(r1=1)
    old = sample("b", shares.personal("b", KEY).version, held=0)
    shares.update(view(2, r1=1), 0.0)
    acknowledge(shares, "b", held=5)
    shares.heard(sample("a", shares.personal("a", KEY).version), 1.0)
    assert slots(shares, "b") == {"r1": 1}

    shares.heard(old, 1.0)

    assert slots(shares, "b") == {"r1": 1}


def test_who_joins_during_a_drain_has_nothing_of_the_draining_replica():
    shares = Shares(rest_s=10.0, now=0.0)
    shares.joined("a", 0.0)
    shares.update(view(1, r1=1), 0.0)
    draining = replace(view(2, r1=1).addresses[0], draining=True)
    shares.update(replace(view(2), addresses=(draining,)), 0.0)

    shares.joined("b", 0.0)
    acknowledge(shares, "b", r1=0)

    assert slots(shares, "b") == {"r1": 0}


def test_a_revision_that_is_gone_is_forgotten():
    shares = pair(r1=2)
    assert shares.wake_at == 1.0

    shares.gone(KEY)
    shares.gone(KEY)
    shares.advance(0.5)

    assert shares.wake_at == math.inf


@dataclass
class Activator:
    """An activator that obeys its newest view, and no more than that."""

    name: str
    version: int = 0
    slots: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    held: int = 0

    def apply(self, view: View) -> None:
        if view.version >= self.version:
            self.version = view.version
            self.slots = {each.replica: each.slots for each in view.addresses}

    def dispatch(self) -> None:
        for replica, limit in self.slots.items():
            while self.held and self.running.get(replica, 0) < limit:
                self.running[replica] = self.running.get(replica, 0) + 1
                self.held -= 1

    def finish(self, replica: str) -> None:
        if self.running.get(replica, 0):
            self.running[replica] -= 1

    def report(self) -> Sample:
        return sample(self.name, self.version, self.held, **self.running)


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("arrive"), NAMES, st.integers(1, 5)),
    st.tuples(st.just("finish"), NAMES, st.integers(1, 2)),
    st.tuples(st.just("report"), NAMES, st.just(0)),
    st.tuples(st.just("up"), NAMES, st.integers(0, 9)),
    st.tuples(st.just("down"), NAMES, st.integers(0, 9)),
    st.tuples(st.just("lose"), NAMES, st.integers(0, 9)),
    st.tuples(st.just("die"), NAMES, st.just(0)),
    st.tuples(st.just("turn"), NAMES, st.just(0)),
    st.tuples(st.just("grow"), NAMES, st.just(0)),
)


@given(
    steps=st.lists(STEPS, max_size=120),
    first=st.integers(0, 4),
    second=st.integers(0, 4),
)
def test_no_replica_ever_has_more_than_its_limit(
    steps: list[tuple[str, str, int]], first: int, second: int
):
    """Messages both ways may be lost, repeated, late or in any order."""
    now, version = 0.0, 1
    limits = {"r1": first, "r2": second}
    shares = Shares(rest_s=5.0, now=now)
    activators = {name: Activator(name) for name in ("a", "b", "c")}
    for name in activators:
        shares.joined(name, now)
    shares.update(view(version, **limits), now)
    down: list[tuple[str, View]] = []
    up: list[Sample] = []
    ghosts: list[tuple[float, Activator]] = []

    for what, name, number in steps:
        now += 0.3
        activator = activators[name]
        match what:
            case "arrive":
                activator.held += number
            case "finish":
                activator.finish(f"r{number}")
            case "report":
                up.append(activator.report())
            case "up" if up:
                shares.heard(up[number % len(up)], now)  # kept: may come again
            case "down" if down:
                to, message = down[number % len(down)]
                for each in activators.values():
                    if each.name == to:
                        each.apply(message)
            case "lose" if down:
                down.pop(number % len(down))
            case "die":
                # What it has at the replicas lives on, until its rest ends.
                shares.left(activator.name, now)
                ghosts.append((now + 5.0, activator))
                activators[name] = Activator(f"{activator.name}+")
                shares.joined(activators[name].name, now)
            case "turn":
                shares.advance(now)
            case "grow":
                version += 1
                shares.update(view(version, **limits), now)
        down += [(grant.activator, grant.view) for grant in shares.take()]
        for each in activators.values():
            each.dispatch()
        living = [ghost for until, ghost in ghosts if until > now]
        living += activators.values()
        for replica, limit in limits.items():
            assert sum(each.running.get(replica, 0) for each in living) <= limit


@given(
    first=st.integers(0, 3), wants=st.lists(st.integers(0, 6), min_size=3, max_size=3)
)
def test_every_slot_that_is_wanted_is_granted_once_all_is_told(
    first: int, wants: list[int]
):
    shares = Shares(rest_s=5.0, now=0.0)
    activators = [
        Activator(name, held=held) for name, held in zip("abc", wants, strict=True)
    ]
    for each in activators:
        shares.joined(each.name, 0.0)
    shares.update(view(1, r1=first, r2=1), 0.0)

    for second in range(1, 5):
        for each in activators:
            each.apply(shares.personal(each.name, KEY))
            shares.heard(each.report(), float(second))

    granted = {each.name: sum(slots(shares, each.name).values()) for each in activators}
    assert sum(granted.values()) == first + 1
    short = [each for each in activators if granted[each.name] < each.held]
    spare = [each for each in activators if granted[each.name] > each.held]
    assert not (short and spare)
