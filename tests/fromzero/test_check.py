"""What `fromzero check` says, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoscaler.documents import load
from autoscaler.errors import BadInput
from autoscaler.kserve import plan
from autoscaler.versions import Memory
from fromzero.check import lines, run
from tests.autoscaler.written import EVERYWHERE, model, runtime, service, write

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "tests" / "autoscaler" / "recipe.yaml"
GUIDES = ROOT.parent / "shared" / "kserve" / RECIPE.name


def text(*documents, tmp_path) -> str:
    found = plan(load([write(tmp_path, *documents)]), EVERYWHERE, Memory())
    return "\n".join(line for line, _ in lines(found))


def test_a_service_is_told_by_name_with_all_that_would_happen(tmp_path):
    predictor = {
        **model(storageUri="s3://b/m", resources={"limits": {"memory": "2Gi"}}),
        "minReplicas": 0,
        "maxReplicas": 3,
        "scaleTarget": 10,
        "containerConcurrency": 20,
    }
    said = text(
        runtime(protocolVersions=["v2"]),
        service(predictor, namespace="lab"),
        tmp_path=tmp_path,
    )

    assert said.startswith(f"lab/iris  ({tmp_path}/documents.yaml:3)\n")
    for line in (
        "  predictor   iris-predictor-00001",
        "  replicas    0 to 3, sleeps after 60 s without a request",
        "  scales by   concurrency: 10 requests in flight a replica, aiming at 7",
        "  limit       20 requests at once in each replica",
        "  model       s3://b/m",
        "  started by  ClusterServingRuntime mine",
        "  command     serve mine",
        "  needs       2 GiB",
        "  ready when  GET /v2/models/iris/ready answers 2xx",
        "  reached at  iris-lab.localhost, /serving/lab/iris/, model: iris",
    ):
        assert f"{line}\n" in said
    assert (
        f"ClusterServingRuntime mine  ({tmp_path}/documents.yaml:1)  starts lab/iris"
        in (said)
    )
    assert said.endswith("1 service, 1 revision: ready for `fromzero up`")


@pytest.mark.parametrize(
    ("predictor", "line"),
    [
        ({"minReplicas": 2}, "  replicas    2 to 2, never sleeps"),
        (
            {"scaleMetric": "rps", "scaleTarget": 20},
            "  scales by   rps: 20 requests a second a replica, aiming at 14",
        ),
        (
            {"scaleMetric": "cpu"},
            "  scales by   cpu, 80 % of the request for each replica",
        ),
        ({}, "  model       its own command brings it"),
        (
            {
                "minReplicas": 0,
                "annotations": {
                    "autoscaling.knative.dev/window": "123s",
                    "autoscaling.knative.dev/"
                    "scale-to-zero-pod-retention-period": "131s",
                },
            },
            "sleeps after 254 s without a request",
        ),
    ],
)
def test_bounds_and_targets_are_told_in_words(tmp_path, predictor, line):
    assert line in text(service(predictor), tmp_path=tmp_path)


def test_each_version_is_told_with_its_share(tmp_path):
    variant = {
        "predictor": {"name": "b", "containers": [{"command": ["serve"]}]},
        "trafficPercent": 25,
    }
    said = text(service(canary=[variant]), tmp_path=tmp_path)

    assert "iris-predictor-00001, 75 % of requests" in said
    assert "iris-b-predictor-00001, 25 % of requests" in said


def test_notes_stand_under_their_service_and_problems_are_counted(tmp_path):
    absent = service({**model(storageUri="/absent/model"), "minReplicas": 0})
    said = text(runtime(), absent, tmp_path=tmp_path)

    assert "  problem: " in said
    assert "there is no model at /absent/model" in said
    assert said.endswith("1 problem: `fromzero up` refuses these documents")


@pytest.mark.parametrize("recipe", [RECIPE, GUIDES], ids=["ours", "the guides' own"])
def test_what_people_paste_from_guides_is_taken_as_it_stands(
    tmp_path, capsys, recipe, monkeypatch
):
    if not recipe.exists():
        pytest.skip("the guides' own documents are not beside this checkout")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert run([recipe]) == 0
    said = capsys.readouterr().out
    for name in (
        "production/sklearn-iris  (",
        "default/llm-server  (",
        "default/text-classifier  (",
        "ServingRuntime default/triton-runtime  (",
        "default/model-a  (",
    ):
        assert name in said
    assert "minReplicas is not set, so it is 1 and never sleeps: set 0" in said
    assert "torchserve is not on this machine: " in said
    assert "ModelMesh: not served by this version" in said
    assert "\x1b" not in said


def test_a_misspelt_field_is_told_before_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = write(tmp_path, service({"minReplica": 0, "maxReplicas": -1}))

    with pytest.raises(BadInput, match="maxReplicas = -1"):
        run([path])
    assert "did you mean minReplicas?" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "status", "where"),
    [
        (service({"minReplicas": 0}), 0, "stdout"),
        (service({"minReplicas": -1}), 2, "stderr"),
    ],
)
def test_the_command_ends_with_0_or_2_and_never_with_a_traceback(
    tmp_path, document, status, where
):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    ended = subprocess.run(
        [sys.executable, "-m", "fromzero", "check", str(path)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == status
    assert str(path) in getattr(ended, where)
    assert "Traceback" not in ended.stdout + ended.stderr
