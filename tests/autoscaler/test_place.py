"""Places: what stands there, and complaints that say where."""

from __future__ import annotations

import pytest

from autoscaler.marked import parse
from autoscaler.place import Place, shown

TEXT = """
name: iris
count: 3
share: 0.5
on: true
nothing: null
list: [a, b]
annotations:
  a.b/c-d: x
"""


@pytest.fixture
def root():
    (node,) = parse(TEXT)
    return Place("f.yaml", "", node, [])


def complaints(root):
    return [str(each) for each in root.problems]


def test_what_is_there_is_read(root):
    assert root.at("name").text() == "iris"
    assert root.at("count").whole(0, 3) == 3
    assert root.at("true").flag() is True  # YAML takes the key `on` for that.
    assert root.at("share").anything() == "0.5"
    assert root.at("name").one_of(["iris", "rose"]) == "iris"
    assert [each.text() for each in root.at("list").each()] == ["a", "b"]
    assert [(name, each.path) for name, each in root.at("annotations").items()] == [
        ("a.b/c-d", 'annotations["a.b/c-d"]')
    ]
    assert root.problems == []


def test_null_and_absent_are_none_without_a_complaint(root):
    assert root.at("nothing") is None
    assert root.at("absent", "deeper") is None
    assert root.problems == []


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda r: r.at("count").text(), "count = 3, must be text (put it in quotes)"),
        (lambda r: r.at("list").text(), "list = [2 items], must be text"),
        (lambda r: r.at("list").anything(), "list = [2 items], must be a single value"),
        (lambda r: r.at("count").flag(), "count = 3, must be true or false"),
        (
            lambda r: r.at("count").whole(4),
            "count = 3, must be a whole number, 4 or mo",
        ),
        (lambda r: r.at("count").whole(0, 2), "must be a whole number in [0, 2]"),
        (lambda r: r.at("true").whole(0), "must be a whole number, 0 or more"),
        (lambda r: r.at("share").whole(0), "share = 0.5, must be a whole number"),
        (lambda r: r.at("name").one_of("ab"), "name = iris, must be one of a, b"),
        (lambda r: list(r.at("name").each()), "name = iris, must be a list"),
        (lambda r: list(r.at("name").items()), "name = iris, must be a mapping"),
        (lambda r: r.at("name", "deeper"), "iris, must be a mapping"),
        (lambda r: r.lacks("a.b", "is missing"), "a.b is missing"),
        (
            lambda r: r.at("annotations").lacks("x", "is missing"),
            "annotations.x is mis",
        ),
    ],
)
def test_a_wrong_reading_is_none_or_nothing_and_is_complained_of(root, read, said):
    assert not read(root)

    (found,) = complaints(root)
    assert found.startswith("f.yaml:")
    assert said in found


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("null", "null"),
        ("false", "false"),
        ("7", "7"),
        ("''", '""'),
        ('"a\\n b"', "a b"),
        ("x" * 100, "x" * 79 + "…"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("{a: 1}", "{1 fields}"),
    ],
)
def test_a_value_is_shown_in_one_short_line(text, short):
    (holder,) = parse(f"[{text}]")

    assert shown(holder.data[0]) == short
