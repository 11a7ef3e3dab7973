"""What a kubelet says of a pod, from the states of its containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kube.reports import Ended, State, conditions, phase

DONE = Ended(code=0, reason="Completed", message="", started="", finished="")
FAILED = Ended(code=1, reason="Error", message="", started="", finished="")
RUNS = {"since": "2026-01-01T00:00:00Z"}


def state(**more) -> State:
    return State(name="c", image="i", **more)


@pytest.mark.parametrize(
    ("policy", "inits", "mains", "wanted"),
    [
        pytest.param("Always", [], [{}], "Pending", id="not begun"),
        pytest.param("Always", [{}], [{}], "Pending", id="init not done"),
        pytest.param("Always", [{"ended": DONE}], [RUNS], "Running", id="init done"),
        pytest.param("Always", [], [RUNS, {}], "Pending", id="one still waits"),
        pytest.param("Always", [], [{"last": FAILED}], "Running", id="a crash loop"),
        pytest.param("Never", [], [{"ended": DONE}], "Succeeded", id="done"),
        pytest.param("Never", [], [{"ended": FAILED}], "Failed", id="failed"),
        pytest.param("Never", [{"ended": FAILED}], [{}], "Failed", id="init failed"),
        pytest.param("OnFailure", [], [{"ended": FAILED}], "Running", id="again soon"),
    ],
)
def test_the_phase_follows_the_containers(policy, inits, mains, wanted):
    made = [[state(**each) for each in some] for some in (inits, mains)]

    assert phase(policy, *made) == wanted


def test_a_condition_that_did_not_change_keeps_its_time_and_others_are_kept():
    status: dict[str, Any] = {"podIP": "10.0.0.1"}
    pod = {"spec": {}, "status": status}
    first = conditions(pod, "then", [], [state()])
    gate = {"type": "somebodys", "status": "True"}
    status["conditions"] = [*first, gate]

    second = conditions(pod, "later", [], [state(ready=True, **RUNS)])
    times = {each["type"]: each.get("lastTransitionTime") for each in second}

    assert times["Ready"] == times["ContainersReady"] == "later"
    assert times["PodScheduled"] == times["Initialized"] == "then"
    assert gate in second


def test_a_readiness_gate_that_is_closed_keeps_a_pod_unready():
    gates = [{"conditionType": "somebodys"}]
    pod = {"spec": {"readinessGates": gates}, "status": {"podIP": "10.0.0.1"}}

    said = conditions(pod, "now", [], [state(ready=True, **RUNS)])
    found = {each["type"]: each["status"] for each in said}

    assert (found["Ready"], found["ContainersReady"]) == ("False", "True")
