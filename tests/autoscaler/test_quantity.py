"""Amounts, durations and numbers, as Kubernetes and Knative write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.quantity import amount, in_words, number, seconds, whole_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1Ki", 1024),
        ("1k", 1000),
        ("1.5Gi", 3 << 29),
        (".5M", 500_000),
        ("100m", Decimal("0.1")),
        ("1e3", 1000),
        ("16GiB", 16 << 30),
        ("", None),
        ("-1", None),
        ("1 Gi", None),
        ("1X", None),
        ("1mi", None),
    ],
)
def test_an_amount_is_kubernetes(text, value):
    assert amount(text) == value


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_bytes_are_whole_and_rounded_up(size, unit):
    exact = amount(f"{size}{unit}")

    assert whole_bytes(f"{size}{unit}") == exact
    assert whole_bytes(f"{size}.1m") == -(-size // 1000) + (size % 1000 == 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30s", 30.0),
        ("1h2m3s", 3723.0),
        ("1.5m", 90.0),
        ("250ms", 0.25),
        ("10", 10.0),
        ("0.5", 0.5),
        ("", None),
        ("1d", None),
        ("s", None),
        ("1s!", None),
        ("-1s", None),
        ("1m 2s", None),
    ],
)
def test_a_duration_is_gos_or_a_number_of_seconds(text, value):
    assert seconds(text) == value


@given(st.integers(0, 100), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(hours, minutes, rest):
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@given(st.floats(-1e15, 1e15, allow_nan=False).map(lambda each: round(each, 6)))
def test_a_number_is_read_as_python_reads_it(value):
    assert number(f"{value:.6f}") == float(f"{value:.6f}")


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "0x1", "one", "", "1,5"])
def test_what_is_no_plain_number_is_none(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (3 << 29, "1.5 GiB"),
        (25276518400, "23.54 GiB"),
    ],
)
def test_bytes_are_said_in_words(size, words):
    assert in_words(size) == words
