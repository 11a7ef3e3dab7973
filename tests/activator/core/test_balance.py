from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.balance import first_free, least_of_two, policy
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

    assert least_of_two(among, pick) in among
    assert first_free(among, pick) in among


@given(LOADS.filter(lambda loads: len(loads) > 1), CHANCE)
def test_the_most_loaded_of_all_is_never_the_less_loaded_of_two(loads, pick):
    loads[0] = max(loads) + 1

    assert least_of_two(endpoints(*loads), pick).replica != "r0"


def test_each_pair_is_drawn_as_often_as_every_other():
    among = endpoints(0, 0, 0, 0)
    grid = [(2 * n + 1) / 24 for n in range(12)]

    drawn = Counter(least_of_two(among, pick).replica for pick in grid)

    assert drawn == {"r0": 3, "r1": 3, "r2": 3, "r3": 3}


def test_a_uniform_just_below_one_is_a_pair_too():
    just_below = 1.0 - 2.0**-53

    for count in range(1, 100):
        assert least_of_two(endpoints(*[0] * count), just_below)


def test_first_free_is_who_became_free_last():
    assert first_free(endpoints(0, 0, 1)).replica == "r2"


@pytest.mark.parametrize(
    ("balance", "concurrency", "chosen"),
    [
        pytest.param(Balance.AUTO, 0, least_of_two, id="no limit spreads"),
        pytest.param(Balance.AUTO, 1, first_free, id="one at a time packs"),
        pytest.param(Balance.AUTO, 3, first_free, id="three packs"),
        pytest.param(Balance.AUTO, 4, least_of_two, id="four spreads"),
        pytest.param(Balance.FIRST_FREE, 0, first_free, id="packs when told"),
        pytest.param(Balance.LEAST_OF_TWO, 1, least_of_two, id="spreads when told"),
    ],
)
def test_small_limits_pack_and_others_spread(balance, concurrency, chosen):
    spec = GateSpec(balance=balance, container_concurrency=concurrency)

    assert policy(spec) is chosen
