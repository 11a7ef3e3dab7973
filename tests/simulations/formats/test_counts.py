"""Counts become as many requests, in their bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.formats.known import parse


def test_bins_that_are_missing_are_empty_and_said_to_be():
    found = parse(["minute,requests\n", "0,2\n", "1,1\n", "9,1\n"], "x")

    assert found.span_s == 600.0
    assert any("7 bins of 60 s are missing" in each for each in found.remarks)


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=30).filter(any), st.integers(0, 9)
)
def test_each_bin_has_as_many_requests_as_were_counted(counts, seed):
    rows = [f"{minute},{count}\n" for minute, count in enumerate(counts)]

    found = parse(["minute,requests\n", *rows], "x", seed=seed)

    got = np.bincount((found.arrivals // 60).astype(int), minlength=len(counts))
    assert got.tolist() == counts
    assert found.span_s == 60 * len(counts)
    assert found.digest == parse(["minute,requests\n", *rows], "x", seed=seed).digest


@pytest.mark.parametrize(("minutes", "doubted"), [(1, False), (5, False), (60, True)])
def test_long_bins_are_doubted(minutes, doubted):
    rows = [f"{n * minutes},5\n" for n in range(9)]

    found = parse(["minute,requests\n", *rows], "x")

    assert doubted == any("hide bursts" in remark for remark in found.remarks)


def test_a_bin_ends_where_the_next_begins():
    rows = ["time,requests\n", "0,0\n", "60,0\n", "120,900\n", "150,0\n"]

    found = parse(rows, "x")

    assert found.arrivals.min() >= 120.0
    assert found.arrivals.max() <= 150.0
    assert found.span_s == 210.0


def test_a_dashboards_quotes_and_decimals_are_read():
    plain = parse(["time,requests\n", "0,1\n", "60,1\n"], "x")

    quoted = parse(['"Time","Requests"\n', '"0","1.0"\n', '"60","1"\n'], "x")

    assert quoted.digest == plain.digest


def test_times_are_seconds_minutes_or_dates():
    seconds = parse(["time,requests\n", "0,1\n", "60,1\n"], "x")
    minutes = parse(["Minute, Count\n", "0,1\n", "1,1\n"], "x")
    dates = "2026-11-25 23:59:00,1\n", "2026-11-26T00:00:00,1\n"

    assert seconds.digest == minutes.digest
    assert seconds.digest == parse(["timestamp,requests\n", *dates], "x").digest
