"""The one place that reads clocks."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Return monotonic seconds."""

monotonic: Clock = time.monotonic
"""uvloop's own loop.time() has a grain of 1 ms; this has none to speak of."""


def wall() -> float:
    """Return Unix seconds, for logs and records only."""
    return time.time()
