"""The choice of a runtime, as KServe makes it."""

from __future__ import annotations

import pytest

from autoscaler.documents import shipped
from autoscaler.runtimes import read
from tests.autoscaler.written import (
    model,
    only,
    planned,
    refused,
    runtime,
    said,
    service,
)

TOY = {"name": "toy", "autoSelect": True}


def chosen(tmp_path, *documents, predictor=None, namespace=""):
    """Return the name of the runtime, which each of ours has as its argument."""
    document = service(predictor or model(), namespace=namespace)
    return only(planned(tmp_path, *documents, document))[2].command[-1]


def test_the_namespaces_own_runtime_goes_before_the_clusters(tmp_path):
    loud = {**TOY, "priority": 9}
    whole = runtime("whole", formats=[loud])
    own = runtime("own", namespace="lab")

    assert chosen(tmp_path, whole, own, namespace="lab") == "own"


def test_another_namespaces_runtime_is_not_seen(tmp_path):
    other = runtime("other", namespace="elsewhere")

    assert chosen(tmp_path, other, runtime("whole"), namespace="lab") == "whole"


def test_the_higher_priority_goes_first_and_none_is_lowest(tmp_path):
    silent = runtime("silent")
    low = runtime("low", formats=[{**TOY, "priority": 1}])
    high = runtime("high", formats=[{**TOY, "priority": 2}])

    assert chosen(tmp_path, silent, low, high) == "high"
    assert chosen(tmp_path, silent, low) == "low"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"disabled": True},
        {"multiModel": True},
        {"formats": [{"name": "toy"}]},
        {"formats": [{"name": "other", "autoSelect": True}]},
        {"protocolVersions": ["grpc-v2"]},
    ],
    ids=str,
)
def test_what_cannot_serve_is_not_selected(tmp_path, spoiled):
    loud = {"formats": [{**TOY, "priority": 9}], **spoiled}

    assert chosen(tmp_path, runtime("bad", **loud), runtime("good")) == "good"


def test_a_version_is_asked_for_exactly_and_no_version_takes_any(tmp_path):
    one = runtime("one", formats=[{**TOY, "version": "1"}])
    two = runtime("two", formats=[{**TOY, "version": "2", "priority": 1}])
    wish = {"model": {"modelFormat": {"name": "toy", "version": "1"}}}

    assert chosen(tmp_path, one, two, predictor=wish) == "one"
    assert chosen(tmp_path, one, two) == "two"


def test_without_a_protocol_v1_is_meant_and_another_is_said(tmp_path):
    first = runtime("first", protocolVersions=["v1"])
    second = runtime(
        "second", formats=[{**TOY, "priority": 9}], protocolVersions=["v2"]
    )

    assert chosen(tmp_path, first, second) == "first"
    assert chosen(tmp_path, first, second, predictor=model(protocolVersion="v2")) == (
        "second"
    )
    assert any(
        "protocolVersion is not set and second speaks v2" in each
        for each in said(planned(tmp_path, second, service(model())))
    )


def test_a_named_runtime_need_not_be_selectable(tmp_path):
    quiet = runtime("quiet", formats=[{"name": "toy"}])

    assert (
        chosen(tmp_path, quiet, runtime("loud"), predictor=model(runtime="quiet"))
        == "quiet"
    )


def test_ours_of_the_same_name_takes_the_place_of_a_shipped_one(tmp_path):
    mine = runtime("llama-server", formats=[{"name": "gguf", "autoSelect": True}])

    assert chosen(tmp_path, mine, predictor=model("gguf")) == "llama-server"
    named = model("gguf", runtime="llama-server")
    assert chosen(tmp_path, mine, predictor=named) == "llama-server"


@pytest.mark.parametrize(
    ("document", "wish", "wrong"),
    [
        (runtime("off", disabled=True), {"runtime": "off"}, "that is disabled"),
        (runtime("mesh", multiModel=True), {"runtime": "mesh"}, "is ModelMesh's"),
        (
            runtime("old", protocolVersions=["v1"]),
            {"runtime": "old", "protocolVersion": "v2"},
            "speaks v1, not v2",
        ),
        (
            runtime("other", formats=[{"name": "other"}]),
            {"runtime": "other"},
            "does not support toy, only other",
        ),
        (runtime("ours"), {"runtime": "our"}, "did you mean ours?"),
        (runtime("ours"), {"runtime": "qqq"}, "give its file as well"),
    ],
)
def test_a_named_runtime_that_cannot_serve_is_wrong(tmp_path, document, wish, wrong):
    (found,) = refused(tmp_path, document, service(model(**wish)))

    assert wrong in found


def test_a_format_that_nobody_serves_names_those_that_are_served(tmp_path):
    (found,) = refused(tmp_path, runtime(), service(model("strange")))

    assert (
        "spec.predictor.model.modelFormat = strange, is served by no runtime" in found
    )
    assert "toy" in found


def test_what_is_wrong_in_a_runtime_is_said_with_all_the_rest(tmp_path):
    bad = runtime("bad", formats=[{"autoSelect": "yes please"}], disabled="no")
    found = refused(tmp_path, bad, service({"minReplicas": -1}))

    assert len(found) == 4


@pytest.mark.parametrize("document", shipped(), ids=lambda each: each.name)
def test_a_shipped_runtime_is_whole(document):
    found = read(document, shipped=True)

    assert document.root.problems == []
    assert found.formats
    assert not found.disabled


@pytest.mark.parametrize(
    ("name", "predictor", "program"),
    [
        ("sklearn", model("sklearn"), "$(PYTHON)"),
        ("sklearn over V2", model("sklearn", protocolVersion="v2"), "mlserver"),
        ("xgboost", model("xgboost", protocolVersion="v2"), "mlserver"),
        ("gguf", model("gguf"), "sh"),
        ("vLLM", model("vLLM"), "vllm"),
        ("huggingface", model("huggingface"), "vllm"),
        ("onnx", model("onnx", protocolVersion="v2"), "tritonserver"),
        ("triton", model("triton", protocolVersion="v2"), "tritonserver"),
        ("pytorch", model("pytorch"), "torchserve"),
    ],
)
def test_shipped_runtimes_serve_the_formats_that_people_write(
    tmp_path, name, predictor, program
):
    _, _, launch = only(planned(tmp_path, service(predictor)))

    assert launch.command[0] == program
