"""Lines by number, what is wrong with one, and counts."""

from __future__ import annotations

import pytest

from simulations.formats.reader import Reader, RuleError, rows, whole
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


@pytest.mark.parametrize("said", ["1.5", "", 2.5, True, -1, "-2", None, float("nan")])
def test_what_is_no_count_is_refused(said):
    with pytest.raises((ValueError, TypeError)):
        whole(said)


@pytest.mark.parametrize("text", ['1,"a\n', '1,"a\nb"\n'])
def test_a_row_is_a_line(text):
    reader = Reader([*text.splitlines(keepends=True), "2,b\n"], "x")

    with pytest.raises(TraceError, match="x:[23]: "):
        list(rows(reader))
