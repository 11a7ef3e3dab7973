"""Lines by number, columns in order, and times as seconds."""

from __future__ import annotations

import pytest

from simulations.formats.reader import (
    Columns,
    Reader,
    RuleError,
    Stamps,
    rows,
    whole,
)
from simulations.trace import TraceError


def test_notes_and_empty_lines_are_passed_over_and_counted():
    reader = Reader(["# a\n", "one\r\n", "\n", "two"], "x")

    assert [(line, reader.number) for line in reader] == [("one", 2), ("two", 4)]


def test_a_bad_line_is_an_error_but_for_the_last_without_an_end():
    reader = Reader(["one\n", "tw"], "x")
    lines, must_be_two = iter(reader), reader.must("must be two")

    next(lines)
    with pytest.raises(TraceError, match=r"^x:1: 'one'; must be two$"), must_be_two:
        int("one")
    with pytest.raises(TraceError, match=r"^x:1: 'one'; a rule$"), must_be_two:
        raise RuleError("a rule")
    next(lines)
    with must_be_two:
        int("tw")
    assert list(lines) == []
    assert reader.remarks == ["line 2 is cut off: it was left out"]


def test_what_is_no_fault_of_a_line_passes_through():
    with pytest.raises(KeyboardInterrupt), Reader([], "x").must("be read"):
        raise KeyboardInterrupt


def test_a_last_line_without_an_end_that_can_be_read_is_doubted():
    reader = Reader(["1\n", "12"], "x")

    assert [int(line) for line in reader] == [1, 12]
    assert reader.remarks == ["line 2 does not end: it was read, but may be cut off"]


def test_a_long_line_is_not_shown_whole():
    reader = Reader(["a" * 5_000 + "\n"], "x")
    list(reader)

    assert len(str(reader.error("must be short"))) < 150


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02 00:00:01", 86_401.0),
        ("1970-01-02 00:01", 86_460.0),
        ("2026-11-25T10:00:00.250Z", 1_795_600_800.25),
        ("2023-11-16 18:17:03.9799600", 1_700_158_623.97996),
    ],
)
def test_a_time_is_seconds_since_1970(text, seconds):
    assert Stamps()(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01 00:00:00", "2026-01-01 25:00:00",
             "2026-02-30 00:00:00", "2026-01-01 00:60:00", "2026-01-01_00:00:00",
             "2026-01-01 00:00:99", "2026-01-01 00.00.00", "2026-01-01 00:00:-1"]
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="time data|invalid|could not|^"):
        Stamps()(text)


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


@pytest.mark.parametrize("said", ["1.5", "", 2.5, True, -1, "-2", None, float("nan")])
def test_what_is_no_count_is_refused(said):
    with pytest.raises((ValueError, TypeError)):
        whole(said)


@pytest.mark.parametrize("text", ['1,"a\n', '1,"a\nb"\n'])
def test_a_row_is_a_line(text):
    reader = Reader([*text.splitlines(keepends=True), "2,b\n"], "x")

    with pytest.raises(TraceError, match="x:[23]: "):
        list(rows(reader))
