"""Our own format: it says all that a trace does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.formats.known import parse, written
from simulations.shapes import SHAPES, Shape, Sizes, made
from simulations.trace import trace
from tests.simulations.formats.test_known import SAMPLES

OURS = "arrival_s,model,input_tokens,output_tokens,service_s\n"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6), st.sampled_from(["a", 'b,"c"', "#d"]), st.integers(-1, 9),
            st.floats(0, 1e4) | st.just(float("nan")),
        ),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_what_is_written_is_read_again_as_the_same(rows):
    rows.sort(key=lambda row: row[0])
    names = tuple(dict.fromkeys(row[1] for row in rows))
    one = trace(
        [row[0] for row in rows],
        source="drawn",
        span_s=2e6,
        models=names,
        model=[names.index(row[1]) for row in rows],
        input_tokens=[row[2] for row in rows],
        services=[row[3] for row in rows],
    )

    again = parse(written(one), "x")

    assert again.digest == one.digest
    assert again.source == "drawn"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_trace_of_any_format_is_the_same_once_converted(name):
    one = parse(SAMPLES[name].splitlines(keepends=True), "x")

    again = parse(written(one), "y")

    assert again.digest == one.digest
    assert (again.source, again.remarks) == (one.source, one.remarks)
    assert again.began_s == one.began_s
    assert list(written(again)) == list(written(one))


@pytest.mark.parametrize(
    "lines",
    [
        [f"{n / 2_000},a,,,\n" for n in range(200)],
        ["0,a,,,700\n", "200000,a,,,800\n"],
    ],
    ids=["dense", "long"],
)
def test_what_is_doubtful_is_said_once_however_often_it_is_converted(lines):
    one = parse([OURS, *lines], "x")
    again = parse(written(one), "y")

    assert one.remarks
    assert parse(written(again), "z").remarks == one.remarks


@pytest.mark.parametrize(
    "text",
    [
        "Timestamp,Model,Request tokens,Response tokens\n5,,1,2\n6,m,1,2\n",
        "app,func,end_timestamp,duration\na,,5,1\n",
        '{"time": "1970-01-01T00:00:03Z", "duration_s": 9.0}\n',
        "time,requests\n1960-01-01 00:00:00,5\n1960-01-01 00:01:00,5\n",
    ],
    ids=["no-model", "no-function", "no-clock", "before-1970"],
)
def test_a_trace_that_says_odd_things_is_the_same_once_converted(text):
    one = parse(text.splitlines(keepends=True), "x")
    again = parse(written(one), "x")

    assert (again.digest, again.began_s) == (one.digest, one.began_s)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_trace_that_was_made_is_the_same_once_written(kind):
    one = made(Shape(kind=kind, rate=0.1, span_s=90_000.0), Sizes(service_s=2.0))

    assert parse(written(one), "x").digest == one.digest


def test_a_long_trace_is_written_whole():
    many = trace(np.arange(200_001.0) / 7.0, source="many")

    assert parse(written(many), "x").digest == many.digest


def test_there_is_an_end_to_remarks():
    many = [f"# remark: so {n}\n" for n in range(100)]

    assert len(parse([*many, OURS, "1,a,,,\n"], "x").remarks) == 20


def test_requests_that_are_written_as_they_end_are_put_in_order():
    found = parse([OURS, "5,a,,,1\n", "2,b,,,9\n"], "x")

    assert found.arrivals.tolist() == [2.0, 5.0]
    assert found.models[found.model[0]] == "b"
    assert "1 lines put in order" in found.remarks[0]
