"""Fields of JSON: of their type, or as if absent."""

from __future__ import annotations

from hypothesis import given

from autoscaler.backends.kubernetes.facts import NOTHING
from autoscaler.backends.kubernetes.raw import (
    as_list,
    as_map,
    is_whole,
    maps,
    moment,
    part,
    text,
    texts,
    whole,
)
from tests.autoscaler.backends.kubernetes.anything import JSON


@given(JSON)
def test_each_is_of_its_type_whatever_is_there(found):
    raw = {"a": found}

    assert isinstance(as_map(found), dict)
    assert isinstance(as_list(found), list)
    assert isinstance(part(raw, "a"), dict)
    assert all(isinstance(each, dict) for each in maps(raw, "a"))
    assert isinstance(text(raw, "a"), str)
    assert all(isinstance(each, str) for each in texts(found).values())
    assert type(whole(raw, "a")) is int
    assert isinstance(moment(raw, "a"), float)


def test_a_truth_is_no_number_and_neither_is_a_debt():
    assert not is_whole(True)
    assert not is_whole(-1)
    assert not is_whole(1.0)
    assert whole({"a": 10**30}, "a", 7) == 7


def test_nothing_costs_nothing():
    assert texts({}) is NOTHING
    assert texts({"a": "b", "c": "d"}, but="c") == {"a": "b"}


def test_a_time_without_a_zone_is_utc():
    assert moment({"at": "1970-01-01T00:00:07"}, "at") == 7.0
    assert moment({"at": "1970-01-01T01:00:07+01:00"}, "at") == 7.0
