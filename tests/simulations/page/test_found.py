"""A search shown: each point, the best as a table, labels beside each other."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.bands import Spread
from simulations.outcome import Front, Point
from simulations.page import found, svg
from tests.simulations.page.sample import FRONT, HOSTILE, outcome

ENDS = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(
    lambda ends: tuple(sorted(ends))
)
SURE = st.builds(Spread, cost_s=ENDS, wait_s=ENDS)


def text(front: Front) -> str:
    return "".join(found.search(front, outcome("the pick")))


def test_it_shows_each_point_the_pick_and_two_settings_together():
    said = text(FRONT)

    assert said.count("<title>tried: ") + said.count("<title>the pick: ") == 3
    assert said.count('<circle class="pick"') == 1
    assert "window and grace together" in said
    assert (
        "0.50 (0.45 to 0.56) GPU-hours, mean wait 9s (0s to 12s), 20.00% found none "
        "ready; window 60s"
    ) in said
    assert "0.25 GPU-hours, mean wait 37s, 40.00% found none ready; window 6s" in said


def test_a_point_has_a_cross_if_it_is_known_how_sure_it_is():
    plain = replace(
        FRONT, points=tuple(replace(each, sure=None) for each in FRONT.points)
    )

    # One in the picture, and one in its legend.
    assert text(FRONT).count('<path class="sure"') == 2
    assert text(plain).count('<path class="sure"') == 0
    assert "The arms of its cross" not in text(plain)


@given(st.lists(SURE, min_size=1, max_size=5))
def test_all_of_a_cross_is_inside_of_the_picture(sures):
    points = tuple(
        Point(
            settings={}, cost_s=sum(sure.cost_s) / 2, wait_s=sum(sure.wait_s) / 2,
            cold=0.0, front=True, sure=sure,
        )
        for sure in sures
    )  # fmt: skip
    said = text(Front(points=points, goal="", verdict=""))

    *arms, _ = re.findall(
        r'class="sure" d="M([-\d.]+) [-\d.]+H([-\d.]+)M[-\d.]+ ([-\d.]+)V([-\d.]+)"',
        said,
    )
    assert len(arms) == len(points)
    for left, right, low, high in (map(float, each) for each in arms):
        assert svg.LEFT <= left <= right <= svg.WIDTH - svg.RIGHT
        assert svg.TOP <= high <= low <= svg.HEIGHT - svg.BOTTOM


def test_the_best_are_in_a_table_with_the_settings_in_which_they_differ():
    said = text(FRONT)

    assert said.count('<tr><th scope="row">') == 2
    assert '<th scope="col">window</th>' in said


def test_what_strangers_said_is_text():
    said = text(FRONT)

    assert HOSTILE not in said
    assert "<img" not in said


@pytest.mark.parametrize("count", [1, 2], ids=["one point", "two alike"])
def test_where_all_cost_the_same_there_still_is_a_picture(count):
    same = Front(points=FRONT.points[:1] * count, goal="", verdict="")

    assert text(same).count("<title>tried: ") == count


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 4)),
        min_size=2, max_size=6, unique=True,
    )
)  # fmt: skip
def test_labels_of_points_apart_are_apart_and_inside(where):
    taken: list[found.Box] = []
    for column, row in where:
        x, y = svg.LEFT + 30 + column * 110, svg.TOP + row * 50
        _, _, box = found.place(x, y, "ten letter", taken)
        taken.append(box)

    for one, other in combinations(taken, 2):
        assert (
            one[2] <= other[0]
            or other[2] <= one[0]
            or (one[3] <= other[1] or other[3] <= one[1])
        )
    assert all(box[0] >= svg.LEFT and box[2] <= svg.WIDTH for box in taken)
