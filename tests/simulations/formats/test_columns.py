"""Columns ascend, and have what requests have."""

from __future__ import annotations

import pytest

from simulations.formats.columns import Columns
from simulations.formats.reader import Reader, RuleError
from simulations.trace import TraceError


def test_columns_without_a_request_or_with_one_before_the_begin_are_no_trace():
    reader = Reader([], "x")
    with pytest.raises(TraceError, match="no request"):
        Columns().trace(reader, "x")
    with pytest.raises(RuleError, match="must not come before 2 s"):
        Columns(begin=2.0).add(1.0)


def test_columns_ascend_unless_it_is_said_why_not():
    columns, loose = Columns(), Columns(why_unsorted="they are written at their ends")
    for each in (columns, loose):
        each.add(5.0)
    loose.add(2.0)

    with pytest.raises(RuleError, match="arrivals must ascend"):
        columns.add(2.0)
    found = loose.trace(Reader([], "x"), "x")
    assert found.arrivals.tolist() == [0.0, 3.0]
    assert found.remarks == ("1 lines put in order: they are written at their ends",)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"at": float("nan")}, "a number"),
        ({"at": 1e12}, "milliseconds"),
        ({"at": 5e8}, "ten years from the first"),
        ({"at": 2.0, "service_s": -1.0}, "service time"),
        ({"at": 2.0, "output_tokens": 10**10}, "tokens"),
        ({"at": 2.0, "model": "a\nb"}, "printable"),
    ],
)
def test_what_no_request_has_is_refused_and_changes_nothing(request_, why):
    columns = Columns()
    columns.add(1.0)

    with pytest.raises(RuleError, match=why):
        columns.add(**request_)

    assert len(columns) == 1
    assert columns.trace(Reader([], "x"), "x").models == ("model",)


def test_columns_that_are_in_order_are_not_copied():
    columns = Columns(begin=0.0)
    columns.add(1.0)

    assert not columns.trace(Reader([], "x"), "x").arrivals.flags.owndata
