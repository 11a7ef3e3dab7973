from __future__ import annotations

from simulations.policies.rule import Fixed
from simulations.policies.seasonal import BIN_S, DAY_S, Seasonal
from tests.simulations.policies.stage import lives, run, seen

NINE = 9 * 3_600.0


def test_it_is_up_before_the_hour_at_which_requests_came_the_day_before():
    calls = [day * DAY_S + NINE + 60.0 for day in range(3)]

    found = run("seasonal", calls, until=3 * DAY_S, load_s=30.0)

    assert sum(found.cold) == 1
    begun = [launched for launched, _ in lives(found)]
    assert begun[1] == DAY_S + NINE - 30.0
    assert lives(found)[1][1] == DAY_S + NINE + BIN_S


def test_a_quarter_that_most_days_left_alone_is_left_alone():
    mind = Seasonal(lambda: Fixed(60.0))
    mind.decide(seen(in_flight=1), NINE)

    def wanted(day: int) -> int:
        return mind.decide(seen(used_at=NINE), day * DAY_S + NINE).replicas

    assert [wanted(day) for day in (1, 2, 3)] == [1, 1, 0]


def test_nothing_is_to_be_asked_within_a_quarter():
    mind = Seasonal(lambda: Fixed(60.0))

    assert mind.decide(seen(in_flight=1, load_s=30.0), 100.0).until == BIN_S
    assert mind.decide(seen(used_at=900.0, load_s=30.0), 902.0).until == 2 * BIN_S


def test_it_asks_again_when_the_next_quarter_begins_less_a_start():
    mind = Seasonal(lambda: Fixed(60.0))

    assert mind.decide(seen(load_s=30.0), 100.0).again_at == BIN_S - 30.0
    assert mind.decide(seen(load_s=30.0), BIN_S - 30.0).again_at == 2 * BIN_S - 30.0
