"""How one setting is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Metric
from autoscaler.knob import Kind, Knob, held, parse


def knob(kind: Kind, **more) -> Knob:
    return Knob(name="n", of="gate", field=more.pop("field", "f"), kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.WHOLE, "3", 3),
        (Kind.WHOLE, "3.5", None),
        (Kind.WHOLE, "three", None),
        (Kind.NUMBER, "0.5", 0.5),
        (Kind.SECONDS, "1.5s", 1.5),
        (Kind.SECONDS, "90", 90.0),
        (Kind.WHOLE_SECONDS, "1m", 60),
        (Kind.WHOLE_SECONDS, "1.5s", None),
        (Kind.BYTES, "1Ki", 1024),
        (Kind.FLAG, "True", True),
        (Kind.FLAG, "maybe", None),
        (Kind.BALANCE, "firstFree", "first-free"),
        (Kind.BALANCE, "header:X-Session-Id", "header:X-Session-Id"),
        (Kind.BALANCE, "prompt:256", "prompt:256"),
        (Kind.BALANCE, "prompt:0", None),
        (Kind.BALANCE, "header:a b", None),
        (Kind.BALANCE, "round-robin", None),
    ],
)
def test_each_kind_is_read_as_it_is_written(kind, text, value):
    assert parse(knob(kind), text) == value


def test_a_word_is_read_whatever_its_dashes_and_capitals():
    words = knob(Kind.WORD, words=("weighted-exponential", "linear"))

    assert parse(words, "weightedExponential") == "weighted-exponential"
    assert parse(words, "exponential") is None


@given(value=st.integers(-1000, 1000), low=st.integers(-50, 50))
def test_a_number_is_read_exactly_if_it_is_in_range(value, low):
    found = parse(knob(Kind.WHOLE, low=low, high=low + 100), str(value))

    assert (found == value) is (low <= value <= low + 100)


def test_one_value_more_may_be_allowed_and_the_lowest_forbidden():
    special = knob(Kind.NUMBER, low=0, special=-1)
    above = knob(Kind.NUMBER, low=1, above=True)

    assert [parse(special, each) for each in ("-1", "-2", "0")] == [-1, None, 0]
    assert [parse(above, each) for each in ("1", "1.1")] == [None, 1.1]


@pytest.mark.parametrize(
    ("kind", "more", "rule"),
    [
        (Kind.FLAG, {}, "must be true or false"),
        (Kind.WORD, {"words": ("a", "b")}, "must be one of a, b"),
        (
            Kind.BALANCE,
            {},
            "must be one of auto, least-of-two, first-free, header:NAME with a field's "
            "name, prompt:BYTES with 1 to 65536",
        ),
        (Kind.BYTES, {}, "must be a size such as 512Mi, more than nothing"),
        (Kind.WHOLE, {"high": 9}, "must be a whole number in [0, 9]"),
        (Kind.NUMBER, {"above": True}, "must be a number, more than 0"),
        (Kind.NUMBER, {"special": -1}, "must be a number, 0 or more, or -1"),
        (Kind.SECONDS, {"low": 6}, "must be a duration such as 30s, 6s or more"),
    ],
)
def test_the_rule_says_what_is_allowed(kind, more, rule):
    assert knob(kind, **more).rule == rule


def test_what_is_written_becomes_what_the_field_holds():
    assert held(knob(Kind.NUMBER, percent=True), 300.0) == 3.0
    assert held(knob(Kind.WORD, field="metric"), "rps") is Metric.RPS
    assert held(knob(Kind.BALANCE), "prompt:9") == "prompt:9"
    assert held(knob(Kind.FLAG), True) is True


def test_an_annotation_has_its_camel_case_spelling_too():
    some = knob(Kind.WHOLE, annotation="a.b/min-scale")

    assert some.annotations == ("a.b/min-scale", "a.b/minScale")
    assert knob(Kind.WHOLE).annotations == ()
