"""Goals: what a text means, and when it is met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulations.goal import GoalError, parse
from simulations.totals import totals
from tests.simulations.page.sample import outcome

FOUND = totals(outcome())  # p95 20 s, p99 37 s, 20 % cold, 2 % rejected.


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p99_wait<38s", True),
        ("p99_wait<37s", False),
        ("p95_wait<=21s,cold<25%", True),
        ("p95_wait<21s, cold<20%", False),
        ("rejected<3%", True),
        ("max_wait<1m", True),
        ("p50_wait<1ms", True),
        ("max_wait<36500ms", False),
    ],
)
def test_it_is_met_if_every_limit_holds(text, met):
    goal = parse(text)

    assert goal.met(FOUND) is met
    assert (goal.excess(FOUND) == 0.0) is met


def test_the_nearest_misses_by_less():
    goal = parse("p99_wait<10s")

    assert goal.excess(FOUND) > goal.excess(replace(FOUND, p99_s=12.0)) > 0


@pytest.mark.parametrize(
    "text",
    ["", "fast", "p99<20s", "p99_wait>20s", "p99_wait<20", "p99_wait<20%", "cold<20s",
     "cold<1%,", "p99_wait<-1s", "cost<1s"],
)  # fmt: skip
def test_what_is_no_goal_is_refused_with_the_rule(text):
    with pytest.raises(GoalError, match="must be limits"):
        parse(text)
