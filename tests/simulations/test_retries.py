"""Pauses between attempts: within their bounds, spread, and the same by the same seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.cluster import Behaviour, Failing
from simulations.coldstart import measured
from simulations.report import figures, render
from simulations.retries import pause_s
from simulations.run import End
from simulations.workload import Phase, poisson
from simulations.world import Scenario, World
from tests.golden.scenarios import LLM, SLEEPY, model
from tests.simulations.laws import lawful


@given(st.integers(0, 9), st.integers(0, 10**6), st.integers(1, 10**4))
def test_a_pause_is_less_than_twice_the_one_before_could_be_and_8_s_at_most(
    seed, request, attempt
):
    most = min(8.0, 0.5 * 2.0 ** min(attempt - 1, 10))

    assert 0.0 <= pause_s(seed, LLM, request, attempt, 0.0) < most
    assert pause_s(seed, LLM, request, attempt, 0.0) == pause_s(
        seed, LLM, request, attempt, 0.0
    )


@pytest.mark.parametrize(("attempt", "mean"), [(1, 0.25), (2, 0.5), (5, 4.0), (9, 4.0)])
def test_clients_that_fail_together_come_back_apart(attempt, mean):
    pauses = [pause_s(1, LLM, n, attempt, 0.0) for n in range(2_000)]

    assert sum(pauses) / len(pauses) == pytest.approx(mean, rel=0.05)
    assert len(set(pauses)) == len(pauses)


def test_what_the_answer_asks_for_is_waited_for_first_unless_it_is_long():
    plain = pause_s(1, LLM, 3, 1, 0.0)

    assert pause_s(1, LLM, 3, 1, 20.0) == 20.0 + plain
    assert pause_s(1, LLM, 3, 1, 600.0) == plain


@given(
    st.integers(0, 4),
    st.sampled_from([4.0, 15.0, 1e9]),
    st.sampled_from([2, 200]),
    st.booleans(),
    st.integers(1, 2),
    st.integers(0, 50),
)
@settings(max_examples=25)
def test_a_world_of_clients_that_try_again_keeps_the_laws(
    retries, patience_s, max_held, final, activators, seed
):
    load = (Phase(length_s=60, rate=3.0), Phase(length_s=200, rate=0.0))
    failing = (Failing(begin=0.0, end=20.0, after_s=2.0, final=final),)
    behaviour = Behaviour(cold_start=measured(6.0), lifetime_s=60.0, failing=failing)
    full = model(LLM, replace(SLEEPY, max_replicas=2), behaviour=behaviour)
    gate = replace(full.spec.gate, max_held=max_held, hold_limit_s=9.0)
    workload = poisson(LLM, load, service_s=2.0, until=500, seed=seed)
    scenario = Scenario(
        models=(replace(full, spec=replace(full.spec, gate=gate)),),
        workloads=(replace(workload, retries=retries, patience_s=patience_s),),
        activators=activators,
        until=900,
        seed=seed,
    )

    leapt = lawful(scenario)
    walked = World(replace(scenario, walks=True)).run()

    assert bool(leapt.retries) <= bool(retries)
    assert all(End(end) is not End.PENDING for end in leapt.ends)
    assert (leapt.ends, leapt.waits, leapt.scales, leapt.retries) == (
        walked.ends, walked.waits, walked.scales, walked.retries,
    )  # fmt: skip
    assert figures(leapt) == figures(walked)
    assert render(leapt) == render(World(scenario).run())
