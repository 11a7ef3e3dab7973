"""What a trace is like, as far as it matters for sleeping: rates, bursts, idle time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.trace import UNKNOWN, Trace

KEEPS_S = (60.0, 300.0, 900.0)
_SHARES = (0.5, 0.9, 0.99)
_SHOWN = 8
_MANY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a trace."""

    requests: int
    span_s: float
    rate: float
    """Requests/s, the mean."""
    peak_s: int
    """Most requests in a second."""
    peak_minute: float
    """Requests/s in the busiest minute."""
    dispersion: tuple[float, float]
    """Variance over mean of counts by the second and by the minute; Poisson: 1."""
    gap_cv: float
    gaps_s: tuple[float, float, float]
    """Half, nine tenths and 99 of 100 gaps are no longer; and the longest."""
    longest_gap_s: float
    long_gaps: tuple[float, float, float]
    """Share of gaps longer than each of KEEPS_S."""
    idle: tuple[float, float, float]
    """Share of the time at zero, if a replica is kept so long after a request that
    takes no time."""


def summarize(trace: Trace) -> Summary:
    """Return the figures."""
    at = trace.arrivals
    span = trace.span_s
    gaps = np.diff(at)
    by_second, by_minute = _counts(at, span, 1.0), _counts(at, span, 60.0)
    seconds, minutes = int(span), int(span / 60.0)  # Whole ones.
    mean = float(gaps.mean()) if len(gaps) else 0.0
    quantiles = np.quantile(gaps, _SHARES) if len(gaps) else np.zeros(3)
    return Summary(
        requests=len(at),
        span_s=span,
        rate=len(at) / span if span else 0.0,
        peak_s=int(by_second.max(initial=0)),
        peak_minute=float(by_minute.max(initial=0)) / 60.0,
        dispersion=(_dispersion(by_second[:seconds]), _dispersion(by_minute[:minutes])),
        gap_cv=float(gaps.std()) / mean if mean else 0.0,
        gaps_s=(float(quantiles[0]), float(quantiles[1]), float(quantiles[2])),
        longest_gap_s=float(gaps.max(initial=0.0)),
        long_gaps=_each(lambda keep: float((gaps > keep).mean()) if len(gaps) else 0.0),
        idle=_idle(at, span),
    )


def lines(trace: Trace) -> Iterator[str]:
    """Yield one screen of text about a trace."""
    found = summarize(trace)
    yield f"{trace.source}"
    if trace.began_s is not None:
        yield f"began             {np.datetime64(int(trace.began_s), 's')} UTC"
    yield (
        f"requests          {found.requests:,} in {duration(found.span_s)}, "
        f"{found.rate:.4g} a second"
    )
    yield (
        f"busiest           {found.peak_s:,} in a second, {found.peak_minute:.4g} a "
        "second in a minute"
    )
    second, minute = found.dispersion
    yield (
        f"dispersion        {second:.3g} by the second, {minute:.4g} by the minute "
        "(evenly by chance: 1)"
    )
    half, most, nearly = found.gaps_s
    yield (
        f"gaps              half up to {duration(half)}, 90 % {duration(most)}, 99 % "
        f"{duration(nearly)}, longest {duration(found.longest_gap_s)}; "
        f"cv {found.gap_cv:.2f}"
    )
    for keep, share, idle in zip(KEEPS_S, found.long_gaps, found.idle, strict=True):
        yield (
            f"kept {duration(keep):>5} idle   {share:7.2%} of gaps are longer; asleep "
            f"at most {idle:.1%} of the time"
        )
    yield from _values(
        "input tokens", trace.input_tokens, trace.input_tokens != UNKNOWN
    )
    yield from _values(
        "output tokens", trace.output_tokens, trace.output_tokens != UNKNOWN
    )
    yield from _values("service s", trace.services, ~np.isnan(trace.services))
    yield from _models(trace)
    yield f"digest            {trace.digest[:16]}"
    together = _together(trace.arrivals)
    if together > _MANY:
        yield (
            f"note: {together:.0%} of requests come at the same whole second as "
            "another; `fromzero trace convert --jitter 1s` parts them"
        )
    for remark in trace.remarks:
        yield f"note: {remark}"


def _models(trace: Trace) -> Iterator[str]:
    """Yield a line for each of the busiest: each sleeps on its own."""
    counts = np.bincount(trace.model, minlength=len(trace.models))
    if len(counts) == 1:
        yield f"model             {trace.models[0]}"
    if len(counts) <= 1:
        return
    yield f"models            {len(counts):,}; what is above is of all together"
    keeps = ", ".join(map(duration, KEEPS_S))
    yield f"  each alone      requests, and asleep at most if kept {keeps} idle"
    busiest = np.argsort(-counts, kind="stable")[:_SHOWN]
    width = max(15, *(len(trace.models[place]) for place in busiest))
    for place in busiest:
        at = trace.arrivals[trace.model == place]
        shares = ", ".join(f"{idle:.1%}" for idle in _idle(at, trace.span_s))
        yield f"  {trace.models[place]:<{width}} {counts[place]:,}; {shares}"
    if len(counts) > _SHOWN:
        yield f"  and {len(counts) - _SHOWN} more"


def duration(seconds: float) -> str:
    """Return seconds for a person.

    >>> duration(0.0125), duration(75.0), duration(7_200.0), duration(950_400.0)
    ('0.0125s', '75s', '2h', '11d')
    """
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g}{unit}"
    return f"{seconds:.3g}s"


def _idle(at: NDArray[np.float64], span: float) -> tuple[float, float, float]:
    """Return the share of the time at zero if a replica is kept each of KEEPS_S."""
    gaps = np.diff(at)
    last = span - float(at[-1]) if len(at) else span

    def share(keep: float) -> float:
        idle = float((gaps[gaps > keep] - keep).sum()) + max(0.0, last - keep)
        return idle / span if span else 0.0

    return _each(share)


def _together(at: NDArray[np.float64]) -> float:
    """Return the share of requests beside another, if all are on a grid of seconds."""
    if len(at) < 2 or (at != np.floor(at)).any():
        return 0.0
    return float((at[1:] == at[:-1]).mean())


def _counts(at: NDArray[np.float64], span: float, width: float) -> NDArray[np.int64]:
    bins = max(1, int(np.ceil(span / width)))
    places = np.minimum((at / width).astype(np.int64), bins - 1)
    return np.bincount(places, minlength=bins).astype(np.int64)


def _dispersion(counts: NDArray[np.int64]) -> float:
    mean = float(counts.mean()) if len(counts) else 0.0
    return float(counts.var()) / mean if mean else 0.0


def _each(of: object) -> tuple[float, float, float]:
    assert callable(of)
    first, second, third = (of(keep) for keep in KEEPS_S)
    return first, second, third


def _values(
    name: str, values: NDArray[np.int64] | NDArray[np.float64], known: NDArray[np.bool_]
) -> Iterator[str]:
    if not known.any():
        return
    found = values if known.all() else values[known]
    half, most, nearly = np.quantile(found, _SHARES)
    missing = len(values) - len(found)
    said = f"; {missing:,} not known" if missing else ""
    yield (
        f"{name:<17} mean {found.mean():.4g}, half up to {half:.4g}, 90 % {most:.4g}, "
        f"99 % {nearly:.4g}{said}"
    )
