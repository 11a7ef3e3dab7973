"""What is read of a page of metrics, whatever is on it."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.backends.kubernetes.exposition import MOST_BYTES, Page

LINES = st.sampled_from(
    [
        b"busy 1",
        b"busy{",
        b'busy{a="}',
        b'busy{a="\\',
        b'busy{a="x"} nan',
        b"busy +Inf",
        b"busy 1e999",
        b"busy -1",
        b"busy 1 1700000000",
        b'busy{a="x"} 3 # {trace="y"} 1',
        b"busy\t2",
        b"busy_total 5",
        b"# TYPE busy gauge",
        b"busy 1_0",
        b"busy 0x1",
        b"\xff\xfe\x00",
        b'"',
        b"\r",
    ]
)


@given(st.lists(LINES | st.binary(max_size=30), max_size=20))
@example([b'"\\ud800"'])
@example([b'"' + b"[" * 5000])
def test_no_bytes_make_it_raise_or_say_that_a_load_is_infinite(lines):
    page = Page(b"\n".join(lines))

    total = page.total("busy")

    assert total is None or not math.isinf(total)
    page.has("busy")
    page.total("busy", a="x")


@given(
    st.dictionaries(st.text(max_size=8), st.floats(-1e6, 1e6), min_size=1, max_size=5)
)
def test_it_reads_what_prometheus_own_client_writes(values):
    registry = CollectorRegistry()
    gauge = Gauge(
        "vllm:num_requests_running", "It { is } busy", ["m"], registry=registry
    )
    for label, value in values.items():
        gauge.labels(label).set(value)

    page = Page(generate_latest(registry))

    assert page.total("vllm:num_requests_running") == pytest.approx(
        sum(values.values())
    )


def test_counters_and_sums_of_histograms_go_by_the_names_of_their_series():
    registry = CollectorRegistry()
    Counter("done", "", registry=registry).inc(3)
    Histogram("took_seconds", "", registry=registry).observe(2.5)

    page = Page(generate_latest(registry))

    assert page.total("done_total") == 3
    assert (page.total("took_seconds_sum"), page.total("took_seconds_count")) == (
        2.5,
        1,
    )
    assert page.total("done") is None
    assert page.total("took_seconds") is None


def test_a_family_that_is_declared_and_has_no_series_yet_is_there_without_a_total():
    page = Page(b"# HELP took_seconds x\n# TYPE took_seconds histogram\n")

    assert page.has("took_seconds")
    assert not page.has("took")
    assert page.total("took_seconds_sum") is None


@pytest.mark.parametrize(
    ("line", "total"),
    [
        pytest.param(b"busy 4", 4.0, id="no label"),
        pytest.param(b"busy{} 4", 4.0, id="empty braces"),
        pytest.param(b'busy{a="}"} 4', 4.0, id="a brace inside a value"),
        pytest.param(b'busy{a="\\"} 9"} 4', 4.0, id="a quote inside a value"),
        pytest.param(b"busy 4\r", 4.0, id="carriage return"),
        pytest.param(b"busy 4 1700000000123", 4.0, id="with a time"),
        pytest.param(b'busy 4 # {id="1"} 9', 4.0, id="with an exemplar"),
        pytest.param(b"busy 4e0", 4.0, id="exponent"),
        pytest.param(b"busy NaN", math.nan, id="not a number"),
        pytest.param(b"busy +Inf", math.nan, id="infinite"),
        pytest.param(b"busy 1e999", math.nan, id="too big to be finite"),
        pytest.param(b"busy 4x", None, id="a number with a tail"),
        pytest.param(b"busy 1_0", None, id="an underscore"),
        pytest.param(b" busy 4", None, id="not at the start of its line"),
        pytest.param(b"# busy 4", None, id="a comment"),
    ],
)
def test_one_line(line, total):
    assert Page(line + b"\nother 1\n").total("busy") == pytest.approx(
        total, nan_ok=True
    )


def test_one_series_that_is_no_number_makes_the_sum_unknown():
    total = Page(b'busy{a="1"} 4\nbusy{a="2"} NaN\n').total("busy")

    assert total is not None
    assert math.isnan(total)


def test_series_are_chosen_by_labels_whole():
    page = Page(
        b'm{type="waiting",x="1"} 2\nm{x="1", type="scheduled"} 5\nm{xtype="waiting"} 9\n'
    )

    assert page.total("m", type="waiting") == 2
    assert page.total("m", type="scheduled") == 5
    assert page.total("m", type="wait") is None


def test_a_page_that_was_sent_as_a_json_string_is_read_too():
    assert Page(json.dumps("busy 4\n").encode()).total("busy") == 4


def test_what_is_beyond_the_limit_is_not_looked_at():
    assert Page(b"x" * MOST_BYTES + b"\nbusy 4\n").total("busy") is None


def test_too_many_series_of_one_name_are_unknown():
    total = Page(b"busy 1\n" * 10_001).total("busy")

    assert total is not None
    assert math.isnan(total)


def test_a_big_page_is_read_faster_than_by_prometheus_own_parser():
    lines = [
        b'vllm:e2e_request_latency_seconds_bucket{engine="0",le="%d.5",model_name="m"} 7.0'
        % n
        for n in range(5_000)
    ]
    body = b"\n".join([*lines, b'vllm:num_requests_running{engine="0"} 3.0', b""])

    began = time.perf_counter()
    total = Page(body).total("vllm:num_requests_running")
    ours = time.perf_counter() - began
    began = time.perf_counter()
    for family in text_string_to_metric_families(body.decode()):
        assert family.samples
    theirs = time.perf_counter() - began

    assert total == 3
    assert ours < theirs
