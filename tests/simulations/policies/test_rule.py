from __future__ import annotations

import pytest

from simulations.policies.rule import BreakEven, Fixed, windows


class Ahead(Fixed):
    def windows(self, load_s):
        return 100.0, 20.0


def test_breaking_even_waits_as_long_as_a_start_costs_with_those_who_wait_for_it():
    assert BreakEven().windows(37.0) == (0.0, 37.0)
    assert BreakEven(wait_cost=2.0).windows(37.0) == (0.0, 111.0)


@pytest.mark.parametrize(
    ("load_s", "expected"),
    [
        pytest.param(10.0, (100.0, 20.0), id="there is time to go and come back"),
        pytest.param(100.0, (0.0, 120.0), id="there is none, so it stays"),
    ],
)
def test_a_start_ahead_must_fit_into_the_time_before_it(load_s, expected):
    assert windows(Ahead(0.0), load_s) == expected
    assert windows(Fixed(60.0), load_s) == (0.0, 60.0)
