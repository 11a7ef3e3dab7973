"""YAML and JSON with lines, in bounds."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.marked import MalformedError, Marked, parse, resolve

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab c:#-'\"é"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("kz y"), inner, max_size=4)
    ),
    max_leaves=12,
)


def plain(node: Marked):
    match node.data:
        case dict(entries):
            return {key: plain(each) for key, each in entries.items()}
        case tuple(items):
            return [plain(each) for each in items]
        case scalar:
            return scalar


def one(text: str):
    (found,) = parse(text)
    return plain(found)


@given(JSON.filter(lambda each: each is not None))
def test_json_is_read_as_json_reads_it(value):
    assert one(json.dumps(value)) == value


def test_each_node_knows_its_line():
    (found,) = parse("a:\n  b: 1\n\n  c:\n    - x\n    - y\n")
    inner = found.data["a"].data

    assert (found.line, inner["b"].line, inner["c"].data[1].line) == (1, 2, 6)


def test_several_documents_are_several_and_empty_ones_are_none():
    assert [plain(each) for each in parse("---\na: 1\n---\n---\nb: 2\n")] == [
        {"a": 1},
        {"b": 2},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("null", None),
        ("", None),
        ("0o17", 15),
        ("017", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("0.20.0-py3", "0.20.0-py3"),
        ("12:30:45", "12:30:45"),
        ("9" * 41, "9" * 41),
    ],
)
def test_a_plain_scalar_means_what_kubernetes_takes_it_for(text, value):
    assert resolve(text) == value


def test_quotes_and_tags_decide_the_kind():
    assert one("['1', \"yes\", !!str 1, !!int '3', !!float 2, !!bool yes]") == [
        "1",
        "yes",
        "1",
        3,
        2.0,
        True,
    ]


def test_aliases_and_merges_are_followed():
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3}\nall: {<<: [*b, *m], z: 4}\n"

    assert one(text)["all"] == {"x": 1, "y": 2, "z": 4}
    assert one("a: &a {x: 1}\nb: {<<: *a, x: 9}")["b"] == {"x": 9}


def test_keys_that_are_no_text_become_it():
    assert one("{1: a, true: b, 1.5: c}") == {"1": "a", "true": "b", "1.5": "c"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + at)}: &{chr(98 + at)} [{','.join(['*' + chr(97 + at)] * 10)}]\n"
    for at in range(9)
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: 1\na: 2", "the key a is there twice"),
        ("a: *b", "the alias *b has no anchor"),
        ("&a\nb: *a", "the alias *a has no anchor"),
        ("{[1]: 2}", "a key must be text"),
        ("<<: 3", "<< needs a mapping"),
        ("a: !!python/object:os.system x", "the tag"),
        ("a: !!int x", "x is not !!int"),
        ("a: {", "is not YAML"),
        ("a: \x07", "is not YAML"),
        ("[" * 70 + "]" * 70, "is nested deeper than 64"),
        (BOMB, "is too big once its aliases are followed"),
    ],
)
def test_what_is_malformed_says_why(text, rule):
    with pytest.raises(MalformedError) as error:
        parse(text)

    assert rule in error.value.rule


def test_a_malformed_line_is_named():
    with pytest.raises(MalformedError) as error:
        parse("a: 1\nb: 2\nc: [\n")

    assert error.value.line in (3, 4)


@given(st.text(max_size=60))
def test_any_text_is_read_or_malformed(text):
    with suppress(MalformedError):
        parse(text)
