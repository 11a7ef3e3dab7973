"""Whole plans: the demo, what people paste from guides, canaries over time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autoscaler.core.domain import Budget, Metric, RevisionKey
from autoscaler.documents import load
from autoscaler.errors import BadInput
from autoscaler.kserve import Defaults, plan, require
from autoscaler.versions import Memory
from tests.autoscaler.written import (
    EVERYWHERE,
    SERVE,
    model,
    only,
    planned,
    raw,
    refused,
    runtime,
    said,
    service,
    write,
)

ROOT = Path(__file__).parent.parent.parent
RECIPE = Path(__file__).parent / "recipe.yaml"


def version(number: int, **predictor):
    container = {**SERVE, "args": ["$(PORT)", f"v{number}"]}
    return service({"containers": [container], **predictor})


def shares(plan) -> dict[str, float]:
    return {one.key.name: one.weight for one in plan.services[0].revisions}


def test_a_canary_is_between_the_last_promoted_version_and_the_new_one(tmp_path):
    first = planned(tmp_path, version(1))
    second = planned(tmp_path, version(2, canaryTrafficPercent=20), memory=first.memory)

    assert shares(second) == {"iris-predictor-00001": 80, "iris-predictor-00002": 20}
    old, new = second.wanted.values()
    assert (old.launch.command[-1], new.launch.command[-1]) == ("v1", "v2")

    third = planned(tmp_path, version(2), memory=second.memory)
    assert shares(third) == {"iris-predictor-00002": 100}


def test_both_versions_of_a_canary_have_the_settings_of_the_document(tmp_path):
    first = planned(tmp_path, version(1))
    changed = version(2, canaryTrafficPercent=20, minReplicas=0, maxReplicas=7)
    second = planned(tmp_path, changed, memory=first.memory)

    assert {each.spec.scaling.max_replicas for each in second.wanted.values()} == {7}


def test_a_setting_that_changes_makes_no_new_version(tmp_path):
    first = planned(tmp_path, version(1))
    second = planned(tmp_path, version(1, minReplicas=0), memory=first.memory)

    assert second.wanted.keys() == first.wanted.keys()
    assert second.memory == first.memory


def test_the_first_version_as_a_canary_gets_all_and_that_is_said(tmp_path):
    found = planned(tmp_path, version(1, canaryTrafficPercent=20))

    assert shares(found) == {"iris-predictor-00001": 100}
    assert any("has no version before this one" in each for each in said(found))


def test_another_port_or_python_makes_no_new_version(tmp_path):
    document = service(transformer={"containers": [{"command": ["change"]}]})
    first = planned(tmp_path, document)
    other = Defaults(activator="127.0.0.1:1")
    second = planned(tmp_path, document, defaults=other, memory=first.memory)

    assert second.memory == first.memory
    (where,) = (
        dict(each.launch.env)["FROMZERO_ACTIVATOR"]
        for each in second.wanted.values()
        if each.launch.command[0] == "change"
    )
    assert where == "127.0.0.1:1"


def test_a_command_can_name_the_python_that_fromzero_runs_on(tmp_path):
    _, _, launch = only(planned(tmp_path, service()))

    assert dict(launch.env)["PYTHON"] == sys.executable
    assert dict(launch.env)["INFERENCE_SERVICE_NAME"] == "iris"


def test_planning_twice_is_planning_once(tmp_path):
    path = write(tmp_path, service({"minReplicas": -1}))
    documents = load([path])

    for _ in range(2):
        with pytest.raises(BadInput) as error:
            plan(documents, EVERYWHERE, Memory())
        assert len(error.value.problems) == 1


def test_problems_are_sorted_by_place_and_each_is_said_once(tmp_path):
    found = refused(
        tmp_path,
        service({"minReplicas": -1}),
        service({"minReplicas": -2}, name="other"),
        runtime(formats=[{"name": 3}]),
        service(model(), name="third"),
        service(model(), name="fourth"),
    )

    assert found == [
        "spec.predictor.minReplicas = -1, must be a whole number, 0 or more",
        "spec.predictor.minReplicas = -2, must be a whole number, 0 or more",
        "spec.supportedModelFormats[0].name = 3, must be text (put it in quotes)",
        *[each for each in found if "is served by no runtime" in each],
    ]
    assert len(found) == 5


def test_only_what_this_machine_can_serve_passes(tmp_path):
    good = planned(tmp_path, service())
    assert require(good) is good

    document = service()
    small = Defaults(budget=Budget(memory=1 << 20))
    with pytest.raises(BadInput, match="more than the whole budget of 1 MiB"):
        require(planned(tmp_path, document, defaults=small))


def test_what_a_service_is_planned_as_can_be_told(tmp_path):
    found = planned(tmp_path, runtime(), service(model()), runtime("spare"))
    (one,) = found.services
    used, spare = found.runtimes

    assert (one.name, one.line) == ("default/iris", 3)
    assert one.revisions[0].runtime == "ClusterServingRuntime mine"
    assert used.users == ("default/iris",)
    assert spare.why_unused == "no service chooses it"


def test_why_a_runtime_is_not_used_is_told(tmp_path):
    found = planned(
        tmp_path, service(), runtime("a", multiModel=True), runtime("b", disabled=True)
    )

    assert ["ModelMesh" in found.runtimes[0].why_unused, found.runtimes[1].why_unused] \
        == [True, "it is disabled"]  # fmt: skip


def test_the_demos_documents_are_three_services_that_may_sleep():
    found = plan(load([ROOT / "examples" / "demo"]), EVERYWHERE, Memory())
    chat = found.wanted[RevisionKey("default", "llm-server-predictor-00001")].spec

    assert [each.name for each in found.services] == [
        "default/llm-server",
        "production/sklearn-iris",
        "default/text-classifier",
    ]
    assert {each.spec.scaling.min_replicas for each in found.wanted.values()} == {0}
    assert (chat.scaling.max_replicas, chat.scaling.total_value) == (4, 10)
    assert chat.scaling.metric is Metric.CONCURRENCY
    assert chat.probe.path == "/health"


@pytest.mark.parametrize(
    "recipe",
    [RECIPE, ROOT.parent / "shared" / "kserve" / RECIPE.name],
    ids=["ours", "as guides print it"],
)
def test_what_people_paste_from_guides_is_planned_as_it_stands(recipe):
    if not recipe.exists():
        pytest.skip("the guides' own documents are not beside this checkout")
    found = plan(load([recipe]), EVERYWHERE, Memory())
    notes = {each.name: "" for each in found.services}
    for note in found.notes:
        notes[note.service] += f"{note.level}: {note.text}\n"

    assert {str(key) for key in found.wanted} == {
        "production/sklearn-iris-predictor-00001",
        "default/llm-server-predictor-00001",
        "default/text-classifier-predictor-00001",
    }
    assert "minReplicas is not set, so it is 1" in notes["production/sklearn-iris"]
    assert "torchserve is not on this machine" in notes["default/llm-server"]
    assert "has no version before this one" in notes["default/text-classifier"]
    assert "problem: ModelMesh: not served" in notes["default/model-a"]
    (unused,) = found.runtimes
    assert unused.title == "ServingRuntime default/triton-runtime"
    assert "multiModel" in unused.why_unused


def test_a_command_that_is_not_here_is_a_warning_only(tmp_path):
    found = planned(tmp_path, raw({"containers": [SERVE]}))

    assert found.problems == ()
    assert any(
        each.startswith("warning: serve is not on this machine") for each in said(found)
    )
