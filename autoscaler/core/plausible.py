"""Whether what an activator says of itself can be so."""

from __future__ import annotations

from math import isfinite

from autoscaler.core.frames import UpFrame
from autoscaler.core.messages import Sample, Wake

_LONGEST_S = 3600.0
"""Of a span: after a silence this long a new one begins."""


def implausible(message: UpFrame) -> str:
    """Return what cannot be so, with its rule; empty: nothing.

    >>> from autoscaler.core.domain import RevisionKey
    >>> key = RevisionKey("ns", "iris")
    >>> implausible(Wake(key=key, reporter="a", epoch=1, held=-1))
    'held = -1, must be at least 0'
    """
    match message:
        case Wake(held=held) if held < 0:
            return f"held = {held}, must be at least 0"
        case Sample():
            return _sample(message)
        case _:
            return ""


def _sample(sample: Sample) -> str:
    if not 0 < sample.span_s <= _LONGEST_S:
        return f"span_s = {sample.span_s}, must be in (0, {_LONGEST_S:g}]"
    if sample.concurrency < 0 or not isfinite(sample.concurrency):
        return f"concurrency = {sample.concurrency}, must be at least 0 and finite"
    for name in ("requests", "held", "in_flight"):
        if getattr(sample, name) < 0:
            return f"{name} = {getattr(sample, name)}, must be at least 0"
    for load in sample.replicas:
        if load.in_flight < 0 or load.idle_s < 0:
            figures = f"in_flight = {load.in_flight}, idle_s = {load.idle_s}"
            return f"{figures} at {load.replica}, must be at least 0"
    return ""
