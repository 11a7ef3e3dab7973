from __future__ import annotations

from autoscaler import clock


def test_monotonic_seconds_never_go_back():
    times = [clock.monotonic() for _ in range(100)]

    assert times == sorted(times)


def test_wall_seconds_are_unix_seconds():
    assert clock.wall() > 1_700_000_000
