"""Limits that move all the time: nobody is asked early, nobody is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activator.wheel import GRAIN_S, Wheel

moments = st.floats(0.0, 600.0, allow_nan=False)


class Limit:
    """A limit of something: notes when it is asked, and says when to ask again."""

    def __init__(self, at: float = inf) -> None:
        self.spoke = 0
        self.at = at
        self.asked: list[float] = []
        self.then: Callable[[], object] = str

    def check(self, now: float) -> float:
        self.asked.append(now)
        self.then()
        return self.at if now < self.at else inf


@given(
    began=moments,
    after=st.floats(-2.0, 60.0),
    steps=st.lists(st.floats(0.001, 0.5) | st.floats(0.5, 30.0), max_size=60),
)
@example(began=0.0, after=0.0, steps=[0.25])
def test_it_is_asked_once_and_never_early_and_a_grain_late_at_most(began, after, steps):
    wheel, limit, now = Wheel(began), Limit(), began
    at = max(0.0, began + after)
    wheel.ask(limit, at)

    for step in steps:
        now += step
        wheel.sweep(now)

        assert len(limit.asked) <= 1
        assert not limit.asked or limit.asked[0] >= at
        assert limit.asked or now < max(at, began) + GRAIN_S


@given(
    limits=st.lists(moments, min_size=1, max_size=30),
    every_s=st.sampled_from([0.01, 0.25, 0.3, 7.0, 700.0]),
)
def test_a_limit_that_moves_on_is_acted_on_when_it_has_passed(limits, every_s):
    """The members are asked too early, and say so: that is what moving costs."""
    wheel, now = Wheel(0.0), 0.0
    members = [Limit(at) for at in limits]
    for member in members:
        wheel.ask(member, member.at / 2)

    while now < 700.0:
        now += every_s
        wheel.sweep(now)

        for member in members:
            acted = bool(member.asked) and member.asked[-1] >= member.at
            assert acted or now < member.at + 2 * GRAIN_S + every_s
    assert all(member.spoke == 0 for member in members)


@pytest.mark.parametrize(
    ("first", "second", "asked_at"),
    [
        pytest.param(10.0, 5.0, [5.25], id="an earlier moment counts"),
        pytest.param(5.0, 10.0, [5.25], id="a later one does not"),
    ],
)
def test_the_earliest_wish_counts(first, second, asked_at):
    wheel, limit = Wheel(0.0), Limit()
    wheel.ask(limit, first)
    wheel.ask(limit, second)

    for quarter in range(80):
        wheel.sweep(quarter * 0.25)

    assert limit.asked == asked_at


def test_what_was_dropped_is_not_asked_and_may_come_back():
    wheel, limit = Wheel(0.0), Limit()
    wheel.drop(limit)
    wheel.ask(limit, 1.0)
    wheel.drop(limit)
    wheel.sweep(5.0)
    assert limit.asked == []

    wheel.ask(limit, 6.0)
    wheel.sweep(7.0)

    assert limit.asked == [7.0]


def test_what_is_dropped_by_another_as_both_are_due_is_not_asked():
    wheel, one, other = Wheel(0.0), Limit(), Limit()
    one.then = lambda: wheel.drop(other)
    other.then = lambda: wheel.drop(one)
    wheel.ask(one, 1.0)
    wheel.ask(other, 1.0)

    wheel.sweep(2.0)

    assert len(one.asked) + len(other.asked) == 1


def test_a_moment_that_has_passed_is_asked_about_at_the_next_sweep():
    wheel, limit = Wheel(100.0), Limit()
    wheel.ask(limit, 1.0)

    wheel.sweep(100.25)

    assert limit.asked == [100.25]


def test_who_asks_again_while_it_is_asked_is_asked_again_later():
    wheel, limit = Wheel(0.0), Limit()
    limit.then = lambda: wheel.ask(limit, 0.0)
    wheel.ask(limit, 0.0)

    for now in (1.0, 1.0, 2.0, 3.0):
        wheel.sweep(now)

    assert limit.asked == [1.0, 2.0, 3.0]


def test_time_that_stands_still_asks_nobody():
    wheel, limit = Wheel(10.0), Limit()
    wheel.ask(limit, 10.1)

    wheel.sweep(10.1)
    wheel.sweep(9.0)
    assert limit.asked == []
    wheel.sweep(10.5)

    assert limit.asked == [10.5]
