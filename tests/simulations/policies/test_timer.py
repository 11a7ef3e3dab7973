from __future__ import annotations

import pytest

from simulations.policies.histogram import Histogram
from simulations.policies.rule import Fixed
from simulations.policies.timer import Timers
from tests.simulations.policies.stage import IRIS, lives, run, seen


class Ahead(Fixed):
    def windows(self, load_s):
        return 100.0, 20.0


def test_nothing_is_wanted_before_the_first_request():
    assert Timers(lambda: Fixed(60.0)).decide(seen(), 5.0).replicas == 0


def test_a_rule_learns_nothing_of_who_was_woken_by_hand_before_its_first_request():
    timers = Timers(lambda: Histogram(600.0))
    timers.decide(seen(held=1), 1.0)

    assert timers.decide(seen(), 6.0).replicas == 0
    assert timers.decide(seen(in_flight=1), 9.0).replicas == 1


def test_it_is_kept_to_the_second_after_its_last_request():
    found = run("keepalive:60s", [10.0, 70.0])

    assert lives(found) == [(10.0, 131.0)]


def test_the_most_that_were_needed_are_kept_as_long():
    timers = Timers(lambda: Fixed(60.0))

    assert timers.decide(seen(in_flight=25), 0.0).replicas == 3
    assert timers.decide(seen(in_flight=1), 58.0).replicas == 3
    assert timers.decide(seen(in_flight=1), 62.0).replicas == 1


def test_who_is_away_comes_back_ahead_of_time():
    timers = Timers(lambda: Ahead(0.0))
    timers.decide(seen(in_flight=1), 0.0)

    away = timers.decide(seen(used_at=10.0, load_s=30.0), 12.0)
    back = timers.decide(seen(used_at=10.0, load_s=30.0), 80.0)
    gone = timers.decide(seen(used_at=10.0, load_s=30.0), 130.0)

    assert (away.replicas, away.again_at) == (0, 80.0)
    assert (back.replicas, back.again_at) == (1, 130.0)
    assert gone.replicas == 0


def test_a_rule_learns_each_idle_time_of_its_own_model():
    told = []

    class Told(Fixed):
        def saw(self, idle_s):
            told.append(idle_s)

    timers = Timers(lambda: Told(60.0))
    timers.decide(seen(in_flight=1), 0.0)
    timers.decide(seen(used_at=10.0), 12.0)
    timers.decide(seen(IRIS, in_flight=1), 20.0)
    timers.decide(seen(used_at=10.0), 30.0)
    assert told == []

    timers.decide(seen(in_flight=1, used_at=10.0), 40.0)
    timers.decide(seen(used_at=41.0), 42.0)
    timers.decide(seen(used_at=50.0), 52.0)  # one came and went between two looks

    assert told == pytest.approx([30.0, 9.0])


def test_breaking_even_learns_what_a_start_costs():
    found = run("breakeven", [10.0], load_s=20.0)

    # Ready at 30 s, idle from 31 s for as long as the start took.
    assert lives(found) == [(10.0, 51.0)]


def test_a_histogram_starts_ahead_of_a_regular_caller():
    calls = [600.0 * number for number in range(12)]

    found = run("histogram:1h", calls, until=7_200.0, load_s=30.0)

    begun = [launched for launched, _ in lives(found)]
    assert any(400.0 < launched % 600.0 < 580.0 for launched in begun)
    assert sum(found.cold) == 1
