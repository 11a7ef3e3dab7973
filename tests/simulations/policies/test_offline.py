"""Who knows the future pays for each idle time the least that anybody can."""

from __future__ import annotations

from array import array
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.cluster import Part
from simulations.policies.offline import Offline
from simulations.workload import Workload
from tests.simulations.policies.stage import LLM, lives, run, seen

START_S = 30.0
SEES_S = 3.0
"""A request's end is known by the report after it, and the tick after that."""


def knowing(*arrivals: float) -> Offline:
    services = array("d", [1.0] * len(arrivals))
    load = Workload(key=LLM, arrivals=array("d", arrivals), services=services)
    return Offline((load,))


def test_it_is_away_in_a_long_idle_time_and_up_just_before_it_ends():
    found = run("offline", [10.0, 30.0, 500.0], load_s=START_S)

    (first, gone), (second, _) = lives(found)
    assert first == pytest.approx(10.0, abs=0.1)
    assert gone == pytest.approx(42.0, abs=SEES_S)  # The second waited till 40.
    assert second == pytest.approx(470.0, abs=0.1)
    assert list(found.cold) == [1, 1, 0]


def test_it_stays_where_a_start_would_cost_more():
    found = run("offline", [0.0, 55.0], load_s=START_S)

    assert len(lives(found)) == 1


@settings(max_examples=settings().max_examples // 4)
@given(st.lists(st.floats(0.5, 200.0), min_size=1, max_size=12))
def test_each_idle_time_costs_itself_or_a_start_and_nobody_waits_but_at_first(gaps):
    services = 1.0
    begun = START_S + services  # The first waits for its start.
    arrivals = list(accumulate([begun + gaps[0], *(services + g for g in gaps[1:])]))

    found = run("offline", [0.0, *arrivals], load_s=START_S, until=10_000.0)

    assert sum(found.cold) == 1
    assert sum(found.waits.values()) == pytest.approx(START_S, abs=0.1)
    seconds = sum(sum(each.seconds.values()) for each in found.machines)
    busy = sum(each.seconds[Part.BUSY] for each in found.machines)
    floor = START_S + sum(min(gap, START_S) for gap in gaps)
    assert floor - 0.1 <= seconds - busy <= floor + SEES_S * (len(gaps) + 1)


def test_a_request_that_is_not_reported_yet_is_waited_for():
    mind = knowing(100.0, 900.0)

    assert mind.decide(seen(used_at=70.0, load_s=5.0), 101.0).replicas == 1
    assert mind.decide(seen(used_at=70.0, load_s=5.0), 103.0).replicas == 0
    assert mind.decide(seen(used_at=101.5, load_s=5.0), 101.9).replicas == 0


def test_it_says_when_it_will_want_another():
    mind = knowing(100.0)

    away = mind.decide(seen(used_at=0.0, load_s=5.0), 50.0)
    near = mind.decide(seen(used_at=0.0, load_s=5.0), away.again_at)

    assert (away.replicas, near.replicas) == (0, 1)
    assert away.again_at == away.until == pytest.approx(95.0, abs=0.1)
    assert near.again_at == near.until == 100.0


def test_after_the_last_request_nothing_is_kept():
    assert knowing(100.0).decide(seen(used_at=101.0, load_s=5.0), 103.0).replicas == 0


@given(
    st.floats(0.0, 1_000.0), st.floats(0.0, 1_000.0), st.sampled_from([0.0, 5.0, 80.0])
)
def test_it_answers_the_same_until_when_it_says(used_at, idle_s, load_s):
    mind = knowing(50.0, 60.0, 300.0, 301.5, 900.0)
    looks, now = seen(used_at=used_at, load_s=load_s), used_at + idle_s

    wanted = mind.decide(looks, now)

    until = min(wanted.until, wanted.again_at, now + 1_000.0)
    for step in range(40):
        later = now + (until - now) * step / 40
        assert mind.decide(looks, later).replicas == wanted.replicas
