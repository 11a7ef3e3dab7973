"""Edited traces keep what they keep as it was: in order, and with all its facts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.edit import jitter, merge, only, slice_, thin
from simulations.formats.known import parse, written
from simulations.trace import Trace, TraceError, trace

TRACES = st.lists(
    st.tuples(st.floats(0, 100), st.integers(0, 2), st.floats(0, 9)), max_size=40
).map(
    lambda rows: trace(
        [at for at, _, _ in sorted(rows)],
        source="drawn",
        span_s=100.0,
        models=("a", "b", "c"),
        model=[model for _, model, _ in sorted(rows)],
        services=[service for _, _, service in sorted(rows)],
    )
)


def rows(of: Trace) -> list[tuple[float, str, float]]:
    return [
        (at, of.models[model], service)
        for at, model, service in zip(
            of.arrivals.tolist(), of.model.tolist(), of.services.tolist(), strict=True
        )
    ]


@given(TRACES, st.floats(1, 20), st.integers(0, 9))
def test_thinning_keeps_some_as_they_were_and_the_same_ones_each_time(of, factor, seed):
    kept = rows(thin(of, factor, seed=seed))
    rest = iter(rows(of))

    assert all(each in rest for each in kept)
    assert kept == rows(thin(of, factor, seed=seed))
    assert rows(thin(of, 1.0, seed=seed)) == rows(of)


def test_what_came_at_the_very_end_is_in_the_last_slice():
    ends = trace([0.0, 60.0], source="ends")

    assert len(slice_(ends, 30.0, ends.span_s)) == 1
    assert len(slice_(ends, 0.0, 30.0)) == 1


def test_thinning_keeps_about_one_in_so_many():
    many = trace(np.arange(100_000.0), source="many", span_s=100_000.0)

    assert len(thin(many, 10.0, seed=1)) == pytest.approx(10_000, rel=0.05)


@given(TRACES, st.floats(0.5, 99.5))
def test_two_slices_are_the_whole(of, cut):
    one, other = slice_(of, 0.0, cut), slice_(of, cut, 100.0)

    assert len(one) + len(other) == len(of)
    assert one.span_s + other.span_s == pytest.approx(100.0)
    again = [(at + cut, model, service) for at, model, service in rows(other)]
    assert [row[1:] for row in rows(one) + again] == [row[1:] for row in rows(of)]


@given(TRACES, TRACES)
def test_what_is_merged_is_all_there_in_order(one, other):
    both = merge([one, other])

    assert sorted(rows(both)) == sorted(rows(one) + rows(other))
    assert both.span_s == 100.0


@given(TRACES, st.integers(0, 9), st.floats(1, 20), st.floats(1, 99))
def test_models_are_those_that_have_requests_as_they_first_did(of, seed, factor, cut):
    for each in (
        thin(of, factor, seed=seed), slice_(of, cut / 2, cut), merge([of, of]),
        jitter(of, cut, seed=seed), *(only(of, name) for name in of.models),
    ):  # fmt: skip
        assert each.models == tuple(dict.fromkeys(name for _, name, _ in rows(each)))


@given(TRACES.filter(len), st.floats(1, 5), st.integers(0, 9))
def test_a_trace_that_is_written_between_two_edits_is_none_the_worse(of, factor, seed):
    kept = thin(of, factor, seed=seed)
    if not len(kept):
        return

    again = parse(written(kept), "x")

    assert again.digest == kept.digest
    assert slice_(again, 0.0, 50.0).digest == slice_(kept, 0.0, 50.0).digest
    assert merge([again, again]).digest == merge([kept, kept]).digest


def test_a_remark_of_both_is_made_once():
    few = trace([1.0], source="few", remarks=("doubtful",))

    assert merge([few, few]).remarks == ("doubtful",)


@given(TRACES.filter(len), st.floats(0.5, 99.5))
def test_two_slices_that_say_when_they_began_are_merged_to_the_whole(of, cut):
    dated = replace(of, began_s=1_764_057_112.0)

    both = merge([slice_(dated, cut, 100.0), slice_(dated, 0.0, cut)])

    assert both.arrivals.tolist() == pytest.approx(of.arrivals.tolist(), abs=1e-5)
    assert sorted(row[1:] for row in rows(both)) == sorted(row[1:] for row in rows(of))
    assert both.span_s == pytest.approx(100.0)
    assert both.began_s == dated.began_s


def test_traces_that_do_not_all_say_when_they_began_begin_together():
    few = trace([1.0], source="few", span_s=9.0)

    both = merge([few, replace(few, began_s=1e9)])

    assert both.arrivals.tolist() == [1.0, 1.0]
    assert both.began_s is None
    assert both.remarks == ("not all say when they began: taken to begin together",)
    assert merge([few, few]).remarks == ()


@given(TRACES)
def test_models_taken_apart_and_merged_are_the_whole(of):
    parts = [only(of, name) for name in of.models]

    assert sorted(rows(merge(parts))) == sorted(rows(of))


@given(TRACES, st.floats(0, 5))
def test_jitter_moves_each_on_by_no_more_than_asked(of, seconds):
    moved = jitter(of, seconds, seed=1)

    assert sorted(moved.services.tolist()) == sorted(of.services.tolist())
    assert len(moved) == len(of)
    assert moved.span_s == of.span_s


BAD = {
    "less than one in one": lambda of: thin(of, 0.5, seed=1),
    "no number": lambda of: thin(of, float("nan"), seed=1),
    "no stretch": lambda of: slice_(of, 5.0, 5.0),
    "after the end": lambda of: slice_(of, 100.0, 200.0),
    "no such model": lambda of: only(of, "nobody"),
    "backwards": lambda of: jitter(of, -1.0, seed=1),
    "nothing": lambda of: merge([]),
    "a life apart": lambda of: merge(
        [replace(of, began_s=0.0), replace(of, began_s=1e9)]
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_done_is_refused(bad):
    few = trace([1.0, 2.0], source="few", span_s=100.0)

    with pytest.raises(TraceError):
        BAD[bad](few)
