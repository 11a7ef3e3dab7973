"""What is said of a trace, counted by hand and against the published table."""

from __future__ import annotations

import pytest

from simulations.edit import thin
from simulations.formats.known import read
from simulations.summary import lines, summarize
from simulations.trace import trace
from tests.simulations.public import public


def test_figures_of_a_few_requests_are_those_counted_by_hand():
    few = trace([0.0, 0.5, 100.0, 500.0], source="by hand", span_s=1_000.0)

    found = summarize(few)

    assert (found.requests, found.rate, found.peak_s) == (4, 0.004, 2)
    assert found.peak_minute == pytest.approx(2 / 60)
    assert found.long_gaps == pytest.approx((2 / 3, 1 / 3, 0.0))
    assert found.longest_gap_s == 400.0
    # After 0.5 s, 100 s and 500 s there are 99.5, 400 and 500 s without a request.
    idle = (39.5 + 340 + 440) / 1000, (100 + 200) / 1000, 0.0
    assert found.idle == pytest.approx(idle)


def test_no_request_can_be_summed_up_too():
    found = summarize(trace([], source="nobody", span_s=600.0))

    assert (found.requests, found.rate) == (0, 0.0)
    assert found.idle == pytest.approx((0.9, 0.5, 0.0))


def test_one_screen_says_what_is_known_and_no_more():
    few = trace([0.0, 5.0], source="two\nlines", span_s=60.0, services=[1.0, 2.0])

    said = list(lines(few))

    assert any(line.startswith("service s") for line in said)
    assert not any(line.startswith("input tokens") for line in said)


@pytest.mark.parametrize(
    ("arrivals", "noted"),
    [([0.0, 3.0, 3.0, 3.0, 9.0], True), ([0.0, 3.0, 3.5], False), ([1.0, 2.0], False)],
)
def test_a_grid_of_seconds_is_noted_where_requests_fall_together(arrivals, noted):
    said = list(lines(trace(arrivals, source="x")))

    assert noted == any("--jitter 1s" in line for line in said)


def test_each_of_several_models_sleeps_on_its_own():
    two = trace(
        [0.0, 30.0, 60.0, 90.0], source="x", span_s=120.0, models=("a", "b"),
        model=[0, 1, 1, 1],
    )  # fmt: skip

    said = list(lines(two))

    assert any(line.startswith("models            2; what is above") for line in said)
    assert any(line.split() == ["a", "1;", "50.0%,", "0.0%,", "0.0%"] for line in said)
    assert any(line.split() == ["b", "3;", "0.0%,", "0.0%,", "0.0%"] for line in said)


@pytest.mark.parametrize(
    ("name", "requests", "rate", "peak_s", "minute", "dispersion"),
    [
        ("azure_llm_2023_code.csv", 8_819, 2.567, 67, 10.53, (13.2, 166.9)),
        ("azure_llm_2023_conv.csv", 19_366, 5.530, 16, 8.45, (1.39, 16.4)),
    ],
)
def test_figures_of_public_traces_are_those_of_their_table(
    name, requests, rate, peak_s, minute, dispersion
):
    found = summarize(read(public(name)))

    assert found.requests == requests
    assert found.rate == pytest.approx(rate, rel=0.002)
    # A second and a minute begin where the trace does; the table's may not.
    assert found.peak_s == pytest.approx(peak_s, rel=0.1)
    assert found.peak_minute == pytest.approx(minute, rel=0.1)
    assert found.dispersion == pytest.approx(dispersion, rel=0.1)


def test_a_thinned_public_trace_is_idle_as_its_table_says():
    whole = read(public("azure_llm_2023_code.csv"))

    found = [summarize(thin(whole, 10.0, seed=seed)) for seed in range(10)]

    mean = [sum(each.idle[n] for each in found) / len(found) for n in range(3)]
    assert mean == pytest.approx([0.225, 0.0, 0.0], abs=0.03)
