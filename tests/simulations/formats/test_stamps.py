"""Times as seconds."""

from __future__ import annotations

import pytest

from simulations.formats.stamps import Stamps


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02 00:00:01", 86_401.0),
        ("1970-01-02 00:01", 86_460.0),
        ("2026-11-25T10:00:00.250Z", 1_795_600_800.25),
        ("2023-11-16 18:17:03.9799600", 1_700_158_623.97996),
    ],
)
def test_a_time_is_seconds_since_1970(text, seconds):
    assert Stamps()(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01 00:00:00", "2026-01-01 25:00:00",
             "2026-02-30 00:00:00", "2026-01-01 00:60:00", "2026-01-01_00:00:00",
             "2026-01-01 00:00:99", "2026-01-01 00.00.00", "2026-01-01 00:00:-1"]
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="time data|invalid|could not|^"):
        Stamps()(text)
