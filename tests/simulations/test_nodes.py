"""Nodes: what a text means, where replicas fit, and that nobody takes too much."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.nodes import Nodes, NodesError, Pool, parse


@pytest.mark.parametrize(
    ("text", "count", "most", "gpus", "said"),
    [
        ("2x4", 2, 2, 4, "2 nodes of 4 GPUs"),
        ("1x1", 1, 1, 1, "1 node of 1 GPU"),
        ("0-3x8", 0, 3, 8, "0 to 3 nodes of 8 GPUs"),
        ("2-2x8", 2, 2, 8, "2 nodes of 8 GPUs"),
    ],
)
def test_a_text_says_how_many_nodes_of_how_many_gpus(text, count, most, gpus, said):
    found = parse(text)

    assert found == Nodes(count=count, most=most, gpus=gpus)
    assert (found.grow, str(found)) == (most > count, said)


@pytest.mark.parametrize(
    "text",
    ["", "2", "2x", "x4", "0x4", "2x0", "-1x4", "3-2x4", "2x4x8", "2 x 4", "2x4.5",
     "two", "1001x4", "1x1001", "0-0x4", "1-2-3x4", "٢x٤"],
)  # fmt: skip
def test_what_names_no_nodes_is_refused_with_the_rule(text):
    with pytest.raises(NodesError, match="must (be|have)"):
        parse(text)


def test_a_replica_goes_where_its_image_is_then_where_most_is_free():
    pool = Pool(parse("3x4"), 0.0)
    one, two, three = pool.living

    assert pool.place(1, "a") is one, "all alike: the first"
    assert pool.place(2, "a") is two, "more is free there"
    one.images.add("a")
    assert pool.place(1, "a") is one
    assert pool.place(4, "a") is three, "nowhere else is room"
    assert pool.place(3, "a") is None
    assert [node.free for node in pool.living] == [2, 2, 0]


def test_replicas_without_gpus_are_spread_too():
    pool = Pool(parse("2x1"), 0.0)

    placed = [pool.place(0, "a") for _ in range(4)]

    assert [node.number for node in placed if node] == [1, 2, 1, 2]


def test_a_node_that_is_coming_takes_nobody_and_only_those_that_came_later_go():
    pool = Pool(parse("1-3x2"), 0.0)
    first = pool.living[0]

    coming = pool.add(10.0)
    assert pool.coming == [coming]
    assert pool.place(2, "a") is first
    assert pool.place(2, "a") is None
    coming.up = 50.0
    assert pool.place(2, "a") is coming
    assert pool.may_grow
    pool.add(60.0)
    assert not pool.may_grow

    assert not pool.spare(coming), "somebody is there"
    pool.leave(coming, 2, 70.0)
    pool.leave(first, 2, 80.0)
    assert pool.spare(coming)
    assert not pool.spare(first)
    pool.remove(coming, 90.0)
    assert coming not in pool.living
    assert (coming.empty, coming.gone, first.gone) == (70.0, 90.0, inf)
    assert pool.may_grow


@given(
    st.integers(1, 4),
    st.integers(1, 8),
    st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.sampled_from("ab"))),
)
def test_no_node_ever_gives_more_gpus_than_it_has_nor_refuses_what_fits(
    count, gpus, steps
):
    pool = Pool(Nodes(count=count, most=count, gpus=gpus), 0.0)
    there = []
    for come, need, image in steps:
        if come or not there:
            fits = any(node.free >= need for node in pool.living)
            node = pool.place(need, image)
            assert (node is not None) == fits
            if node is not None:
                there.append((node, need))
        else:
            pool.leave(*there.pop(0), 1.0)
        for node in pool.living:
            mine = [need for its, need in there if its is node]
            assert node.free == gpus - sum(mine) >= 0
            assert node.replicas == len(mine)
