"""How sure the figures of a run are: drawn anew from its hours, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from simulations.chance import generator
from simulations.run import End, Run

BLOCK_S = 3_600.0
_TIMES = 400
_BAND = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """Where 95 of 100 draws lie: least and most."""

    cost_s: tuple[float, float]
    """Of as many hours; GPU-seconds, or replica-seconds without GPUs."""
    p99_s: tuple[float, float]
    cold: tuple[float, float]
    """Share of requests that found no ready replica."""
    blocks: int
    """Hours to draw from; with few of them a band says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where 95 of 100 draws of a run's two figures that a search goes by lie."""

    cost_s: tuple[float, float]
    wait_s: tuple[float, float]
    """The mean wait of those that were answered."""


def spread(run: Run, *, seed: int) -> Spread:
    """Draw hours as *bands* does, for two figures that are sums: quick enough for each
    of many runs. The same seed draws the same hours of all runs of one trace."""
    blocks = _blocks(run)
    hour = _hours(run, blocks)
    answered = np.frombuffer(run.ends, dtype=np.uint8) == End.ANSWERED
    waited = np.bincount(hour, np.where(answered, _waits(run), 0.0), blocks)
    count = np.bincount(hour, answered, blocks)
    drawn = generator(seed, "spread").integers(0, blocks, (_TIMES, blocks))
    asked = count[drawn].sum(axis=1)
    return Spread(
        cost_s=_band(_paid(run, blocks)[drawn].sum(axis=1)),
        wait_s=_band(waited[drawn].sum(axis=1) / np.maximum(asked, 1.0)),
    )


def bands(run: Run, *, seed: int) -> Bands | None:
    """Draw hours with replacement: a bootstrap by blocks, as requests hang together.

    A request's hour is that of its arrival. None: there is no other hour to draw.
    """
    blocks = _blocks(run)
    if blocks < 2:
        return None
    hour, waits = _hours(run, blocks), _waits(run)
    answered = np.frombuffer(run.ends, dtype=np.uint8) == End.ANSWERED
    cold = np.bincount(hour, np.frombuffer(run.cold, dtype=np.uint8), blocks)
    count = np.bincount(hour, minlength=blocks)
    cost = _paid(run, blocks)
    groups = [waits[answered & (hour == block)] for block in range(blocks)]
    chance = generator(seed, "bands")
    costs, nearly, shares = [], [], []
    for _ in range(_TIMES):
        drawn = chance.integers(0, blocks, blocks)
        costs.append(cost[drawn].sum())
        asked = count[drawn].sum()
        shares.append(cold[drawn].sum() / asked if asked else 0.0)
        together = np.concatenate([groups[block] for block in drawn])
        nearly.append(
            float(np.quantile(together, 0.99, method="inverted_cdf"))
            if len(together)
            else 0.0
        )
    return Bands(
        cost_s=_band(costs), p99_s=_band(nearly), cold=_band(shares), blocks=blocks
    )


def _blocks(run: Run) -> int:
    return max(1, int(np.ceil(run.until / BLOCK_S)))


def _hours(run: Run, blocks: int) -> NDArray[np.int64]:
    """Return the hour of each request."""
    at = np.asarray(run.requests.arrivals, dtype=np.float64)
    return np.minimum((at / BLOCK_S).astype(np.int64), blocks - 1)


def _waits(run: Run) -> NDArray[np.float64]:
    """Return the wait of each request."""
    waits = np.zeros(len(run.requests.arrivals))
    waits[np.array(list(run.waits), dtype=np.int64)] = list(run.waits.values())
    return waits


def _paid(run: Run, blocks: int) -> NDArray[np.float64]:
    """Return what each hour costs: its replicas, or its nodes where those are paid."""
    edges = np.arange(blocks + 1) * BLOCK_S
    edges[-1] = max(edges[-1], run.until)
    found = np.zeros(blocks)
    gpus = any(machine.gpus for machine in run.machines)
    spans = [
        (machine.placed, machine.gone, machine.gpus if gpus else 1)
        for machine in run.machines
        if machine.placed < inf
    ]
    if gpus and run.pool is not None and run.pool.facts.grow:
        spans = [(node.asked, node.gone, node.gpus) for node in run.pool.nodes]
    for begin, gone, weight in spans:
        end = min(gone, run.until)
        first = int(begin // BLOCK_S)
        last = min(blocks - 1, int(end // BLOCK_S))
        for block in range(first, last + 1):
            low = max(begin, edges[block])
            found[block] += weight * max(0.0, min(end, edges[block + 1]) - low)
    return found


def _band(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(np.array(values), _BAND)
    return float(low), float(high)
