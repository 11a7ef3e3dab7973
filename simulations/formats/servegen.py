"""Client windows of github.com/alibaba/ServeGen, packed: a rate and a shape of gaps.

`client,t_s,rate_rps,iat_cv,dist,shape,scale`, one line for each client and ten minutes;
a client is a model here. Gaps are drawn from the Gamma (G) or Weibull (W) distribution
and stretched so that the window has as many requests as its rate says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from simulations.chance import generator
from simulations.formats.reader import Part, Reader, RuleError
from simulations.trace import MOST_S, Trace, TraceError, few, in_order, trace

HEAD = "client,t_s,rate_rps,iat_cv,dist,shape,scale"
WINDOW_S = 600.0
_MOST = 50_000_000
_WHOLE = Part()


def fits(head: Sequence[str]) -> bool:
    """Say whether a text that begins so is of this format."""
    return bool(head) and head[0].strip() == HEAD


def parse(lines: Iterable[str], name: str, seed: int, part: Part = _WHOLE) -> Trace:
    """Return the trace; gaps are drawn by *seed*, for each client and window anew."""
    reader = Reader(lines, name)
    rows = iter(reader)
    next(rows, None)
    drawn: list[NDArray[np.float64]] = []
    owners: list[NDArray[np.uint32]] = []
    numbers: dict[str, int] = {}
    end = total = 0.0
    for line in rows:
        with reader.must(f"must be {HEAD}"):
            client, at, rate, _, kind, form, _ = line.split(",")
            begin, shape = float(at), float(form)
            if not client.isprintable():
                raise ValueError(client)
            count = round(float(rate) * WINDOW_S)
            if not 0.0 <= begin <= MOST_S:
                raise RuleError("t_s must be seconds from 0 on, up to ten years")
            if kind not in ("G", "W") or not 0.001 <= shape <= 1e6:
                raise RuleError("must be G or W, with a shape in [0.001, 1000000]")
            if count < 0:
                raise RuleError("must have no rate below 0")
            number = numbers.setdefault(f"client-{client}", len(numbers))
            end = max(end, begin + WINDOW_S)
            if begin >= part.end_s or begin + WINDOW_S <= part.begin_s:
                continue
            if part.model and numbers.get(part.model) != number:
                continue
            total += count
            if total > _MOST:
                raise RuleError(
                    f"must not lead to over {_MOST:,} requests: take one client, as "
                    f"--model client-{client}, or less time (--from, --to)"
                )
            drawn.append(begin + _window(kind, shape, count, seed, f"{client}/{at}"))
            owners.append(np.full(count, number, dtype=np.uint32))
    if part.model and part.model not in numbers:
        raise TraceError(f"model {part.model!r}: must be one of {few([*numbers])}")
    if not total and part != _WHOLE:
        raise TraceError(f"{name}: no request in the part of it that is asked for")
    if not total:
        raise TraceError(f"{name}: no request; a trace has at least one")
    arrivals, model = np.concatenate(drawn), np.concatenate(owners)
    order = np.argsort(arrivals, kind="stable")
    models, model = in_order(tuple(numbers), model[order])
    return trace(
        arrivals[order],
        source=f"ServeGen clients {name}",
        span_s=end,
        models=models,
        model=model,
        remarks=(*reader.remarks, f"gaps drawn from their distributions, seed {seed}"),
    )


def _window(
    kind: str, shape: float, count: int, seed: int, purpose: str
) -> NDArray[np.float64]:
    chance = generator(seed, f"servegen/{purpose}")
    gaps = (
        chance.standard_gamma(shape, count + 1)
        if kind == "G"
        else chance.weibull(shape, count + 1)
    )
    total = float(gaps.sum())
    if total <= 0.0:
        return np.full(count, WINDOW_S / 2)
    return np.cumsum(gaps)[:-1] * (WINDOW_S / total)
