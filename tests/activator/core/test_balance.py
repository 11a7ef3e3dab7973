from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.balance import (
    by_key,
    eased,
    first_free,
    least_of_two,
    policy,
    warmth,
)
from activator.core.rendezvous import chance, pick_of
from activator.core.ticket import Endpoint
from autoscaler.core.domain import Balance, GateSpec


def endpoints(*in_flight: int) -> list[Endpoint]:
    made = []
    for number, load in enumerate(in_flight):
        endpoint = Endpoint(f"r{number}", 0.0)
        endpoint.in_flight = load
        made.append(endpoint)
    return made


LOADS = st.lists(st.integers(0, 9), min_size=1, max_size=6)
CHANCE = st.floats(0.0, 1.0, exclude_max=True)


@given(LOADS, CHANCE)
def test_whatever_the_chance_it_is_one_of_them(loads, pick):
    among = endpoints(*loads)

    assert least_of_two(among, pick, 0.0) in among
    assert first_free(among, pick, 0.0) in among


@given(LOADS.filter(lambda loads: len(loads) > 1), CHANCE)
def test_the_most_loaded_of_all_is_never_the_less_loaded_of_two(loads, pick):
    loads[0] = max(loads) + 1

    assert least_of_two(endpoints(*loads), pick, 0.0).replica != "r0"


def test_each_pair_is_drawn_as_often_as_every_other():
    among = endpoints(0, 0, 0, 0)
    grid = [(2 * n + 1) / 24 for n in range(12)]

    drawn = Counter(least_of_two(among, pick, 0.0).replica for pick in grid)

    assert drawn == {"r0": 3, "r1": 3, "r2": 3, "r3": 3}


def test_a_uniform_just_below_one_is_a_pair_too():
    just_below = 1.0 - 2.0**-53

    for count in range(1, 100):
        assert least_of_two(endpoints(*[0] * count), just_below, 0.0)


def test_first_free_is_who_became_free_last():
    assert first_free(endpoints(0, 0, 1), 0.0, 0.0).replica == "r2"


KEYS = st.binary(max_size=8)
NAMES = st.lists(st.text(max_size=4), min_size=1, max_size=8, unique=True)


def named(*names: str) -> list[Endpoint]:
    return [Endpoint(name, 0.0) for name in names]


@given(NAMES, KEYS, st.randoms())
def test_a_key_has_one_replica_whatever_their_order(names, key, random):
    among = named(*names)
    chosen = by_key(among, pick_of(key), 0.0)

    random.shuffle(among)

    assert by_key(among, pick_of(key), 0.0) is chosen


@given(NAMES, KEYS, st.data())
def test_a_replica_that_goes_moves_no_key_but_its_own(names, key, data):
    among = named(*names, "one more")
    chosen = by_key(among, pick_of(key), 0.0)
    gone = data.draw(st.sampled_from(among))
    rest = [each for each in among if each is not gone]

    now_has_it = by_key(rest, pick_of(key), 0.0)

    assert (now_has_it is chosen) is (gone is not chosen)


def test_keys_are_spread_evenly_and_one_that_comes_takes_its_share():
    keys = [pick_of(b"session-%d" % number) for number in range(6000)]
    five = named(*(f"llm-{number}" for number in range(5)))
    six = [*five, Endpoint("llm-5", 0.0)]

    has = Counter(by_key(five, key, 0.0).replica for key in keys)
    moved = sum(by_key(five, key, 0.0) is not by_key(six, key, 0.0) for key in keys)

    assert all(abs(count - 1200) < 150 for count in has.values())
    assert abs(moved - 1000) < 150


@given(LOADS, KEYS)
def test_a_key_goes_where_it_belongs_until_that_is_a_quarter_over_the_mean(loads, key):
    among = endpoints(*loads)
    belongs = by_key(endpoints(*[0] * len(loads)), pick_of(key), 0.0).replica
    most = ceil(Fraction(5, 4) * (sum(loads) + 1) / len(loads))

    chosen = by_key(among, pick_of(key), 0.0)

    assert chosen.in_flight + 1 <= most
    home = next(each for each in among if each.replica == belongs)
    assert (chosen is home) is (home.in_flight + 1 <= most)


@given(st.integers(1, 8), st.lists(KEYS, min_size=1, max_size=60))
def test_however_hot_a_key_none_has_over_a_quarter_more_than_the_mean(count, keys):
    among = endpoints(*[0] * count)

    for number, key in enumerate(keys, 1):
        by_key(among, pick_of(key), 0.0).in_flight += 1
        assert max(each.in_flight for each in among) <= ceil(
            Fraction(5, 4) * number / count
        )


@given(LOADS, CHANCE)
def test_what_has_no_key_goes_to_the_less_loaded_of_two(loads, pick):
    among = endpoints(*loads)

    assert by_key(among, pick, 0.0) is least_of_two(among, pick, 0.0)


@given(LOADS, KEYS)
def test_a_key_that_was_held_while_the_policy_changed_is_a_draw_too(loads, key):
    among = endpoints(*loads)

    assert least_of_two(among, pick_of(key), 0.0) in among


RAMP_S = 30.0
AGES = st.lists(st.floats(0.0, 60.0), min_size=1, max_size=6)
PICKS = CHANCE | KEYS.map(pick_of)


def aged(*ages: float) -> list[Endpoint]:
    among = endpoints(*[0] * len(ages))
    for each, age in zip(among, ages, strict=True):
        each.ready_at = 100.0 - age
    return among


@given(AGES, PICKS, st.sampled_from([least_of_two, by_key]))
def test_a_slow_start_chooses_one_of_them_and_the_only_one_always(ages, pick, choose):
    among = aged(*ages)

    assert eased(choose, RAMP_S)(among, pick, 100.0) in among
    assert eased(choose, RAMP_S)(among[:1], pick, 100.0) is among[0]


@given(st.integers(1, 6), st.floats(0.0, 60.0), PICKS)
def test_where_all_are_as_fresh_nothing_is_held_back(count, age, pick):
    among = aged(*[age] * count)

    for choose in (least_of_two, by_key):
        assert eased(choose, RAMP_S)(among, pick, 100.0) is choose(among, pick, 100.0)


@given(AGES, PICKS)
def test_a_slow_start_that_is_over_changes_nothing(ages, pick):
    among = aged(*(age + RAMP_S for age in ages))

    for choose in (least_of_two, by_key):
        assert eased(choose, RAMP_S)(among, pick, 100.0) is choose(among, pick, 100.0)


@pytest.mark.parametrize("choose", [least_of_two, by_key])
@pytest.mark.parametrize(
    ("age", "share"), [(0.0, 0.1), (3.0, 0.1), (6.0, 0.2), (15.0, 0.5), (30.0, 1.0)]
)
def test_a_fresh_one_has_its_part_of_what_it_would_get(choose, age, share):
    among = aged(age, 60.0, 60.0, 60.0)
    picks = [(2 * n + 1) / 8000 for n in range(4000)]
    if choose is by_key:
        picks = [pick_of(b"%d" % n) for n in range(4000)]

    had = sum(eased(choose, RAMP_S)(among, pick, 100.0) is among[0] for pick in picks)

    assert abs(had - 1000 * share) < 100


@given(KEYS, st.lists(st.floats(100.0, 140.0), min_size=2, max_size=6))
def test_a_key_goes_to_the_fresh_one_once_and_stays(key, times):
    among = aged(0.0, 60.0, 60.0)
    choose = eased(by_key, RAMP_S)

    had = [choose(among, pick_of(key), now) is among[0] for now in sorted(times)]

    assert had == sorted(had)


def test_it_warms_evenly():
    (endpoint,) = aged(0.0)

    assert [warmth(endpoint, 10.0, now) for now in (100, 101, 105, 110, 999)] == [
        0.1, 0.1, 0.5, 1.0, 1.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("balance", "concurrency", "chosen"),
    [
        pytest.param(Balance.AUTO, 0, least_of_two, id="no limit spreads"),
        pytest.param(Balance.AUTO, 1, first_free, id="one at a time packs"),
        pytest.param(Balance.AUTO, 3, first_free, id="three packs"),
        pytest.param(Balance.AUTO, 4, least_of_two, id="four spreads"),
        pytest.param(Balance.FIRST_FREE, 0, first_free, id="packs when told"),
        pytest.param(Balance.LEAST_OF_TWO, 1, least_of_two, id="spreads when told"),
        pytest.param("header:X-User", 1, by_key, id="by a field"),
        pytest.param("prompt:64", 0, by_key, id="by a prompt"),
        pytest.param("of a later version", 1, least_of_two, id="not known here"),
    ],
)
def test_small_limits_pack_and_others_spread(balance, concurrency, chosen):
    spec = GateSpec(balance=balance, container_concurrency=concurrency)

    assert policy(spec) is chosen


def test_a_slow_start_is_only_where_requests_are_spread():
    ramp = {"slow_start_s": 9.0}
    among = aged(0.0, 60.0)
    pick = next(n / 64 for n in range(64) if chance(among[0].seed, n / 64) > 0.2)

    assert policy(GateSpec(balance=Balance.FIRST_FREE, **ramp)) is first_free
    assert policy(GateSpec(**ramp))(among, pick, 100.0) is among[1]
