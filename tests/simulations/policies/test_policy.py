from __future__ import annotations

import pytest

from tests.simulations.policies.stage import seen


@pytest.mark.parametrize(
    ("in_flight", "held", "needed"), [(0, 0, 1), (3, 0, 1), (10, 0, 1), (10, 1, 2)]
)
def test_a_replica_is_needed_for_each_that_is_full(in_flight, held, needed):
    assert seen(in_flight=in_flight, held=held).needed == needed


def test_who_waits_is_busy_too():
    assert seen(held=1).busy
    assert seen(in_flight=1).busy
    assert not seen().busy
