import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import GateSpec, Probe
from autoscaler.core.messages import Address, Sample, View
from autoscaler.core.shares import SPAN, TERM, Shares
from tests.fakes.sharing import KEY, Obeying, sample


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


def test_a_replica_that_comes_back_is_not_given_to_others_while_it_is_used():
    shares = Shares(rest_s=10.0, now=0.0)
    shares.joined("a", 0.0)
    shares.update(view(1, r1=2, r2=1), 0.0)
    shares.update(view(2, r2=1), 0.0)
    shares.joined("b", 0.0)

    shares.update(view(3, r1=2, r2=1), 0.0)
    assert slots(shares, "b")["r1"] == 0

    acknowledge(shares, "a", r1=0, r2=0)
    assert slots(shares, "b")["r1"] == 1


def test_of_a_replica_that_went_for_good_nothing_is_kept():
    shares = pair(r1=2)
    shares.update(view(2), 0.0)
    acknowledge(shares, "a")
    shares.left("b", 1.0)
    shares.advance(12.0)

    shares.update(view(3, r1=2), 12.0)

    assert slots(shares, "a") == {"r1": 2}


# A leader change.


def heirs(*names: str, term: int = 1, **limits: int) -> Shares:
    """Return the Shares of one who has just begun to lead."""
    shares = Shares(rest_s=10.0, term=term, inherits_s=1.0, now=0.0)
    for name in names:
        shares.joined(name, 0.0, heir=True)
    shares.update(view(1, **limits), 0.0)
    return shares


def kept(shares: Shares, name: str) -> dict[str, bool]:
    return {each.replica: each.kept for each in shares.personal(name, KEY).addresses}


def know(shares: Shares, name: str, had: int, **in_flight: int) -> None:
    """Acknowledge with *had* slots of each replica."""
    said = sample(name, shares.personal(name, KEY).version, **in_flight)
    loads = tuple(replace(each, slots=had) for each in said.replicas)
    shares.heard(replace(said, replicas=loads), 0.0)


def test_a_new_leader_lets_each_keep_what_it_has_until_it_knows_what_that_is():
    shares = heirs("a", "b", r1=4)
    assert kept(shares, "a") == kept(shares, "b") == {"r1": True}
    assert slots(shares, "a") == slots(shares, "b") == {"r1": 4}

    know(shares, "a", 1, r1=1)
    assert (slots(shares, "a"), kept(shares, "a")) == ({"r1": 1}, {"r1": False})

    know(shares, "b", 0, r1=0)
    assert (slots(shares, "a"), slots(shares, "b")) == ({"r1": 3}, {"r1": 1})
    assert kept(shares, "b") == {"r1": False}


def test_who_was_never_told_by_another_leader_keeps_nothing():
    shares = heirs(r1=2)

    shares.joined("a", 0.0)

    assert (slots(shares, "a"), kept(shares, "a")) == ({"r1": 2}, {"r1": False})


def test_a_replica_that_comes_later_is_no_inheritance():
    shares = heirs("a", r1=2)

    shares.update(view(2, r1=2, r2=3), 1.0)

    assert kept(shares, "a") == {"r1": True, "r2": False}
    assert slots(shares, "a") == {"r1": 2, "r2": 3}


def test_samples_of_another_term_acknowledge_nothing_and_are_told_anew():
    shares = heirs("a", "b", term=7, r1=4)
    shares.take()

    for version in (6 * TERM + 9 * SPAN, 8 * TERM + SPAN, -1):
        said = shares.heard(sample("a", version, r1=0), 0.0)
        assert said.version == -1

    assert kept(shares, "a") == {"r1": True}
    assert {grant.activator for grant in shares.take()} == {"a"}


def test_a_version_that_was_never_told_acknowledges_nothing_and_is_caught_up_with():
    shares = heirs("a", "b", term=7, r1=4)

    said = shares.heard(sample("a", 7 * TERM + 9 * SPAN, r1=0), 0.0)

    assert said.version == 9
    assert kept(shares, "a") == {"r1": True}


class World:
    """Activators and all who ever led them, over links that lose, repeat and delay.

    Leaders change, and one that was replaced may not know of it and lead on those that
    it knows; whoever is new hears of the newest first.
    """

    def __init__(self, first: int, second: int) -> None:
        self.limits = {"r1": first, "r2": second}
        self.now, self.version, self.there = 0.0, 1, True
        self.leaders = [Shares(rest_s=5.0, now=0.0)]
        self.activators = {name: Obeying(name) for name in ("a", "b", "c")}
        for name in self.activators:
            self.leaders[0].joined(name, 0.0)
        self.leaders[0].update(view(1, **self.limits), 0.0)
        self.down: list[tuple[str, View]] = []
        self.up: list[Sample] = []
        self.ghosts: list[tuple[float, Obeying]] = []

    def step(self, what: str, name: str, number: int) -> None:
        now = self.now = self.now + 0.3
        activator = self.activators[name]
        match what:
            case "arrive":
                activator.held += number
            case "finish":
                activator.finish(f"r{number}")
            case "report":
                self.up.append(activator.report())
            case "up" if self.up:
                for shares in self.leaders:
                    # It stays: it may come again.
                    shares.heard(self.up[-1 - number % len(self.up)], now)
            case "down" if self.down:
                self.deliver(*self.down[-1 - number % len(self.down)])
            case "lose" if self.down:
                self.down.pop(number % len(self.down))
            case "talk":
                for grant in [each for each in self.down if each[0] == activator.name]:
                    self.deliver(*grant)
                self.up.append(activator.report())
                # Some leader may not hear it.
                for shares in self.leaders[-2:] if number else self.leaders[-1:]:
                    shares.heard(self.up[-1], now)
            case "die":
                # What it has at the replicas lives on, until its rest ends.
                self.ghosts.append((now + 5.0, activator))
                fresh = self.activators[name] = Obeying(f"{activator.name}+")
                for shares in self.leaders:
                    shares.left(activator.name, now)
                self.leaders[-1].joined(fresh.name, now)
            case "turn":
                for shares in self.leaders:
                    shares.advance(now)
            case "grow" | "flap":
                self.version += 1
                self.there = what == "grow" or not self.there
                seen = self.limits if self.there else {"r1": self.limits["r1"]}
                for shares in self.leaders:
                    shares.update(view(self.version, **seen), now)
            case "lead":
                self.lead()
        for shares in self.leaders:
            self.down += [(grant.activator, grant.view) for grant in shares.take()]
        for each in self.activators.values():
            each.dispatch()
        self.check()

    def lead(self) -> None:
        now, self.there = self.now, True
        shares = Shares(rest_s=5.0, term=len(self.leaders), inherits_s=0.9, now=now)
        for each in self.activators.values():
            shares.joined(each.name, now, heir=True)
        for until, ghost in self.ghosts:
            if until > now:
                shares.joined(ghost.name, now, heir=True)
                shares.left(ghost.name, now)
        shares.update(view(self.version, **self.limits), now)
        self.leaders.append(shares)

    def deliver(self, name: str, message: View) -> None:
        for each in self.activators.values():
            if each.name == name:
                each.apply(message)

    def check(self) -> None:
        living = [ghost for until, ghost in self.ghosts if until > self.now]
        living += self.activators.values()
        for replica, limit in self.limits.items():
            running = sum(each.running.get(replica, 0) for each in living)
            assert running <= limit, f"{replica} has {running} of {limit}"


WEIGHTS = {
    "arrive": 8, "finish": 12, "report": 3, "up": 3, "down": 3, "lose": 2, "talk": 12,
    "die": 1, "turn": 3, "grow": 1, "flap": 1, "lead": 2,
}  # fmt: skip
STEPS = st.tuples(
    st.sampled_from(list(WEIGHTS)), st.sampled_from("abc"), st.integers(0, 9)
)


@given(
    steps=st.lists(STEPS, max_size=120),
    first=st.integers(0, 4),
    second=st.integers(0, 4),
)
def test_no_replica_ever_has_more_than_its_limit(
    steps: list[tuple[str, str, int]], first: int, second: int
):
    world = World(first, second)

    for step in steps:
        world.step(*step)


@pytest.mark.parametrize("seed", range(40))
def test_no_replica_ever_has_more_than_its_limit_in_a_long_life(seed: int):
    chance = random.Random(seed)
    world = World(chance.randint(1, 4), chance.randint(1, 4))

    for what in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=300):
        world.step(what, chance.choice("abc"), chance.choice([0, 1, 1, 1, 2, 3]))


@given(
    first=st.integers(0, 3), wants=st.lists(st.integers(0, 6), min_size=3, max_size=3)
)
def test_every_slot_that_is_wanted_is_granted_once_all_is_told(
    first: int, wants: list[int]
):
    shares = Shares(rest_s=5.0, now=0.0)
    activators = [
        Obeying(name, held=held) for name, held in zip("abc", wants, strict=True)
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


def test_all_of_an_activators_views_are_its_own_ones():
    shares = heirs("a", "b", term=7, r1=4)

    assert shares.all_of("a") == [shares.personal("a", KEY)]
