from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.policies.named import by_name
from simulations.policies.policy import Wanted
from tests.simulations.policies.stage import seen

MINDS = (
    "hpa", "keepalive:30s", "keepalive:10m", "breakeven", "breakeven:9", "histogram:1h",
    "seasonal", "greedy-dual",
)  # fmt: skip


@pytest.mark.parametrize(
    ("in_flight", "held", "needed"), [(0, 0, 1), (3, 0, 1), (10, 0, 1), (10, 1, 2)]
)
def test_a_replica_is_needed_for_each_that_is_full(in_flight, held, needed):
    assert seen(in_flight=in_flight, held=held).needed == needed


def test_who_waits_is_busy_too():
    assert seen(held=1).busy
    assert seen(in_flight=1).busy
    assert not seen().busy


@given(
    st.sampled_from(MINDS),
    st.lists(
        st.tuples(st.integers(1, 900), st.sampled_from([0, 0, 1, 1, 9, 25])),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0.5, 2.0]),
    st.integers(0, 99).map(lambda tenth: tenth / 10),
)
def test_a_mind_answers_the_same_until_when_it_says_and_remembers_no_more(
    name, stretches, tick_s, begin
):
    make = by_name(name).begin
    every, some = make(), make()
    now, ended_at, again_at = begin, -inf, inf
    answered = Wanted(replicas=0, reason="")
    for ticks, in_flight in stretches:
        until = -inf  # Somebody came, or went.
        for _ in range(ticks):
            ended_at = now if in_flight else ended_at
            looks = seen(in_flight=in_flight, used_at=ended_at, load_s=7.0)

            wanted = every.decide(looks, now)
            if now >= min(until, again_at):
                answered = some.decide(looks, now)
                until, again_at = answered.until, answered.again_at
                assert answered == wanted

            assert answered.replicas == wanted.replicas
            assert answered.worth == wanted.worth
            now += tick_s
