"""A trace is of one length, ascends, and is known by what is in it."""

from __future__ import annotations

import pytest

from simulations.trace import Trace, TraceError, trace


def few(**changes) -> Trace:
    return trace(
        [0.0, 2.5, 2.5],
        **{
            "source": "by hand",
            "span_s": 60.0,
            "services": [1.0, 2.0, 0.5],
            **changes,
        },
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"services": [1.0]}, "1 values of services, but 3 arrivals"),
        ({"services": [1.0, -0.5, 1.0]}, "below 0 s"),
        ({"span_s": 2.0}, r"at 2\.5 s, but the trace ends at 2 s"),
        ({"span_s": 4e8}, r"4e\+08 s long: must be at most ten years"),
        ({"model": [0, 1, 0]}, "model 1 of 1: no such one"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_it(changes, why):
    with pytest.raises(TraceError, match=why):
        few(**changes)


@pytest.mark.parametrize(
    ("arrivals", "why"),
    [
        ([1.0, 0.5], r"request 1 came at 0\.5 s, but the one before it at 1 s"),
        ([-1.0, 0.5], "not a number of seconds from 0 on"),
        ([0.0, float("nan")], "not a number of seconds from 0 on"),
    ],
)
def test_arrivals_ascend_from_the_begin(arrivals, why):
    with pytest.raises(TraceError, match=why):
        trace(arrivals, source="by hand", span_s=10.0)


def test_a_digest_is_of_all_that_a_run_depends_on_and_of_no_words():
    one = few()
    others = [
        few(span_s=61.0),
        few(services=[1.0, 2.0, 0.6]),
        few(models=("another",)),
        few(input_tokens=[1, 2, 3]),
    ]

    assert few(source="somebody else's", remarks=("odd",)).digest == one.digest
    assert len({one.digest, *(each.digest for each in others)}) == 5


def test_no_request_is_a_trace_too():
    assert len(trace([], source="nobody", span_s=60.0)) == 0
