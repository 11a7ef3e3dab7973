"""How many files, connections among them, this process may have open."""

from __future__ import annotations

import resource
from typing import Final

_MANY: Final = 1 << 20
"""Linux' own bound (fs.nr_open), where none is set."""

_SPARE: Final = 64
"""Files that are neither clients' nor replicas': links, scrapes, the loop's own."""


def limit() -> int:
    """Return how many may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Have as many as the system allows without asking; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (soft, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def spare(files: int) -> int:
    """Return how many of so many *files* are for no client that is served."""
    return max(_SPARE, files // 32)


def clients(files: int, listening: int) -> int:
    """Return for how many clients there are files, one for the replica of each too.

    >>> clients(1024, listening=0), clients(1024, listening=512), clients(10, 0)
    (480, 224, 1)
    """
    return max(1, (files - spare(files) - listening) // 2)
