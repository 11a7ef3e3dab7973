"""Lines by number, columns in order, and times as seconds."""

from __future__ import annotations

import pytest

from simulations.formats.reader import Columns, Reader, Stamps
from simulations.trace import TraceError


def test_notes_and_empty_lines_are_passed_over_and_counted():
    reader = Reader(["# a\n", "one\r\n", "\n", "two"], "x")

    assert [(line, reader.number) for line in reader] == [("one", 2), ("two", 4)]


def test_a_bad_line_is_an_error_but_for_the_last_without_an_end():
    reader = Reader(["one\n", "tw"], "x")
    lines = iter(reader)

    next(lines)
    assert str(reader.bad("must be two")) == "x:1: 'one'; must be two"
    next(lines)
    assert reader.bad("must be two") is None
    assert reader.remarks == ["line 2 is cut off: it was left out"]


def test_a_long_line_is_not_shown_whole():
    reader = Reader(["a" * 5_000 + "\n"], "x")
    list(reader)

    assert len(str(reader.bad("must be short"))) < 150


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02 00:00:01", 86_401.0),
        ("2026-11-25T10:00:00.250Z", 1_795_600_800.25),
        ("2023-11-16 18:17:03.9799600", 1_700_158_623.97996),
    ],
)
def test_a_time_is_seconds_since_1970(text, seconds):
    assert Stamps()(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01 00:00:00", "2026-01-01 25:00:00",
             "2026-01-01 00:00:99", "2026-01-01 00.00.00", "2026-01-01 00:00:-1"]
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="time data|invalid|could not|^"):
        Stamps()(text)


def test_columns_without_a_request_or_with_one_before_the_begin_are_no_trace():
    reader = Reader([], "x")
    with pytest.raises(TraceError, match="no request"):
        Columns().trace(reader, "x")
    columns = Columns()
    columns.add(1.0)
    with pytest.raises(TraceError, match="before the begin"):
        columns.trace(reader, "x", begin=2.0)
    with pytest.raises(ValueError, match="below zero"):
        columns.add(1.0, input_tokens=-5)
