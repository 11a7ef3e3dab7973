from __future__ import annotations

from simulations.policies.greedy import GreedyDual
from tests.simulations.policies.stage import IRIS, LLM, TEXT, lives, run, seen


def test_nobody_goes_while_there_is_room():
    found = run("greedy-dual", [10.0], [20.0], gpus=2, until=9_000.0)

    assert len(lives(found, LLM)) == len(lives(found, IRIS)) == 1
    assert lives(found, LLM)[0][1] > 9_000.0


def test_who_was_used_rarely_makes_room_although_it_was_used_last():
    often = [10.0 + 20.0 * number for number in range(20)]

    found = run("greedy-dual", often, [420.0], [600.0], gpus=2, until=900.0)

    assert lives(found, LLM)[0][1] > 900.0
    assert lives(found, IRIS)[0][1] < 650.0
    assert len(lives(found, TEXT)) == 1


def test_with_timers_it_is_who_was_used_first():
    often = [10.0 + 20.0 * number for number in range(20)]

    found = run("keepalive:1h", often, [420.0], [600.0], gpus=2, until=900.0)

    assert lives(found, LLM)[0][1] < 650.0
    assert lives(found, IRIS)[0][1] > 900.0


def test_what_went_last_sets_the_clock_so_that_the_unused_age():
    mind = GreedyDual()
    for second in range(5):
        mind.decide(seen(LLM, in_flight=1, load_s=10.0), float(second))
    before = mind.decide(seen(IRIS, in_flight=1, load_s=10.0), 6.0).worth

    assert mind.decide(seen(LLM, evicted=True), 7.0).replicas == 0
    after = mind.decide(seen(TEXT, in_flight=1, load_s=10.0), 8.0).worth

    assert (before, after) == (10.0, 60.0)
