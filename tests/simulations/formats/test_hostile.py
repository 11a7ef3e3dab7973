"""Whatever is in a file: a trace that accounts for each line, or an error that says
where; never a traceback."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulations.formats.known import FORMATS, parse, read
from simulations.trace import Trace, TraceError
from tests.simulations.formats.test_known import SAMPLES

ODD = (
    "", "-1", "-0.5", "nan", "inf", "-inf", "1e400", "1e12", "1764057112000", "9" * 30,
    "0x10", "1_0", "12.5", "true", "null", "[]", "{}", '"', "'", ",", ",,", ";", "\t",
    "\0", "\r", "\ufeff", "\u2028", "é", "#", "# span_s: nan", "# span_s: -5",
    "2023-02-31 00:00:00", "9999-12-31 23:59:60", "0000-00-00 00:00:00", "\\", "[" * 999,
)  # fmt: skip
PIECES = st.sampled_from(ODD) | st.text(max_size=8)
NAMES = st.sampled_from([*FORMATS])


def sound(found: Trace) -> None:
    """What a simulation takes for granted, and a trace does not check itself."""
    assert found.arrivals[0] >= 0.0
    assert found.arrivals[-1] <= found.span_s < np.inf
    assert not np.isinf(found.services).any()
    assert found.input_tokens.min() >= -1
    assert found.output_tokens.min() >= -1
    assert all(name.isprintable() for name in found.models)


def asked(lines: list[str], name: str) -> int:
    """Return how many requests the lines of a format stand for."""
    rows = [row.rstrip("\r\n") for row in lines]
    rows = [row for row in rows if row and not row.startswith("#")]
    if name in ("fromzero", "azure-llm", "azure-functions", "burstgpt"):
        return len(rows) - 1
    if name in ("azure-counts", "counts"):
        return sum(int(float(row.split(",")[1].strip('"'))) for row in rows[1:])
    if name == "servegen":
        return sum(round(float(row.split(",")[2]) * 600) for row in rows[1:])
    return len(rows)


def dropped(found: Trace) -> int:
    """Return how many lines a trace says it left out."""
    count = 0
    for remark in found.remarks:
        if said := re.match(r"(\d+) lines are of no revision", remark):
            count += int(said[1])
        count += bool(re.match(r"line \d+ is cut off: it was left out", remark))
    return count


def judged(lines: list[str], name: str) -> None:
    """Hold the reading of *lines* to the laws."""
    found = refused = None
    try:
        found = parse(lines, "x", name)
    except TraceError as error:
        refused = str(error)
    if found is None:
        assert re.match(r"x(:\d+)?: \S", str(refused)), refused
        return
    sound(found)
    left_out = dropped(found)
    if left_out and name in ("azure-counts", "counts", "servegen"):
        lines = lines[:-1]
        left_out = 0
    assert len(found) + left_out == asked(lines, name)


@given(NAMES, st.lists(PIECES, max_size=5), st.data())
@example("fromzero", ['"'], None)
def test_pieces_put_anywhere_are_accounted_for_or_refused(name, pieces, data):
    text = SAMPLES[name]
    for piece in pieces:
        at = data.draw(st.integers(0, len(text))) if data else 80
        end = data.draw(st.integers(at, min(len(text), at + 12))) if data else at
        text = text[:at] + piece + text[end:]

    judged([line for line in re.split(r"(?<=\n)", text) if line], name)


@given(NAMES, st.data())
def test_a_cell_that_is_odd_is_accounted_for_or_refused(name, data):
    rows = SAMPLES[name].splitlines(keepends=True)
    row = data.draw(st.integers(0, len(rows) - 1))
    cells = re.split(r"([,:\s])", rows[row])
    cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(PIECES)
    rows[row] = "".join(cells)

    judged(re.findall(r"[^\n]*\n|[^\n]+", "".join(rows)), name)


@given(NAMES, st.data())
def test_lines_in_another_order_twice_or_missing_are_accounted_for(name, data):
    rows = SAMPLES[name].splitlines(keepends=True)
    more = data.draw(st.lists(st.sampled_from(rows), max_size=8))

    judged([rows[0], *more], name)


@given(NAMES, st.integers(0, 400))
def test_a_text_that_is_cut_anywhere_is_doubted_or_refused(name, end):
    text = SAMPLES[name][:end]
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)

    judged(lines, name)

    if lines and not text.endswith("\n"):
        try:
            found = parse(lines, "x", name)
        except TraceError:
            return
        assert any("cut off" in remark for remark in found.remarks)


@pytest.mark.parametrize("name", FORMATS)
def test_line_ends_and_the_mark_of_another_system_change_nothing(name, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf" + SAMPLES[name].replace("\n", "\r\n").encode())

    found = read(path)

    assert found.digest == parse(SAMPLES[name].splitlines(keepends=True), "x").digest
    assert found.remarks == parse(SAMPLES[name].splitlines(keepends=True), "x").remarks


@given(
    st.binary(max_size=300) | st.tuples(NAMES, st.binary(max_size=60)), st.booleans()
)
@example(b"\r\0", False)
def test_any_bytes_are_a_trace_or_an_error_that_names_the_file(
    tmp_path_factory, raw, begun
):
    path = tmp_path_factory.mktemp("any") / "x.csv"
    name = ""
    if isinstance(raw, tuple):
        name, more = raw
        begin = SAMPLES[name].encode()
        raw = (begin if begun else begin[:-30]) + more
    path.write_bytes(raw)

    for form in {"", name}:
        said = "x.csv"
        try:
            sound(read(path, form))
        except TraceError as error:
            said = str(error)
        assert "x.csv" in said


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_that_is_said_is_an_error_or_accounts_for_each_line(name):
    for sample in SAMPLES.values():
        judged(sample.splitlines(keepends=True), name)


MILLISECONDS = {
    "fromzero": "{ms},a,,,\n",
    "burstgpt": "{ms},a,1,2,3,x\n",
    "azure-functions": "x,f,{ms},1.0\n",
    "counts": "{ms},2\n",
    "json": '{{"time": {ms}, "host": "a"}}\n',
}
"""Formats whose times are plain numbers of seconds."""


@pytest.mark.parametrize("name", MILLISECONDS)
def test_milliseconds_since_1970_are_an_error(name):
    rows = [MILLISECONDS[name].format(ms=1_764_057_112_000 + n) for n in range(99)]
    if name != "json":
        rows.insert(0, SAMPLES[name].split("\n")[0].replace("minute", "time") + "\n")

    with pytest.raises(TraceError, match="x:[12]: .*(ten years|seconds)"):
        parse(rows, "x")
