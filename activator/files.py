"""How many files, connections among them, this process may have open."""

from __future__ import annotations

import resource
from typing import Final

_MANY: Final = 1 << 20
"""Linux' own bound (fs.nr_open), where none is set."""


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
