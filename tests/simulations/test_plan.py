"""From a trace to an outcome: every request is simulated once, and each figure adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.core.domain import (
    Budget,
    GateSpec,
    Needs,
    RevisionKey,
    RevisionSpec,
    ScalingSpec,
)
from simulations.coldstart import measured, parse
from simulations.nodes import Nodes
from simulations.plan import (
    Question,
    Service,
    always_on,
    answer,
    defaults,
    said,
    scenario,
    workloads,
)
from simulations.shapes import Shape, Sizes, made
from simulations.totals import totals
from simulations.trace import TraceError, trace

A, B = RevisionKey("default", "a"), RevisionKey("default", "b")
SLEEPY = RevisionSpec(
    scaling=ScalingSpec(
        total_value=4.0, min_replicas=0, max_replicas=3, initial_scale=0,
        stable_window_s=30,
    ),
    gate=GateSpec(container_concurrency=4),
)  # fmt: skip
LOAD = made(
    Shape(kind="bursts", rate=0.05, span_s=20_000.0), Sizes(service_s=4.0), seed=2
)


def question(**changes) -> Question:
    return Question(
        **{"trace": LOAD, "keys": {"model": A}, "cold_start": measured(20.0), **changes}
    )


def test_each_request_is_its_models_and_takes_what_the_trace_says():
    both = trace(
        [0.0, 1.0, 2.0], source="x", models=("m", "n"), model=[0, 1, 0],
        services=[3.0, 4.0, 5.0],
    )  # fmt: skip

    one, other = workloads(question(trace=both, keys={"m": A, "n": B}))

    assert (one.key, list(one.arrivals), list(one.services)) == (A, [0, 2], [3, 5])
    assert (other.key, list(other.services)) == (B, [4.0])


def test_models_that_one_service_answers_take_no_request_from_another():
    three = trace(
        [0.0, 1.0, 2.0], source="x", models=("m", "m-v2", "n"), model=[0, 1, 2],
        services=[1.0, 1.0, 1.0],
    )  # fmt: skip

    one, other = workloads(question(trace=three, keys={"m": A, "m-v2": A, "n": B}))

    assert (list(one.arrivals), list(other.arrivals)) == ([0, 1], [2])


def test_what_the_trace_does_not_say_is_made_of_tokens():
    few = trace(
        [0.0, 1.0], source="x", input_tokens=[1000, 0], output_tokens=[100, 10],
        services=[float("nan"), 7.0],
    )  # fmt: skip
    service = Service(base_s=0.5, input_token_s=0.001, output_token_s=0.02)

    assert service.times(few).tolist() == [pytest.approx(3.5), 7.0]


@pytest.mark.parametrize(
    ("service", "why"),
    [(Service(), "--service-time"), (Service(output_token_s=0.1), "no tokens")],
)
def test_a_time_that_nothing_says_is_asked_for(service, why):
    with pytest.raises(TraceError, match=why):
        service.times(trace([0.0], source="x"))


def test_an_outcome_adds_up_and_the_same_question_has_the_same_answer():
    found = answer("these", question(), {A: SLEEPY})
    sums = totals(found)

    assert sums.requests == len(LOAD)
    assert sums.answered + sums.rejected + sums.lost <= len(LOAD)
    assert sums.cold > 0
    assert [share for share, _ in found.waits][-1] == 1.0
    waits = [seconds for _, seconds in found.waits]
    assert waits == sorted(waits)
    width = LOAD.span_s / len(found.series.at)
    assert sum(found.series.arrivals) * width == pytest.approx(len(LOAD))
    assert max(found.series.ready) + max(found.series.loading) >= sums.most
    assert max(found.series.held) >= 1
    assert found == answer("these", question(), {A: SLEEPY})


def test_replicas_over_time_cost_no_less_than_was_paid_for():
    found = answer("these", question(), {A: SLEEPY})
    alive = np.array(found.series.ready) + np.array(found.series.loading)

    # Each stretch is drawn by its most.
    assert alive.sum() * LOAD.span_s / len(alive) >= totals(found).cost_s * 0.99


def test_never_sleeping_costs_more_and_nobody_waits_for_a_first_start():
    ours, theirs, always = (
        totals(answer(name, question(), {A: spec}))
        for name, spec in (
            ("ours", SLEEPY), ("theirs", defaults(SLEEPY)), ("always", always_on(SLEEPY)),
        )
    )  # fmt: skip

    assert ours.cost_s < theirs.cost_s < always.cost_s
    assert ours.cold > theirs.cold > always.cold
    assert always.p99_s == 0.0


def test_a_run_that_is_stopped_says_what_it_found_until_then():
    whole = totals(answer("whole", question(), {A: SLEEPY}))
    shares = []

    def half(share: float) -> bool:
        shares.append(share)
        return share < 0.5

    part = totals(answer("half", question(), {A: SLEEPY}, half))

    assert shares[-1] == 0.5
    assert 0 < part.cost_s < whole.cost_s
    assert part.answered < whole.answered
    assert part.requests == int((LOAD.arrivals <= LOAD.span_s / 2).sum())
    assert answer("all", question(), {A: SLEEPY}, lambda share: True) == answer(
        "all", question(), {A: SLEEPY}
    )


def test_settings_are_told_by_the_names_that_documents_have():
    assert said(SLEEPY)["window"] == "30s"
    assert said(defaults(SLEEPY))["scale-to-zero-grace-period"] == "30s"
    assert said(always_on(SLEEPY))["minReplicas"] == "1"


def test_an_engine_that_slows_down_takes_longer_for_those_that_come_beside_others():
    few = trace([0.0, 0.0, 0.0, 100.0], source="x", span_s=500.0, services=[10.0] * 4)
    asked = question(trace=few, cold_start=measured(1.0))

    even, slowing = (
        totals(answer("x", replace(asked, slowing=share), {A: SLEEPY})).busy_s
        for share in (0.0, 0.5)
    )

    # Three at once take 10, 15 and 20 s; the one alone takes 10 s as before.
    assert even == pytest.approx(20.0)
    assert slowing == pytest.approx(30.0)


def test_the_fleet_knows_how_many_gpus_the_nodes_have_unless_it_may_use_fewer():
    nodes = Nodes(count=1, most=3, gpus=4)

    def known(budget: Budget) -> int | None:
        asked = question(nodes=nodes, budget=budget)
        return scenario(asked, {A: SLEEPY}).budget.gpus

    assert known(Budget()) == 12
    assert known(Budget(gpus=5)) == 5
    assert known(Budget(gpus=50)) == 12
    assert scenario(question(), {A: SLEEPY}).budget == Budget()


def test_on_nodes_only_first_starts_pull_and_revisions_with_one_image_share_it():
    two = trace(
        [0.0, 100.0, 500.0], source="x", models=("m", "n"), model=[0, 1, 0],
        span_s=1_000.0, services=[1.0] * 3,
    )  # fmt: skip
    asked = question(
        trace=two,
        keys={"m": A, "n": B},
        cold_start=parse("image(10GB) + weights(5GB)"),
        nodes=Nodes(count=1, most=1, gpus=2, bandwidth=1e9),
    )
    specs = {A: SLEEPY, B: SLEEPY}

    apart = answer("x", asked, specs)
    shared = answer("x", replace(asked, images={A: "vllm", B: "vllm"}), specs)

    for found, pulled in ((apart, 2), (shared, 1)):
        sums = totals(found)
        assert sums.nodes is not None
        assert (sums.starts, sums.nodes.pulled) == (3, pulled)
        assert sums.loading_s == pytest.approx(3 * 5 + pulled * 10)
        assert max(found.series.loading) == 1


def test_replicas_at_once_are_those_of_all_revisions_together():
    for apart_s, most in ((5.0, 2), (500.0, 1)):
        two = trace(
            [0.0, apart_s], source="x", models=("m", "n"), model=[0, 1],
            span_s=1_000.0, services=[1.0] * 2,
        )  # fmt: skip
        asked = question(trace=two, keys={"m": A, "n": B}, cold_start=measured(10.0))

        found = answer("x", asked, {A: SLEEPY, B: SLEEPY})

        assert totals(found).most == found.most == most
        assert [each.most for each in found.figures] == [1, 1]


def test_settings_of_several_revisions_are_told_apart():
    two = trace([0.0, 5.0], source="x", models=("m", "n"), model=[0, 1],
                span_s=9.0, services=[1.0] * 2)  # fmt: skip
    specs = {A: SLEEPY, B: always_on(SLEEPY)}

    found = answer("x", question(trace=two, keys={"m": A, "n": B}), specs).settings

    assert found[f"{A}: minReplicas"] == "0"
    assert found[f"{B}: minReplicas"] == "1"
    assert len(found) == 2 * len(answer("x", question(), {A: SLEEPY}).settings)


def test_two_that_had_a_burst_do_not_take_each_others_room_while_nothing_comes():
    arrivals = [0.0, 0.4, 1.0, 2.4, 9.0, 40.0, 40.4, 42.4, 44.3]
    two = trace(
        arrivals, source="x", models=("m", "n"), model=[0] * 5 + [1] * 4,
        span_s=400.0, services=[4.0] * 9,
    )  # fmt: skip
    scaling = replace(SLEEPY.scaling, stable_window_s=60)
    spec = always_on(replace(SLEEPY, scaling=scaling, needs=Needs(gpus=1)))
    asked = question(
        trace=two, keys={"m": A, "n": B}, cold_start=measured(120.0),
        budget=Budget(gpus=3),
    )  # fmt: skip

    found = totals(answer("x", asked, {A: spec, B: spec}))

    assert found.answered == len(two)
    assert found.starts <= 6
