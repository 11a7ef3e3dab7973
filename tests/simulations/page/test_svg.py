"""Axes with even numbers, and text that stays text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.page.svg import drawing, linear, logarithmic, text, ticks, times


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_even_and_inside_and_some(low, width):
    found = ticks(low, low + width)

    assert 2 <= len(found) <= 8
    steps = {round((b - a) / width, 6) for a, b in pairwise(found)}
    assert len(steps) <= 2
    assert low - 1e-6 * width <= found[0]
    assert found[-1] <= low + width * (1 + 1e-6)


@given(st.floats(1e-3, 1.0), st.floats(2.0, 1e6))
def test_scales_map_ends_to_ends(low, high):
    for scale in (linear, logarithmic):
        at = scale(low, high, 50.0, 700.0)
        assert at(low) == pytest.approx(50.0)
        assert at(high) == pytest.approx(700.0)
    assert all(low * 0.99 <= each <= high * 1.01 for each in times(low, high))


def test_what_is_said_is_text():
    made = drawing("<b>", '"&', text(1.0, 2.0, "</svg><script>"))

    assert "<script" not in made
    assert "<b>" not in made
