from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.chance import exponential, quantile, uniform, uniforms


@given(st.integers(0, 2**40), st.text(max_size=20), st.integers(0, 40))
def test_a_column_and_a_single_draw_agree(seed, purpose, count):
    column = uniforms(seed, purpose, count)

    assert list(column) == [uniform(seed, purpose, n) for n in range(count)]
    assert all(0.0 <= chance < 1.0 for chance in column)


def test_a_draw_does_not_depend_on_how_many_are_drawn():
    assert uniforms(3, "gap", 100)[:9] == uniforms(3, "gap", 9)


def test_seed_purpose_and_number_each_make_another_draw():
    draws = [
        uniform(1, "pick", 0),
        uniform(2, "pick", 0),
        uniform(1, "service", 0),
        uniform(1, "pick", 1),
        uniform(1, "pick", 8),
    ]

    assert len(set(draws)) == len(draws)


def test_draws_are_spread_evenly_and_do_not_follow_each_other():
    column = uniforms(11, "pick", 40_000)

    tenths = [0] * 10
    for chance in column:
        tenths[int(chance * 10)] += 1
    together = sum(a * b for a, b in itertools.pairwise(column))

    assert all(3_700 < count < 4_300 for count in tenths)
    assert together / len(column) == pytest.approx(0.25, abs=0.01)


def test_exponential_draws_have_their_mean():
    draws = [exponential(2.0, chance) for chance in uniforms(5, "gap", 40_000)]

    assert sum(draws) / len(draws) == pytest.approx(2.0, rel=0.02)
    assert min(draws) >= 0.0


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=9).map(sorted),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_quantiles_are_kept_within_and_never_turn_back(quantiles, one, other):
    low, high = sorted((one, other))
    slack = 1e-9 * (1 + quantiles[-1])

    assert quantiles[0] - slack <= quantile(quantiles, low) <= quantiles[-1] + slack
    assert quantile(quantiles, low) <= quantile(quantiles, high) + slack
