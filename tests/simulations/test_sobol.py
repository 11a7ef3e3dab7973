"""Sobol's points fill each half, quarter and eighth of every dimension alike."""

from __future__ import annotations

import pytest

from simulations.sobol import sobol


@pytest.mark.parametrize("dimensions", range(1, 9))
def test_each_dimension_is_filled_evenly(dimensions):
    points = [(0.0,) * dimensions, *sobol(dimensions, 63)]

    for place in range(dimensions):
        parts = sorted(int(point[place] * 64) for point in points)
        assert parts == list(range(64))


def test_two_dimensions_together_are_filled_evenly_too():
    points = [(0.0, 0.0), *sobol(2, 255)]
    cells = {(int(x * 16), int(y * 16)) for x, y in points}

    assert len(cells) == 256


@pytest.mark.parametrize("dimensions", [0, 9])
def test_as_many_dimensions_as_there_are_numbers_for(dimensions):
    with pytest.raises(ValueError, match="from 1 to 8"):
        sobol(dimensions, 1)
