"""Recorded requests: when each came, for which model, how large, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""Tokens that were not recorded; a service time that was not is NaN."""


MOST_S = 10 * 366 * 86_400.0
"""No trace is longer than ten years: a larger number of seconds is in another unit."""


class TraceError(Exception):
    """A trace that cannot be read: where, what is there, and the rule it breaks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """One column for each fact; all are of one length, and arrivals ascend.

    TraceError: they are not, or one is out of its bounds.
    """

    models: tuple[str, ...]
    arrivals: NDArray[np.float64]
    """Seconds from the begin of the trace."""
    model: NDArray[np.uint32]
    """An index into *models* for each request."""
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    services: NDArray[np.float64]
    """Seconds at the replica."""
    span_s: float
    """How long was recorded; no request came after that."""
    source: str
    """What it is of and what was done to it since, for a person."""
    remarks: tuple[str, ...] = ()
    """What was doubtful, and what was made of it."""
    began_s: float | None = None
    """Seconds since 1970 when it began; no run depends on that. None: not known."""

    def __post_init__(self) -> None:
        count = len(self.arrivals)
        for name in ("model", "input_tokens", "output_tokens", "services"):
            column = getattr(self, name)
            if len(column) != count:
                raise TraceError(
                    f"{len(column)} values of {name}, but {count} arrivals: one each"
                )
        if not count:
            return
        if not np.isfinite(self.arrivals).all() or self.arrivals[0] < 0:
            raise TraceError("an arrival is not a number of seconds from 0 on")
        behind = np.flatnonzero(np.diff(self.arrivals) < 0)
        if len(behind):
            first = int(behind[0])
            raise TraceError(
                f"request {first + 1} came at {self.arrivals[first + 1]:g} s, but the "
                f"one before it at {self.arrivals[first]:g} s: arrivals must ascend"
            )
        if self.arrivals[-1] > self.span_s:
            raise TraceError(
                f"a request came at {self.arrivals[-1]:g} s, but the trace ends at "
                f"{self.span_s:g} s"
            )
        if self.span_s > MOST_S:
            raise TraceError(f"{self.span_s:g} s long: must be at most ten years")
        if int(self.model.max()) >= len(self.models):
            raise TraceError(
                f"model {int(self.model.max())} of {len(self.models)}: no such one"
            )
        if (self.services < 0).any():
            raise TraceError("a service time is below 0 s")

    def __len__(self) -> int:
        return len(self.arrivals)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what a run depends on, in hex."""
        sum_ = sha256()
        sum_.update("\0".join(self.models).encode())
        sum_.update(repr(self.span_s).encode())
        for column in (
            self.arrivals,
            self.model,
            self.input_tokens,
            self.output_tokens,
            self.services,
        ):
            sum_.update(np.ascontiguousarray(column).tobytes())
        return sum_.hexdigest()


def few(names: Sequence[str]) -> str:
    """Return the first of many names, for an error.

    >>> few([str(n) for n in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    said = ", ".join(names[:10])
    return said if len(names) <= 10 else f"{said} and {len(names) - 10} more"


def in_order(
    models: tuple[str, ...], model: NDArray[np.uint32]
) -> tuple[tuple[str, ...], NDArray[np.uint32]]:
    """Return the models that have a request, as they first had one, and their numbers.

    >>> names, numbers = in_order(("a", "b", "c"), np.array([2, 0, 2], np.uint32))
    >>> names, numbers.tolist()
    (('c', 'a'), [0, 1, 0])
    """
    first = np.full(len(models), len(model))
    first[model[::-1]] = np.arange(len(model))[::-1]
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(model))]
    if len(order) == len(models) and np.all(order[1:] > order[:-1]):
        return models, model
    number = np.zeros(len(models), np.uint32)
    number[order] = np.arange(len(order))
    return tuple(models[place] for place in order), number[model]


def trace(
    arrivals: Sequence[float] | NDArray[np.float64],
    *,
    source: str,
    span_s: float | None = None,
    models: tuple[str, ...] = ("model",),
    model: Sequence[int] | NDArray[np.uint32] | None = None,
    input_tokens: Sequence[int] | NDArray[np.int64] | None = None,
    output_tokens: Sequence[int] | NDArray[np.int64] | None = None,
    services: Sequence[float] | NDArray[np.float64] | None = None,
    remarks: tuple[str, ...] = (),
) -> Trace:
    """Make a trace of what is known; it ends at *span_s*, or with its last arrival.

    >>> few = trace([0.0, 2.5], source="by hand", span_s=60.0)
    >>> len(few), few.models, int(few.input_tokens[0]), float(few.services[1])
    (2, ('model',), -1, nan)
    """
    at = np.asarray(arrivals, dtype=np.float64)
    count = len(at)
    end = (float(at[-1]) if count else 0.0) if span_s is None else span_s

    def column(given: object, absent: float, kind: type) -> NDArray[np.generic]:
        if given is None:
            return np.full(count, absent, dtype=kind)
        return np.asarray(given, dtype=kind)

    return Trace(
        models=models,
        arrivals=at,
        model=column(model, 0, np.uint32),  # type: ignore[arg-type]
        input_tokens=column(input_tokens, UNKNOWN, np.int64),  # type: ignore[arg-type]
        output_tokens=column(output_tokens, UNKNOWN, np.int64),  # type: ignore[arg-type]
        services=column(services, np.nan, np.float64),  # type: ignore[arg-type]
        span_s=end,
        source=source,
        remarks=remarks,
    )
