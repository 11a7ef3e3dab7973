from __future__ import annotations

import pytest

from autoscaler.errors import BadInput
from autoscaler.kserve import Defaults
from fromzero.source import Source

DOCUMENT = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: echo
spec:
  predictor:
    minReplicas: 0
    containers:
      - name: kserve-container
        image: none
        command: ["$(PYTHON)", serve.py, --version=1]
"""


@pytest.fixture
def documents(tmp_path):
    path = tmp_path / "documents" / "echo.yaml"
    path.parent.mkdir()
    path.write_text(DOCUMENT)
    return path


def source(path, tmp_path) -> Source:
    return Source((path.parent,), Defaults(), tmp_path / "state")


def names(plan) -> list[str]:
    return [key.name for key in plan.wanted]


def test_what_documents_say_is_planned_and_they_are_what_to_watch(documents, tmp_path):
    read = source(documents, tmp_path)

    assert names(read.served) == ["echo-predictor-00001"]
    assert {path for path, *_ in read.seen} == {str(documents.parent), str(documents)}


def test_bad_documents_are_raised_with_all_problems(documents, tmp_path):
    documents.write_text(DOCUMENT + "---\n" + DOCUMENT)

    with pytest.raises(BadInput, match="is already in"):
        source(documents, tmp_path)


def test_another_program_is_another_version_once_it_is_kept(documents, tmp_path):
    read = source(documents, tmp_path)
    documents.write_text(DOCUMENT.replace("version=1", "version=2"))

    plan = read.read()
    read.keep(plan)

    assert names(plan) == ["echo-predictor-00002"]
    assert read.served is plan


def test_bad_documents_change_nothing_and_are_watched_on(documents, tmp_path):
    read = source(documents, tmp_path)
    other = documents.with_name("other.yaml")
    other.write_text(DOCUMENT)

    with pytest.raises(BadInput):
        read.read()

    assert names(read.served) == ["echo-predictor-00001"]
    assert str(other) in [path for path, *_ in read.seen]


def test_versions_are_remembered_across_restarts(documents, tmp_path):
    first = source(documents, tmp_path)
    documents.write_text(DOCUMENT.replace("version=1", "version=2"))
    first.keep(first.read())

    assert names(source(documents, tmp_path).served) == ["echo-predictor-00002"]
    documents.write_text(
        DOCUMENT.replace("version=1", "version=3").replace(
            "minReplicas: 0", "minReplicas: 0\n    canaryTrafficPercent: 10"
        )
    )
    assert names(source(documents, tmp_path).served) == [
        "echo-predictor-00002", "echo-predictor-00003",
    ]  # fmt: skip


def test_a_state_directory_that_is_none_is_said(documents, tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(BadInput, match=r"versions\.json: cannot be read"):
        source(documents, tmp_path)
