"""Azure's traces: times, tokens, counts and durations are where they belong."""

from __future__ import annotations

import pytest

from simulations.formats.known import parse, read
from simulations.trace import TraceError
from tests.simulations.public import public


def test_a_call_of_a_function_begins_its_duration_before_its_end():
    rows = ["app,func,end_timestamp,duration\n", "x,f,9.0,8.0\n", "x,g,2.0,0.5\n"]

    found = parse(rows, "x")

    assert found.arrivals.tolist() == [1.0, 1.5]
    assert [found.models[n] for n in found.model] == ["f", "g"]


@pytest.mark.parametrize(
    "row", ["2024-05-10 00:00:00,x\n", "now,3\n", "1\n", "a,b,c\n"]
)
def test_a_line_that_is_no_count_is_refused(row):
    with pytest.raises(TraceError, match="x:2: "):
        parse(["Time,TIMESTAMP\n", row, "2024-05-10 00:00:10,1\n"], "x")


def test_tokens_of_a_public_trace_have_the_means_of_its_table():
    found = read(public("azure_llm_2023_code.csv"))

    assert found.input_tokens.mean() == pytest.approx(2_048, rel=0.01)
    assert found.output_tokens.mean() == pytest.approx(28, rel=0.05)
    assert found.span_s == pytest.approx(3_436, rel=0.01)
