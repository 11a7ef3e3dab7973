from __future__ import annotations

import csv
import os

import pytest

from fromzero.trace import COLUMNS, Trace
from simulations.formats.known import read

BEGAN = 1_764_057_112.25


def rows(path):
    lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
    return list(csv.DictReader(lines))


def test_a_request_is_a_row_of_the_simulators_format(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 100.0, unix_s=BEGAN) as trace:
        trace.add("ns/llm", arrived=101.5, service_s=0.25, tokens=(7, 16))

    assert path.read_text().splitlines()[-3:] == [
        COLUMNS,
        "1.500000,ns/llm,7,16,0.250000,",
        "# span_s: 1.500000",
    ]


def test_what_is_not_known_is_empty(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        trace.add("iris", arrived=1.0, service_s=None)

    (row,) = rows(path)
    assert (row["service_s"], row["input_tokens"], row["session"]) == ("", "", "")


def test_rows_are_in_the_order_of_arrival_once_it_is_closed(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        for arrived in (3.0, 1.0, 2.0):
            trace.add("iris", arrived=arrived, service_s=0.0)

    assert [row["arrival_s"] for row in rows(path)] == [
        "1.000000", "2.000000", "3.000000",
    ]  # fmt: skip
    assert path.read_text().startswith("# source: fromzero")
    assert list(tmp_path.iterdir()) == [path]


def test_its_end_says_how_long_was_recorded_and_is_read_so(tmp_path):
    path, times = tmp_path / "trace.csv", iter([100.0, 160.0])

    with Trace(path, clock=lambda: next(times), unix_s=BEGAN) as trace:
        trace.add("iris", arrived=103.0, service_s=0.5)
        trace.add("iris", arrived=101.0, service_s=4.5)

    found = read(path)
    assert (found.arrivals.tolist(), found.span_s) == ([1.0, 3.0], 60.0)
    assert found.began_s == BEGAN
    assert found.remarks == ()


def test_many_lines_are_left_in_the_order_of_their_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("fromzero.trace._MOST_SORTED", 1)
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        for arrived in (3.0, 1.0):
            trace.add("iris", arrived=arrived, service_s=0.0)

    assert [row["arrival_s"] for row in rows(path)] == ["3.000000", "1.000000"]
    assert read(path).remarks == (
        "1 lines put in order: requests are recorded as they end",
    )


def test_a_file_that_takes_no_more_ends_the_recording_and_nothing_else(
    tmp_path, caplog
):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        os.close(reader)
        for arrived in (3.0, 1.0):
            trace.add("iris", arrived=arrived, service_s=0.0)

    (said,) = (record.getMessage() for record in caplog.records)
    assert said == f"recording ended path={path} why=Broken pipe"


def test_a_recording_that_is_cut_off_is_read_and_said_to_be(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        trace.add("iris", arrived=2.0, service_s=0.5)
        trace.add("iris", arrived=1.0, service_s=2.5)
        found = read(path)

    assert found.arrivals.tolist() == [1.0, 2.0]
    assert found.remarks == (
        "the recording was not ended: it is taken to end with its last request",
        "1 lines put in order: requests are recorded as they end",
    )


def test_a_recording_that_is_cut_off_is_whole_lines(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
        trace.add("iris", arrived=1.0, service_s=0.5)

        assert path.read_text().endswith(",0.500000,\n")
        assert len(rows(path)) == 1


def test_a_request_from_before_the_recording_arrived_as_it_began(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, clock=lambda: 10.0, unix_s=BEGAN) as trace:
        trace.add("iris", arrived=9.0, service_s=2.0)

    assert rows(path)[0]["arrival_s"] == "0.000000"


def test_a_recording_is_closed_when_what_it_records_fails(tmp_path):
    path = tmp_path / "trace.csv"

    def fail():
        with Trace(path, clock=lambda: 0.0, unix_s=BEGAN) as trace:
            trace.add("iris", arrived=2.0, service_s=0.0)
            trace.add("iris", arrived=1.0, service_s=0.0)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()

    assert [row["arrival_s"] for row in rows(path)] == ["1.000000", "2.000000"]
