"""Whether what an activator says of itself can be so."""

from __future__ import annotations

from autoscaler.core.frames import Opened, UpFrame
from autoscaler.core.messages import Sample, Wake

_LONGEST_S = 3600.0
"""Of a span: after a silence this long a new one begins."""
_MOST = 10_000_000
"""Requests at one activator, of any kind: more than a kernel has sockets."""
_PORTS = 128
_WORDS = 1_000


def implausible(message: UpFrame) -> str:
    """Return what cannot be so, with its rule; empty: nothing.

    >>> from autoscaler.core.domain import RevisionKey
    >>> key = RevisionKey("ns", "iris")
    >>> implausible(Wake(key=key, reporter="a", epoch=1, held=-1))
    'held = -1, must be at least 0 and at most 10000000'
    """
    match message:
        case Wake(held=held) if not 0 <= held <= _MOST:
            return f"held = {_short(held)}, must be at least 0 and at most {_MOST}"
        case Opened(ports=ports, refused=refused):
            if len(ports) > _PORTS or len(refused) > _WORDS:
                return (
                    f"{len(ports)} ports and {len(refused)} characters of refusal, "
                    f"must be at most {_PORTS} and {_WORDS}"
                )
            return ""
        case Sample():
            return _sample(message)
        case _:
            return ""


def _sample(sample: Sample) -> str:
    if not 0 < sample.span_s <= _LONGEST_S:
        return f"span_s = {sample.span_s}, must be in (0, {_LONGEST_S:g}]"
    for name in ("concurrency", "requests", "held", "in_flight"):
        value = getattr(sample, name)
        if not 0 <= value <= _MOST:
            rule = f"must be at least 0 and at most {_MOST}"
            return f"{name} = {_short(value)}, {rule}"
    for load in sample.replicas:
        if load.in_flight < 0 or load.idle_s < 0:
            figures = f"in_flight = {load.in_flight}, idle_s = {load.idle_s}"
            return f"{figures} at {load.replica}, must be at least 0"
    return ""


def _short(value: float) -> str:
    if abs(value) >= 1e18:
        return "1e18 or more" if value > 0 else "-1e18 or less"
    return str(value)
