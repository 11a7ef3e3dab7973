"""Times as Kubernetes writes those that it keeps to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: float) -> str:
    """Return *at*, in seconds since 1970, as a MicroTime.

    >>> stamp(1.5)
    '1970-01-01T00:00:01.500000Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
