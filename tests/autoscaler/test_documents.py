"""Files and directories, and what is no document of ours."""

from __future__ import annotations

import json
import os

import pytest

from autoscaler.documents import load, shipped
from tests.autoscaler.written import service, write


def problems(*paths):
    return [str(each) for each in load(paths).problems]


def text(tmp_path, content, name="a.yaml"):
    path = tmp_path / name
    path.write_text(content)
    return path


HEAD = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"


def test_a_directory_is_read_in_order_of_names_and_hidden_files_are_not(tmp_path):
    for name in ("b.yaml", "a.json", ".c.yaml", "d.txt"):
        (tmp_path / name).write_text(json.dumps(service(name=name[0].strip(".") + "x")))
    found = load([tmp_path])

    assert [each.name for each in found.services] == ["ax", "bx"]
    assert tuple(path for path, *_ in found.seen) == (
        str(tmp_path),
        str(tmp_path / "a.json"),
        str(tmp_path / "b.yaml"),
    )


def test_a_file_given_twice_is_read_once(tmp_path):
    path = write(tmp_path, service())
    os.symlink(path, tmp_path / "link.yaml")

    assert len(load([path, tmp_path, tmp_path / "link.yaml"]).services) == 1


def test_a_document_knows_where_it_stands(tmp_path):
    path = text(tmp_path, "# one\n---\n" + json.dumps(service(namespace="lab")))
    (found,) = load([path]).services

    assert (found.kind, found.namespace, found.name) == (
        "InferenceService",
        "lab",
        "iris",
    )
    assert (found.root.file, found.root.line) == (str(path), 3)
    assert found.directory == str(tmp_path)


def test_a_list_is_the_documents_in_it(tmp_path):
    items = [service(), service(name="other")]
    path = write(tmp_path, {"apiVersion": "v1", "kind": "List", "items": items})

    assert [each.name for each in load([path]).services] == ["iris", "other"]


def test_json_with_pairs_of_surrogates_is_read(tmp_path):
    document = service(annotations={"say": "\U0001f600"})
    path = text(tmp_path, json.dumps(document), "a.json")

    assert load([path]).problems == ()


def test_other_kinds_are_passed_over_and_said(tmp_path):
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    ours = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ClusterStorage"}
    found = load([write(tmp_path, service(), other, ours)])

    assert found.problems == ()
    assert [each.text for each in found.notes] == [
        "Secret (v1) is none of KServe's: skipped",
        "ClusterStorage has no meaning here: skipped",
    ]


def test_data_beside_documents_is_passed_over_but_not_when_it_is_named(tmp_path):
    write(tmp_path, service())
    data = text(tmp_path, '{"some": "data"}', "texts.json")

    assert load([tmp_path]).problems == ()
    assert problems(data) == [
        f"{data}:1: kind is missing",
        f"{data}:1: apiVersion is missing",
    ]


@pytest.mark.parametrize(
    "kind", ["InferenceGraph", "LLMInferenceService", "TrainedModel"]
)
def test_kinds_that_are_not_served_are_refused_by_name(tmp_path, kind):
    document = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "mine"},
    }
    (found,) = problems(write(tmp_path, document))

    assert f"1: {kind} mine is not served by this version; " in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", ":1: must be a mapping with apiVersion and kind"),
        ("kind: InferenceService", ":1: apiVersion is missing"),
        (
            HEAD.replace("v1beta1", "v1alpha1") + "metadata: {name: a}\nspec: {}",
            ":1: apiVersion = serving.kserve.io/v1alpha1, must be "
            "serving.kserve.io/v1beta1 for InferenceService",
        ),
        (HEAD + "spec: {}", ":1: metadata.name is missing"),
        (HEAD + "metadata: {name: a}", ":1: spec is missing"),
        (HEAD + "metadata: {name: 3a}\nspec: {}", ":3: metadata.name = 3a, must be at"),
        (
            HEAD + "metadata: {name: a, namespace: B}\nspec: {}",
            ":3: metadata.namespace",
        ),
        (
            HEAD + "metadata: {name: a}\nmetadata: {name: b}",
            ":4: the key metadata is t",
        ),
        ("a: [", ": is not YAML: "),
        ("", " has no InferenceService"),
    ],
)
def test_what_is_no_document_says_line_and_rule(tmp_path, content, said):
    path = text(tmp_path, content)
    found = problems(path)

    assert any(str(path) in each and said in each for each in found), found


def test_files_that_cannot_be_read_say_so(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"a: 1\nb: \xff")
    with open(tmp_path / "big.yaml", "wb") as big:
        big.truncate(5 << 20)
    os.mkfifo(tmp_path / "pipe.yaml")

    assert problems(tmp_path / "absent.yaml") == [
        f"{tmp_path}/absent.yaml: is not there"
    ]
    assert problems(tmp_path / "empty") == [
        f"{tmp_path}/empty: has no file that ends in .yaml, .yml, .json"
    ]
    assert problems(tmp_path / "bytes.yaml") == [
        f"{tmp_path}/bytes.yaml:2: is not UTF-8 text"
    ]
    assert problems(tmp_path / "big.yaml") == [
        f"{tmp_path}/big.yaml: is bigger than 4 MiB: not read"
    ]
    assert problems(tmp_path / "pipe.yaml") == [
        f"{tmp_path}/pipe.yaml: is not a file or directory"
    ]


def test_two_services_with_one_name_are_refused_with_both_places(tmp_path):
    (tmp_path / "a.yaml").write_text(json.dumps(service()))
    (tmp_path / "b.yaml").write_text(json.dumps(service()))

    assert problems(tmp_path) == [
        f"{tmp_path}/b.yaml:1: InferenceService default/iris is already in "
        f"{tmp_path}/a.yaml:1; give one of them another name"
    ]


def test_an_unknown_field_warns_with_the_nearest_known(tmp_path):
    found = load([write(tmp_path, service({"minReplica": 0, "qqqq": 1}))])

    assert [f"{each.level}: {each.text}" for each in found.notes] == [
        "warning: spec.predictor.minReplica is not a field of InferenceService: did you "
        "mean minReplicas?",
        "warning: spec.predictor.qqqq is not a field of InferenceService: nothing reads "
        "it",
    ]
    assert {each.service for each in found.notes} == {"default/iris"}


def test_what_ships_is_read_without_a_word():
    names = {each.name for each in shipped()}

    assert {"kserve-mlserver", "kserve-vllm", "llama-server"} <= names
    assert all(each.kind == "ClusterServingRuntime" for each in shipped())
