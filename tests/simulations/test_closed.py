from __future__ import annotations

import gzip
from collections import Counter
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import edit
from simulations.chance import exponential, uniforms
from simulations.closed import Kept, keep, offline
from simulations.formats import servegen
from simulations.formats.known import read
from simulations.policies.histogram import Histogram
from simulations.policies.rule import Fixed
from tests.simulations.public import public

LOAD_S = 37.0
SERVICE_S = 4.0
"""The table does not say how long requests took; with this it comes out."""

TIMERS = (60.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0)
# The published comparison: cold requests and replica-hours in %, for each of the timers,
# histograms of 1 h and 4 h, and one who knows the future. (Its first row is of GenTD26,
# of which no trace is published under a licence that lets one keep it, so it is not
# here.)
TABLE = {
    "azure code, 1 in 1000": (
        (14.4, 0.93, 0.10, 0.02, 0.01, 0.01, 0.38, 0.38, 23.5),
        (82.3, 97.2, 99.4, 99.8, 100.0, 100.0, 98.7, 98.7, 56.0),
    ),
    "azure code, 1 in 10000": (
        (73.8, 30.2, 15.2, 6.3, 0.6, 0.2, 1.1, 0.7, 81.1),
        (23.2, 50.7, 66.7, 82.3, 95.9, 98.7, 94.8, 96.5, 10.6),
    ),
    "ServeGen, 54 rare clients": (
        (0.42, 0.08, 0.06, 0.04, 0.03, 0.02, 0.07, 0.06, 0.68),
        (2.5, 3.0, 3.3, 3.8, 5.1, 6.6, 3.2, 4.1, 2.0),
    ),
}

times = st.lists(st.integers(0, 2_000), min_size=1, max_size=30).map(sorted)


def row(models: list[list[float]], span_s: float) -> list[Kept]:
    """Return what each column's rule comes to, over all models."""
    timers = [lambda timer=timer: Fixed(timer) for timer in TIMERS]
    rules = [*timers, lambda: Histogram(3_600.0), lambda: Histogram(14_400.0), None]
    return [together(models, span_s, make) for make in rules]


def together(models: list[list[float]], span_s: float, make) -> Kept:
    total = None
    for arrivals in models:
        services = [SERVICE_S] * len(arrivals)
        if make is None:
            one = offline(
                arrivals, services, load_s=LOAD_S, span_s=span_s, delays=False
            )
        else:
            one = keep(
                arrivals, services, make(), load_s=LOAD_S, span_s=span_s, delays=False
            )
        total = one if total is None else total + one
    assert total is not None
    return total


def compare(found: list[list[Kept]], name: str, *, points: float) -> None:
    """Hold the mean over the draws against the table: shares of cold requests within a
    sixth or 0.3 points, replica-hours within so many points of always on."""
    cold, cost = TABLE[name]
    for place, (cold_, cost_) in enumerate(zip(cold, cost, strict=True)):
        draws = [each[place] for each in found]
        mean_cold = 100 * sum(each.cold_share for each in draws) / len(draws)
        mean_cost = 100 * sum(each.cost_share for each in draws) / len(draws)
        assert mean_cold == pytest.approx(cold_, rel=1 / 6, abs=0.3), (name, place)
        assert mean_cost == pytest.approx(cost_, abs=points), (name, place)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1000, 10000])
def test_the_published_comparison_comes_out_on_azure_2024_code(factor):
    whole = read(public("azure_llm_2024_code_10s.csv.gz"))

    found = []
    for seed in (1, 2, 3):
        trace = edit.thin(whole, factor, seed=seed)
        found.append(row([trace.arrivals.tolist()], trace.span_s))

    compare(found, f"azure code, 1 in {factor}", points=2.0)


@pytest.mark.slow
def test_the_published_comparison_comes_out_on_the_rare_clients_of_servegen():
    with gzip.open(public("servegen/m-large_clients_10min.csv.gz"), "rt") as file:
        head, *lines = file.read().splitlines()
    counts: Counter[str] = Counter()
    for line in lines:
        client, _, rate, *_ = line.split(",")
        counts[client] += round(float(rate) * servegen.WINDOW_S)
    rare = {client for client, _ in counts.most_common()[-54:]}
    lines = [line for line in lines if line.partition(",")[0] in rare]

    found = []
    for seed in (1, 2):
        trace = servegen.parse([head, *lines], "rare", seed)
        models = [
            trace.arrivals[trace.model == place].tolist()
            for place in range(len(trace.models))
        ]
        found.append(row(models, trace.span_s))

    compare(found, "ServeGen, 54 rare clients", points=0.6)


@pytest.mark.parametrize("keep_s", [30.0, 100.0, 300.0])
def test_poisson_arrivals_are_cold_with_the_chance_of_so_long_a_gap(keep_s):
    rate, count = 0.01, 40_000
    arrivals, at = [], 0.0
    for chance in uniforms(5, "gap", count):
        at += exponential(1 / rate, chance)
        arrivals.append(at)

    kept = keep(arrivals, [0.0] * count, Fixed(keep_s), load_s=0.0, span_s=at)

    # Three times the standard error of a share of so many.
    assert kept.cold_share == pytest.approx(exp(-rate * keep_s), abs=3 * 0.5 / 200)


@given(times, st.integers(1, 200), st.integers(0, 60), st.integers(1, 300))
def test_all_time_is_loading_busy_idle_or_away(arrivals, service, load, timer):
    services = [float(service)] * len(arrivals)

    kept = keep(arrivals, services, Fixed(float(timer)), load_s=load, span_s=2_000.0)

    assert min(kept.loading_s, kept.busy_s, kept.idle_s) >= 0
    assert kept.cost_s <= kept.span_s + 1e-9
    assert 1 <= kept.cold <= kept.requests


@given(times, st.integers(0, 60), st.integers(1, 300), st.integers(0, 300))
def test_who_waits_longer_is_cold_less_often_and_idles_more(
    arrivals, load, timer, more
):
    services = [1.0] * len(arrivals)

    short = keep(
        arrivals, services, Fixed(timer), load_s=load, span_s=2_000, delays=False
    )
    long = keep(
        arrivals, services, Fixed(timer + more), load_s=load, span_s=2_000, delays=False
    )

    assert long.cold <= short.cold
    assert long.idle_s >= short.idle_s - 1e-9


@given(times, st.integers(1, 60), st.integers(0, 600))
def test_nobody_pays_less_than_one_who_knows_the_future(arrivals, load, timer):
    services = [1.0] * len(arrivals)
    span_s = 3_000.0

    floor = offline(arrivals, services, load_s=load, span_s=span_s, delays=False)
    other = keep(
        arrivals, services, Fixed(timer), load_s=load, span_s=span_s, delays=False
    )

    assert floor.cost_s <= other.cost_s + 1e-6


@given(times, st.integers(1, 60))
def test_to_idle_as_long_as_a_start_takes_costs_at_most_twice_the_least(arrivals, load):
    services = [0.0] * len(arrivals)

    floor = offline(arrivals, services, load_s=load, span_s=3_000.0, delays=False)
    online = keep(
        arrivals, services, Fixed(load), load_s=load, span_s=3_000.0, delays=False
    )

    assert online.cost_s <= 2 * floor.cost_s + 1e-6


def test_a_start_ahead_of_a_request_is_paid_for_and_found_by_it():
    class At(Fixed):
        def windows(self, load_s):
            return 100.0, 20.0

    def kept(*arrivals: float) -> Kept:
        return keep(
            arrivals, [0.0] * len(arrivals), At(0.0), load_s=10.0, span_s=arrivals[-1]
        )

    assert (kept(0.0, 115.0).cold, kept(0.0, 115.0).ahead) == (1, 1)
    assert kept(0.0, 115.0).loading_s == 20.0
    assert kept(0.0, 115.0).idle_s == 5.0  # it was ready 100 s after the first's end
    assert (kept(0.0, 105.0).cold, kept(0.0, 105.0).ahead) == (2, 1)  # too late by 5 s
    assert (kept(0.0, 99.0).cold, kept(0.0, 99.0).ahead) == (2, 0)
    assert kept(0.0, 200.0).cold == 2
    assert kept(0.0, 200.0).idle_s == 20.0
