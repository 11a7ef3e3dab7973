"""Traces from traces: fewer requests, a part of the time, several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulations.chance import generator
from simulations.summary import duration
from simulations.trace import MOST_S, Trace, TraceError, few, in_order


def thin(trace: Trace, factor: float, *, seed: int) -> Trace:
    """Keep each request with a chance of 1 in *factor*, which is at least 1."""
    if not 1.0 <= factor < float("inf"):
        raise TraceError(f"factor {factor:g}: must be 1 or more")
    kept = generator(seed, "thin").random(len(trace)) * factor < 1.0
    return replace(_of(trace, kept), source=f"{trace.source}; thinned {factor:g} times")


def slice_(trace: Trace, begin_s: float, end_s: float) -> Trace:
    """Keep what came from *begin_s* until before *end_s*; time begins anew there.

    The trace's end is no part of another slice: what came at it is kept.
    """
    if begin_s >= trace.span_s:
        raise TraceError(
            f"from {duration(begin_s)}: the trace ends at {duration(trace.span_s)}"
        )
    if not 0.0 <= begin_s < end_s:
        raise TraceError(
            f"from {duration(begin_s)} to {duration(end_s)}: must be a stretch of time"
        )
    low, high = np.searchsorted(trace.arrivals, (begin_s, end_s))
    if end_s >= trace.span_s:
        high = len(trace)
    part = _of(trace, slice(int(low), int(high)))
    return replace(
        part,
        arrivals=part.arrivals - begin_s,
        span_s=min(end_s, trace.span_s) - begin_s,
        began_s=None if trace.began_s is None else trace.began_s + begin_s,
        source=f"{trace.source}; from {begin_s:g} s to {end_s:g} s",
    )


def merge(traces: Sequence[Trace]) -> Trace:
    """Put traces in one; models of one name are one model.

    They begin as far apart as they say, or together if one does not say when.
    """
    if not traces:
        raise TraceError("no trace to merge")
    shifts, began, remarks = _apart(traces)
    names = dict.fromkeys(name for each in traces for name in each.models)
    number = {name: place for place, name in enumerate(names)}
    numbered = np.concatenate(
        [
            np.array([number[name] for name in each.models], np.uint32)[each.model]
            for each in traces
        ]
    )
    arrivals = np.concatenate(
        [each.arrivals + shift for each, shift in zip(traces, shifts, strict=True)]
    )
    order = np.argsort(arrivals, kind="stable")
    models, model = in_order(tuple(names), numbered[order])
    return Trace(
        models=models,
        arrivals=arrivals[order],
        model=model,
        input_tokens=np.concatenate([each.input_tokens for each in traces])[order],
        output_tokens=np.concatenate([each.output_tokens for each in traces])[order],
        services=np.concatenate([each.services for each in traces])[order],
        span_s=max(
            each.span_s + shift for each, shift in zip(traces, shifts, strict=True)
        ),
        source=" and ".join(each.source for each in traces),
        remarks=remarks,
        began_s=began,
    )


def jitter(trace: Trace, seconds: float, *, seed: int) -> Trace:
    """Move each request by up to *seconds* on: for logs on a grid of seconds."""
    if not 0.0 <= seconds < float("inf"):
        raise TraceError(f"jitter {seconds:g} s: must be 0 or more")
    moved = trace.arrivals + generator(seed, "jitter").random(len(trace)) * seconds
    moved = np.minimum(moved, max(trace.span_s, 0.0))
    order = np.argsort(moved, kind="stable")
    models, model = in_order(trace.models, trace.model[order])
    return replace(
        trace,
        models=models,
        arrivals=moved[order],
        model=model,
        input_tokens=trace.input_tokens[order],
        output_tokens=trace.output_tokens[order],
        services=trace.services[order],
        source=f"{trace.source}; moved by up to {seconds:g} s",
    )


def only(trace: Trace, model: str) -> Trace:
    """Keep the requests for one model."""
    if model not in trace.models:
        raise TraceError(f"model {model!r}: must be one of {few(trace.models)}")
    kept = trace.model == trace.models.index(model)
    return _of(trace, kept)


def _apart(
    traces: Sequence[Trace],
) -> tuple[list[float], float | None, tuple[str, ...]]:
    """Return how long after the first each begins, when that was, and remarks."""
    remarks = list(dict.fromkeys(said for each in traces for said in each.remarks))
    begins = [each.began_s for each in traces if each.began_s is not None]
    together = [0.0] * len(traces)
    if len(begins) < len(traces):
        if begins:
            remarks.append("not all say when they began: taken to begin together")
        return together, None, tuple(remarks)
    first = min(begins)
    if max(begins) - first > MOST_S:
        raise TraceError(
            f"they began {duration(max(begins) - first)} apart; must be within ten "
            "years"
        )
    return [each - first for each in begins], first, tuple(remarks)


def _of(trace: Trace, kept: NDArray[np.generic] | slice) -> Trace:
    """Keep those requests; a model that has none left is none of the trace."""
    models, model = in_order(trace.models, trace.model[kept])
    return replace(
        trace,
        models=models,
        arrivals=trace.arrivals[kept],
        model=model,
        input_tokens=trace.input_tokens[kept],
        output_tokens=trace.output_tokens[kept],
        services=trace.services[kept],
    )
