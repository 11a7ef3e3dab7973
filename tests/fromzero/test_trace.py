from __future__ import annotations

import csv

import pytest

from fromzero.trace import COLUMNS, Trace


def rows(path):
    lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
    return list(csv.DictReader(lines))


def test_a_request_is_a_row_of_the_simulators_format(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, began=100.0) as trace:
        trace.add("ns/llm", arrived=101.5, service_s=0.25, tokens=(7, 16))

    assert path.read_text().splitlines()[-2:] == [
        COLUMNS,
        "1.500000,ns/llm,7,16,0.250000,",
    ]


def test_what_is_not_known_is_empty(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, began=0.0) as trace:
        trace.add("iris", arrived=1.0, service_s=None)

    (row,) = rows(path)
    assert (row["service_s"], row["input_tokens"], row["session"]) == ("", "", "")


def test_rows_are_in_the_order_of_arrival_once_it_is_closed(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, began=0.0) as trace:
        for arrived in (3.0, 1.0, 2.0):
            trace.add("iris", arrived=arrived, service_s=0.0)

    assert [row["arrival_s"] for row in rows(path)] == [
        "1.000000", "2.000000", "3.000000",
    ]  # fmt: skip
    assert path.read_text().startswith("# source: fromzero")
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_that_is_cut_off_is_whole_lines(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, began=0.0) as trace:
        trace.add("iris", arrived=1.0, service_s=0.5)

        assert path.read_text().endswith(",0.500000,\n")
        assert len(rows(path)) == 1


def test_a_request_from_before_the_recording_arrived_as_it_began(tmp_path):
    path = tmp_path / "trace.csv"

    with Trace(path, began=10.0) as trace:
        trace.add("iris", arrived=9.0, service_s=2.0)

    assert rows(path)[0]["arrival_s"] == "0.000000"


def test_a_recording_is_closed_when_what_it_records_fails(tmp_path):
    path = tmp_path / "trace.csv"

    def fail():
        with Trace(path, began=0.0) as trace:
            trace.add("iris", arrived=2.0, service_s=0.0)
            trace.add("iris", arrived=1.0, service_s=0.0)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()

    assert [row["arrival_s"] for row in rows(path)] == ["1.000000", "2.000000"]
