from __future__ import annotations

import json
import logging

import pytest

from fromzero.logs import LogFormat, begin


@pytest.fixture(autouse=True)
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


def test_a_message_stays_on_its_line(capsys):
    begin(LogFormat.TEXT)

    logging.getLogger("fromzero").warning("said=%s", "one\ntwo")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("said=one\\ntwo")


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
