"""Trees of whatever an object holds: bounded, and never an exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.tree import pick, tree
from autoscaler.marked import Marked
from autoscaler.place import Place, shown
from tests.autoscaler.backends.kubernetes.anything import JSON


def size(node: Marked) -> int:
    match node.data:
        case tuple(items):
            return 1 + sum(size(each) for each in items)
        case dict(entries):
            return 1 + sum(size(each) for each in entries.values())
        case _:
            return 1


@given(value=JSON)
def test_any_json_is_a_tree_that_can_be_shown(value):
    node = tree(value)

    assert isinstance(shown(node), str)
    assert size(node) < 20_000


@given(value=JSON, shape=st.sampled_from([None, {}, {"spec": {"a": None}}]))
def test_picking_from_any_json_only_leaves_out(value, shape):
    picked = pick(value, shape)

    assert type(picked) is type(value)
    assert pick(picked, shape) == picked


def test_what_is_too_big_says_so_where_it_stands():
    many = {str(at): at for at in range(10_000)}
    node = tree({"canary": [0] * 1_000_000, "name": "iris", "annotations": many})
    place = Place("", "spec", node, [])

    assert place.at("name").text() == "iris"
    assert place.at("canary").text() == "(too big to be read)"
    assert place.at("annotations").text() == "(too big to be read)"


def test_what_is_too_deep_says_so():
    value = 1
    for _ in range(10_000):
        value = [value]

    node = tree(value)

    while isinstance(node.data, tuple):
        node = node.data[0]
    assert node.data == "(too big to be read)"


def test_a_text_of_a_megabyte_is_cut():
    assert len(tree("x" * 1_000_000).data) == 1_024


def test_a_number_of_many_digits_is_a_text():
    assert tree(10**5_000).data == "a number of >40 digits"
    assert tree(float("inf")).data == "inf"
    assert tree(object()).data == "object"
