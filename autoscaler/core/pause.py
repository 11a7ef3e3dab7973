"""How long to wait before another try of what failed."""

from __future__ import annotations


def pause_s(failures: int, first_s: float, longest_s: float, uniform: float) -> float:
    """Return the wait after so many failures in a row, which doubles up to *longest_s*.

    *uniform*, in [0, 1], takes up to half of it away: who failed together does not
    come again together.

    >>> [pause_s(failures, 0.2, 5.0, 1.0) for failures in (1, 2, 6, 9999)]
    [0.2, 0.4, 5.0, 5.0]
    >>> pause_s(1, 0.2, 5.0, 0.0)
    0.1
    """
    most = min(longest_s, first_s * 2.0 ** min(failures - 1, 30))
    return most * (1.0 + uniform) / 2.0
