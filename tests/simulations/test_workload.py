from __future__ import annotations

from array import array

import pytest

from autoscaler.core.domain import RevisionKey
from simulations.workload import Phase, Workload, merge, paced, poisson

LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")
STEADY = (Phase(length_s=60, rate=20.0),)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process():
    load = poisson(LLM, STEADY, service_s=0.5, until=2_000, seed=1)

    gaps = [b - a for a, b in zip(load.arrivals, load.arrivals[1:], strict=False)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)

    assert len(load.arrivals) == pytest.approx(40_000, rel=0.02)
    assert variance / mean**2 == pytest.approx(1.0, abs=0.05)
    assert sum(load.services) / len(load.services) == pytest.approx(0.5, rel=0.03)


def test_poisson_arrivals_ascend_and_end_before_the_end():
    load = poisson(LLM, STEADY, service_s=0.5, until=100, seed=2)

    assert list(load.arrivals) == sorted(load.arrivals)
    assert load.arrivals[0] > 0
    assert load.arrivals[-1] < 100


def test_a_longer_run_begins_with_the_shorter_one():
    wave = (Phase(length_s=10, rate=8.0), Phase(length_s=30, rate=0.5))
    short = poisson(LLM, wave, service_s=0.5, until=100, seed=3)
    long = poisson(LLM, wave, service_s=0.5, until=1_000, seed=3)

    count = len(short.arrivals)
    assert long.arrivals[:count] == short.arrivals
    assert long.services[:count] == short.services


def test_phases_of_a_wave_have_their_own_rates():
    wave = (Phase(length_s=10, rate=30.0), Phase(length_s=30, rate=2.0))
    load = poisson(LLM, wave, service_s=0.5, until=4_000, seed=4)

    high = sum(1 for at in load.arrivals if at % 40 < 10)
    assert high == pytest.approx(30_000, rel=0.03)
    assert len(load.arrivals) - high == pytest.approx(6_000, rel=0.05)


def test_paced_requests_come_when_a_person_would_say():
    wave = (Phase(length_s=4, rate=1.0), Phase(length_s=6, rate=0.0))
    load = paced(LLM, wave, service_s=2.0, until=13)

    assert list(load.arrivals) == [0, 1, 2, 3, 10, 11, 12]
    assert set(load.services) == {2.0}


def test_merging_keeps_each_request_and_what_it_drew():
    llm = poisson(LLM, STEADY, service_s=0.5, until=20, seed=5)
    iris = poisson(IRIS, STEADY, service_s=0.1, until=20, seed=5)
    alone = merge([llm], seed=9)
    both = merge([iris, llm], seed=9)

    assert list(both.arrivals) == sorted([*llm.arrivals, *iris.arrivals])
    mine = [
        (both.numbers[n], both.arrivals[n], both.services[n], both.picks[n])
        for n, source in enumerate(both.sources)
        if source == 1
    ]
    count = len(alone.arrivals)
    assert mine == [
        (alone.numbers[n], alone.arrivals[n], alone.services[n], alone.picks[n])
        for n in range(count)
    ]


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 arrivals, but 1 service times"):
        Workload(key=LLM, arrivals=array("d", [1, 2]), services=array("d", [1]))


def test_arrivals_that_do_not_ascend_are_refused_by_number():
    with pytest.raises(ValueError, match=r"arrival 1 at 1\.0 s, .* must ascend"):
        Workload(key=LLM, arrivals=array("d", [2, 1]), services=array("d", [1, 1]))


def test_a_wave_without_a_request_is_refused():
    with pytest.raises(ValueError, match="no phase has a length and a rate above 0"):
        poisson(LLM, (Phase(length_s=5, rate=0),), service_s=1, until=9, seed=1)
