from __future__ import annotations

from array import array
from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.commands import Decided, Scale
from autoscaler.core.domain import Decision, Mode, Observation, RevisionKey
from simulations.cluster import Machine, Part
from simulations.nodes import Nodes, Pool
from simulations.report import figures, node_figures, quantile_of, render
from simulations.run import End, Run
from simulations.workload import Workload, merge

LLM = RevisionKey("default", "llm")
IRIS = RevisionKey("default", "iris")


def workload(key: RevisionKey, *arrivals: float) -> Workload:
    services = array("d", [1.0]) * len(arrivals)
    return Workload(key=key, arrivals=array("d", arrivals), services=services)


def machine(key: RevisionKey, number: int, *turns: tuple[Part, float]) -> Machine:
    """Return a replica that turned to each part at its time; the last one: gone."""
    made = Machine(key, number, turns[0][1])
    for part, at in turns:
        made.turn(part, at)
    made.gone = turns[-1][1]
    return made


def run() -> Run:
    """Return a run that was written by hand: requests 0, 2, 3 and 5 are the LLM's."""
    requests = merge([workload(LLM, 0, 10, 11, 13), workload(IRIS, 5, 12)], seed=1)
    return Run(
        seed=1,
        until=100.0,
        requests=requests,
        ends=bytearray(
            [End.ANSWERED, End.ANSWERED, End.ANSWERED, End.EXPIRED, 0, End.ANSWERED]
        ),
        waits={0: 4.0, 5: 0.25},
        cold=bytearray([1, 0, 0, 0, 0, 0]),
        refusals=Counter({(LLM, "expired: held for 300 s"): 1}),
        decisions=[
            (2.0 * n, decided(LLM, wanted, Mode.STABLE, why))
            for n, (wanted, why) in enumerate(
                [(1, "a"), (1, "b"), (0, "c"), (0, "d")], 1
            )
        ],
        scales=[
            (0.0, Scale(key=LLM, replicas=1, reason="wake")),
            (8.0, Scale(key=LLM, replicas=0, stop=("default/llm-1",), reason="idle")),
        ],
        machines=[
            machine(LLM, 1, (Part.LOADING, 0), (Part.IDLE, 4), (Part.BUSY, 5),
                    (Part.DRAINING, 9), (Part.DRAINING, 10)),
            machine(LLM, 2, (Part.LOADING, 10), (Part.BUSY, 12), (Part.IDLE, 15)),
            machine(LLM, 3, (Part.LOADING, 11), (Part.IDLE, 14)),
        ],
        failures=Counter({LLM: 1}),
        crashes=Counter(),
    )  # fmt: skip


def decided(key: RevisionKey, wanted: int, mode: Mode, why: str) -> Decided:
    return Decided(
        key=key,
        seen=Observation(stable=0, panic=0, ready=1),
        decision=Decision(desired=wanted, mode=mode, reason=why),
        replicas=wanted,
        reason=why,
    )


def test_figures_are_what_a_person_would_count():
    llm, iris = figures(run())

    assert (llm.requests, dict(llm.ends)[End.ANSWERED]) == (4, 3)
    assert dict(llm.ends)[End.EXPIRED] == 1
    assert (llm.cold, llm.delayed) == (1, 1)
    assert (llm.wait_p50_s, llm.wait_p95_s, llm.wait_max_s) == (0.25, 4.0, 4.0)
    assert (llm.starts, llm.failures, llm.crashes, llm.most) == (3, 1, 0, 2)
    assert dict(llm.seconds) == {
        Part.LOADING: 4 + 2 + 3,
        Part.IDLE: 1,
        Part.BUSY: 4 + 3,
        Part.DRAINING: 1,
    }
    assert llm.replica_s == 10 + 5 + 3
    assert (iris.requests, iris.starts, iris.wait_max_s) == (2, 0, 0.0)
    assert dict(iris.ends)[End.PENDING] == 1


def test_a_page_shows_what_happened_and_only_decisions_that_differ():
    text = render(run())

    assert "  requests         4: 3 answered, 1 expired\n" in text
    assert "    1 x expired: held for 300 s\n" in text
    assert "  cold             1, and 1 delayed\n" in text
    assert "p50 0.250 s, p95 4.000 s, p99 4.000 s, most 4.000 s\n" in text
    assert "18.000: 9.000 loading, 1.000 idle, 7.000 busy, 1.000 draining\n" in text
    assert ": a\n" in text
    assert ": b\n" not in text
    assert ": c\n" in text
    assert "to 0, stop default/llm-1: idle\n" in text


def test_a_reason_of_a_decision_that_is_not_shown_still_changes_the_page():
    changed = run()
    at, hidden = changed.decisions[1]
    changed.decisions[1] = (at, decided(LLM, 1, Mode.STABLE, "another"))
    assert hidden.reason == "b"

    assert render(changed) != render(run())


def test_a_workload_without_a_request_has_a_page_too():
    alone = run()
    alone.requests = merge([workload(LLM)], seed=1)
    alone.ends, alone.cold, alone.waits = bytearray(), bytearray(), {}

    (figure,) = figures(alone)

    assert (figure.requests, figure.wait_p99_s) == (0, 0.0)
    assert "requests         0: none\n" in render(alone)


@given(
    st.lists(st.floats(0.001, 1e6), max_size=30).map(sorted),
    st.integers(0, 30),
    st.floats(0.01, 1.0),
)
def test_a_quantile_is_the_least_value_that_enough_values_do_not_exceed(
    ordered, zeros, share
):
    everything = [0.0] * zeros + ordered
    value = quantile_of(ordered, zeros, share)

    if everything:
        below = sum(1 for each in everything if each < value)
        within = sum(1 for each in everything if each <= value)
        assert below < share * len(everything) + 1e-9
        assert within >= share * len(everything) - 1e-9
    else:
        assert value == 0.0


def test_machine_parts_sum_to_its_life():
    one = run().machines[0]

    assert sum(one.seconds.values()) == pytest.approx(one.gone - one.launched)
    assert Machine(LLM, 9, 0.0).gone == inf


def test_a_start_that_waited_for_a_place_counts_from_when_it_had_it():
    found = run()
    waited, never = Machine(IRIS, 1, 20.0), Machine(IRIS, 2, 30.0)
    waited.placed = waited.since = 32.0
    waited.turn(Part.IDLE, 40.0)
    waited.turn(Part.IDLE, 50.0)
    waited.gone = 50.0
    never.placed, never.gone = inf, 34.0
    found.machines += [waited, never]

    _, iris = figures(found)

    assert (iris.starts, iris.most) == (2, 1)
    assert (iris.unplaced, iris.unplaced_max_s) == (2, 12.0)
    assert iris.replica_s == 18.0
    text = render(found)
    assert "    2 of them waited for a place on a node, at most 12.000 s\n" in text


def test_nodes_are_paid_from_when_they_are_asked_for_until_they_are_gone():
    found = run()
    assert node_figures(found) is None
    found.pool = Pool(Nodes(count=1, most=3, gpus=4), 0.0)
    (one,) = found.pool.nodes
    two, _ = found.pool.add(10.0), found.pool.add(60.0)
    one.pulled, two.pulled = 2, 1
    found.pool.remove(two, 30.0)

    nodes = node_figures(found)

    assert nodes is not None
    assert (nodes.most, nodes.added, nodes.pulled, nodes.paid) == (2, 2, 3, True)
    assert nodes.gpu_s == 4 * (100.0 + 20.0 + 40.0)
    assert "at most 2 nodes, 2 of them added: 640.000 GPU-seconds, 3 images" in render(
        found
    )


def test_attempts_that_were_made_again_are_counted_by_revision():
    found = run()
    found.retries.update({(LLM, End.EXPIRED): 2, (LLM, End.LEFT): 1})

    llm, iris = figures(found)

    assert (llm.retries, iris.retries) == (3, 0)
    assert "    3 times a client tried again\n" in render(found)
