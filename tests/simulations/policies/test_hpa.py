from __future__ import annotations

import pytest

from simulations.policies.hpa import STABLE_S, SYNC_S, Hpa
from tests.simulations.policies.stage import lives, run, seen


def test_the_first_request_starts_one_and_five_minutes_without_any_end_it():
    found = run("hpa", [10.0], until=500.0)

    assert lives(found) == [(10.0, 16.0 + STABLE_S)]


@pytest.mark.parametrize(
    ("load", "ready", "wanted"),
    [
        pytest.param(10.0, 2, 2, id="on target"),
        pytest.param(10.9, 2, 2, id="near enough"),
        pytest.param(11.5, 2, 3, id="above"),
        pytest.param(500.0, 2, 5, id="no more than four at once"),
    ],
)
def test_the_ratio_of_load_to_target_decides_each_sync(load, ready, wanted):
    hpa = Hpa()
    hpa.decide(seen(in_flight=1, used_at=0.0), 0.0)

    got = hpa.decide(seen(in_flight=1, used_at=0.0, load=load, ready=ready), SYNC_S)

    assert got.replicas == wanted


def test_between_two_syncs_nothing_changes():
    hpa = Hpa()
    hpa.decide(seen(in_flight=1, used_at=0.0), 0.0)

    assert hpa.decide(seen(in_flight=90, load=90.0, used_at=0.0), 14.0).replicas == 1


def test_it_goes_down_after_five_minutes_and_no_sooner():
    hpa = Hpa()
    hpa.decide(seen(in_flight=1, used_at=0.0), 0.0)
    assert hpa.decide(seen(in_flight=9, load=15.0, used_at=15.0), 15.0).replicas == 3

    def later(at: float) -> int:
        busy = seen(in_flight=1, load=5.0, ready=3, used_at=at)
        return hpa.decide(busy, at).replicas

    assert later(300.0) == 3
    assert later(330.0) == 1
