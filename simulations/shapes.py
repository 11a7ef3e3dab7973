"""Traces that are made: how requests come, how long they are, how long they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gamma, log, pi, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from simulations.chance import generator
from simulations.trace import MOST_S, Trace, TraceError, trace

DAY_S = 86_400.0
_MOST = 50_000_000
_MOST_STRETCHES = 1_000_000
_MOST_MEAN, _MOST_EACH = 1e6, 1e8
"""Tokens, or seconds, of requests in the mean and at all."""
Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How requests come: *rate* is the mean over all of it, in requests/s."""

    kind: str
    rate: float
    span_s: float
    cv: float = 4.0
    """Standard deviation of the gaps over their mean, of weibull and gamma."""
    on_s: float = 600.0
    """Mean length of a stretch with requests, of on-off; of a burst."""
    off_s: float = 3_000.0
    """Mean length of a stretch without; from one burst to the next."""
    peak: float = 10.0
    """A burst's rate over that between bursts; a day's highest over its mean is at
    most 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Lognormal tokens and service times; a mean of 0 leaves them unknown."""

    input_tokens: float = 0.0
    output_tokens: float = 0.0
    service_s: float = 0.0
    cv: float = 1.0


def made(shape: Shape, sizes: Sizes, *, model: str = "model", seed: int = 1) -> Trace:
    """Return a trace of *shape*; the same seed makes the same one.

    TraceError: there is no such shape, or a number is out of its bounds.
    """
    _check(shape, sizes)
    if not model or not model.isprintable():
        raise TraceError(f"model {model!r}: must be a name that can be printed")
    chance = generator(seed, f"shape/{shape.kind}")
    arrivals = SHAPES[shape.kind](shape, chance)
    count = len(arrivals)
    if not count:
        raise TraceError(
            f"{shape.rate:g} a second for {shape.span_s:g} s: no request came; make it "
            "longer, or take another seed"
        )
    taken, answered, services = (
        _lognormal(mean, sizes.cv, count, generator(seed, f"shape/{what}"))
        for what, mean in (
            ("input", sizes.input_tokens),
            ("output", sizes.output_tokens),
            ("service", sizes.service_s),
        )
    )
    return trace(
        arrivals,
        source=f"generated: {shape.kind}, {shape.rate:g} requests/s, seed {seed}",
        span_s=shape.span_s,
        models=(model,),
        input_tokens=None if taken is None else np.ceil(taken).astype(np.int64),
        output_tokens=None if answered is None else np.ceil(answered).astype(np.int64),
        services=services,
    )


def _poisson(shape: Shape, chance: Generator) -> Times:
    count = int(chance.poisson(shape.rate * shape.span_s))
    return np.sort(chance.random(count)) * shape.span_s


def _diurnal(shape: Shape, chance: Generator) -> Times:
    """A sine with one peak in a day, at noon, and nothing at its lowest."""
    depth = min(shape.peak, 2.0) - 1.0
    most = shape.rate * (1.0 + depth)
    count = int(chance.poisson(most * shape.span_s))
    at = np.sort(chance.random(count)) * shape.span_s
    rate = 1.0 - depth * np.cos(2 * pi * at / DAY_S)
    return at[chance.random(count) * (1.0 + depth) < rate]


def _bursts(shape: Shape, chance: Generator) -> Times:
    """Bursts over a floor: *peak* times its rate, *on_s* of *on_s + off_s* long."""
    cycle = shape.on_s + shape.off_s
    low = shape.rate * cycle / (shape.off_s + shape.peak * shape.on_s)
    return _switched(shape, chance, low, low * shape.peak)


def _on_off(shape: Shape, chance: Generator) -> Times:
    high = shape.rate * (shape.on_s + shape.off_s) / shape.on_s
    return _switched(shape, chance, 0.0, high)


def _switched(shape: Shape, chance: Generator, low: float, high: float) -> Times:
    """Return Poisson arrivals of two rates that take turns, each exponentially long."""
    parts, begin, on = [], 0.0, False
    while begin < shape.span_s:
        length = float(chance.exponential(shape.on_s if on else shape.off_s))
        length = min(length, shape.span_s - begin)
        count = int(chance.poisson((high if on else low) * length))
        parts.append(begin + np.sort(chance.random(count)) * length)
        begin, on = begin + length, not on
    return np.concatenate(parts)


def _weibull(shape: Shape, chance: Generator) -> Times:
    form = _weibull_form(shape.cv)
    scale = 1.0 / (shape.rate * gamma(1.0 + 1.0 / form))
    return _renewed(shape, lambda count: scale * chance.weibull(form, count))


def _gamma(shape: Shape, chance: Generator) -> Times:
    form = 1.0 / shape.cv**2
    scale = 1.0 / (shape.rate * form)
    return _renewed(shape, lambda count: scale * chance.standard_gamma(form, count))


def _renewed(shape: Shape, gaps: Callable[[int], Times]) -> Times:
    """Return arrivals whose *gaps* are drawn one after another."""
    block = max(64, min(1 << 20, int(shape.rate * shape.span_s * 1.2)))
    parts, end = [], 0.0
    while end < shape.span_s:
        at = end + np.cumsum(gaps(block))
        parts.append(at)
        end = float(at[-1])
    at = np.concatenate(parts)
    return at[at < shape.span_s]


def _weibull_form(cv: float) -> float:
    """Return the form of the Weibull distribution with that *cv*, by bisection."""
    low, high = 0.1, 20.0
    for _ in range(80):
        form = (low + high) / 2
        first, second = gamma(1.0 + 1.0 / form), gamma(1.0 + 2.0 / form)
        if sqrt(second / first**2 - 1.0) > cv:
            low = form
        else:
            high = form
    return (low + high) / 2


SHAPES: dict[str, Callable[[Shape, Generator], Times]] = {
    "poisson": _poisson,
    "diurnal": _diurnal,
    "bursts": _bursts,
    "on-off": _on_off,
    "weibull": _weibull,
    "gamma": _gamma,
}


def _lognormal(mean: float, cv: float, count: int, chance: Generator) -> Times | None:
    if mean <= 0.0:
        return None
    spread = sqrt(log(1.0 + cv**2))
    drawn: Times = np.exp(
        log(mean) - spread**2 / 2 + spread * chance.standard_normal(count)
    )
    return np.minimum(drawn, _MOST_EACH)


def _check(shape: Shape, sizes: Sizes) -> None:
    if shape.kind not in SHAPES:
        raise TraceError(f"shape {shape.kind!r}: must be one of {', '.join(SHAPES)}")
    numbers = {
        "rate": shape.rate,
        "span": shape.span_s,
        "cv": shape.cv,
        "on": shape.on_s,
        "off": shape.off_s,
        "peak": shape.peak,
        "sizes' cv": sizes.cv,
    }
    for name, number in numbers.items():
        if not 0.0 < number < float("inf"):
            raise TraceError(f"{name} {number:g}: must be a number above 0")
    for name, number in (
        ("input tokens", sizes.input_tokens),
        ("output tokens", sizes.output_tokens),
        ("service", sizes.service_s),
    ):
        if not 0.0 <= number <= _MOST_MEAN:
            raise TraceError(f"{name} {number:g}: must be in [0, {_MOST_MEAN:g}]")
    if shape.span_s > MOST_S:
        raise TraceError(f"span {shape.span_s:g}: must be at most ten years")
    if shape.span_s / (shape.on_s + shape.off_s) > _MOST_STRETCHES:
        raise TraceError(
            f"on {shape.on_s:g} s, off {shape.off_s:g} s: at most {_MOST_STRETCHES:,} "
            f"of those in {shape.span_s:g} s"
        )
    if not 0.2 <= shape.cv <= 50.0 or sizes.cv > 50.0:
        raise TraceError(f"cv {shape.cv:g}, {sizes.cv:g}: must be in [0.2, 50]")
    if shape.peak < 1.0:
        raise TraceError(f"peak {shape.peak:g}: must be 1 or more")
    if shape.rate * shape.span_s > _MOST:
        raise TraceError(
            f"{shape.rate:g} a second for {shape.span_s:g} s; at most {_MOST} requests"
        )
