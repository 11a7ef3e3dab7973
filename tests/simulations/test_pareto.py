"""A front has what nobody beats, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.pareto import covered, front, knee

PAIRS = st.lists(
    st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), min_size=1
)


def beats(one, other) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]


@given(PAIRS)
def test_nobody_beats_who_is_on_the_front_and_somebody_who_is_not(pairs):
    found = front(pairs)
    best = [pairs[place] for place in found]

    assert not [each for each in best for other in pairs if beats(other, each)]
    for place, each in enumerate(pairs):
        if place not in found:
            assert each in best or any(beats(other, each) for other in best)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(best))


@given(PAIRS)
def test_the_knee_is_on_the_front(pairs):
    places = front(pairs)

    assert knee(pairs, places) in places


@given(PAIRS, st.integers(1, 10), st.integers(1, 10))
def test_what_is_covered_is_the_share_of_wishes_that_something_grants(pairs, x, y):
    granted = [
        any(a <= i and b <= j for a, b in pairs) for i in range(x) for j in range(y)
    ]

    # On whole numbers each wish stands for the unit square above it.
    assert covered(pairs, (float(x), float(y))) == pytest.approx(sum(granted) / (x * y))
