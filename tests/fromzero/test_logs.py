from __future__ import annotations

import contextlib
import io
import json
import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fromzero.logs import LogFormat, begin

ANY = st.text(st.characters(exclude_categories=()))
"""What may come from the network, and then some."""


def written(form: LogFormat, said: str, error: Exception | None = None) -> str:
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        begin(form)
        logging.getLogger("fromzero").error("said=%s", said, exc_info=error)
    return out.getvalue().removesuffix("\n")


def same(one: str, other: str) -> bool:
    """JSON has two lone surrogates that follow each other as one character."""
    return one.encode("utf-16", "surrogatepass") == other.encode(
        "utf-16", "surrogatepass"
    )


@pytest.fixture(autouse=True, scope="module")
def _as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_text_line_has_time_level_and_message(capsys):
    begin(LogFormat.TEXT)

    logging.getLogger("fromzero").info("scale revision=%s", "a/b")

    (line,) = capsys.readouterr().err.splitlines()
    assert line[2] == line[5] == ":"
    assert line.endswith("info    scale revision=a/b")


@given(said=ANY)
@example(said="one\ntwo")
@example(said="\x1b[2J\r\x0b\x85\x9b\u2028\u2029\u202e\x7f")
def test_whatever_is_said_stays_on_its_line_and_does_nothing_to_a_terminal(said):
    text, record = written(LogFormat.TEXT, said), written(LogFormat.JSON, said)

    assert text.isprintable()
    assert record.isprintable()
    assert same(json.loads(record)["message"], f"said={said}")
    if said.isprintable():
        assert text.endswith(f" said={said}")


@given(said=ANY)
@example(said="a\n12:00:00.000 info    forged\x1b[1m\u2028b")
def test_whatever_an_exception_says_begins_no_line_as_log_lines_do(said):
    error = ValueError(said)
    text = written(LogFormat.TEXT, "", error)
    record = written(LogFormat.JSON, "", error)

    assert record.isprintable()
    lines = text.split("\n")
    assert all(each.isprintable() for each in lines)
    assert all(each.startswith("  ") for each in lines[1:])


def test_a_json_line_is_one_object(capsys):
    begin(LogFormat.JSON)

    logging.getLogger("autoscaler.loop").info("said=%s", 'a "b"\nc')

    record = json.loads(capsys.readouterr().err)
    assert record["message"] == 'said=a "b"\nc'
    assert (record["level"], record["logger"]) == ("info", "autoscaler.loop")
    assert record["time"].endswith("+00:00")


@pytest.mark.parametrize("form", list(LogFormat))
def test_a_bug_is_written_with_where_it_is(form, capsys):
    begin(form)

    try:
        raise ArithmeticError("a bug")
    except ArithmeticError:
        logging.getLogger("fromzero").exception("failed")

    said = capsys.readouterr().err
    assert "test_a_bug_is_written_with_where_it_is" in said
    assert "ArithmeticError: a bug" in said


def test_under_a_table_only_warnings_are_written(capsys):
    begin(LogFormat.TEXT, quiet=True)

    logging.getLogger("fromzero").info("one")
    logging.getLogger("fromzero").warning("two")

    assert capsys.readouterr().err.rstrip().endswith("two")
    begin(LogFormat.TEXT)
    assert len(logging.getLogger().handlers) == 1
