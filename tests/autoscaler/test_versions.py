"""Versions: when the number grows, who is promoted, and what survives a restart."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.base import Launch, Requested
from autoscaler.core.domain import Needs, Probe
from autoscaler.errors import BadInput
from autoscaler.versions import Made, Memory, advance, directory_of, load, save, weights


def made(name: str, **launch) -> Made:
    return Made(launch=Launch(command=("serve", name), **launch))


R = Requested(cpu=0.5, memory=7)
A, B, C = made("a"), made("b"), made("c")
STEPS = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.sampled_from([None, 0.0, 20.0, 100.0])),
    min_size=1,
    max_size=12,
)


def walk(steps):
    history = None
    for what, canary in steps:
        history = advance(history, what, canary)
        yield what, canary, history


def numbers(history, canary):
    return [(each.number, share) for each, share in weights(history, canary)]


def test_the_first_version_gets_every_request_even_as_a_canary():
    assert numbers(advance(None, A, 20.0), 20.0) == [(1, 100.0)]


def test_without_a_canary_the_newest_is_promoted():
    history = advance(advance(None, A, None), B, None)

    assert numbers(history, None) == [(2, 100.0)]


def test_with_a_canary_the_last_promoted_keeps_the_rest():
    history = advance(advance(None, A, None), B, 20.0)

    assert numbers(history, 20.0) == [(1, 80.0), (2, 20.0)]


def test_a_canary_that_is_promoted_keeps_its_number():
    history = advance(advance(advance(None, A, None), B, 20.0), B, None)

    assert numbers(history, None) == [(2, 100.0)]
    assert history.promoted.made == B


def test_a_canary_that_is_replaced_is_gone_and_the_promoted_one_stays():
    history = None
    for what, canary in ((A, None), (B, 20.0), (C, 30.0)):
        history = advance(history, what, canary)

    assert numbers(history, 30.0) == [(1, 70.0), (3, 30.0)]


def test_going_back_to_the_promoted_version_brings_back_its_number():
    history = None
    for what, canary in ((A, None), (B, 20.0), (A, 20.0)):
        history = advance(history, what, canary)

    assert numbers(history, 20.0) == [(1, 100.0)]


@given(STEPS)
def test_a_number_never_means_two_things_and_never_falls(steps):
    meant: dict[int, str] = {}
    last = 0
    for what, _, history in walk(steps):
        for version in (history.promoted, history.latest):
            digest = version.made.digest
            assert meant.setdefault(version.number, digest) == digest
        assert history.latest.made == what
        assert last <= history.last <= last + 1
        last = history.last


@given(STEPS)
def test_shares_sum_to_100_and_only_the_promoted_one_is_beside_the_newest(steps):
    promoted = None
    for what, canary, history in walk(steps):
        found = weights(history, canary)
        assert sum(share for _, share in found) == 100
        assert found[-1][0].made == what
        if canary in (None, 100.0) or promoted is None:
            promoted = history.latest.number
        assert history.promoted.number == promoted


@given(STEPS)
def test_planning_the_same_again_changes_nothing(steps):
    *_, (what, canary, history) = walk(steps)

    assert advance(history, what, canary) == history


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("other",)},
        {"env": (("A", "2"),)},
        {"storage_uri": "s3://b/2"},
        {"cwd": "/elsewhere"},
        {"needs": Needs(gpus=1)},
        {"port": 9000},
    ],
    ids=str,
)
def test_what_would_be_launched_makes_a_version(change):
    assert replace(A, launch=replace(A.launch, **change)).digest != A.digest


def test_settings_make_none():
    settled = replace(
        A,
        launch=replace(A.launch, grace_s=1.0, needs=Needs(memory=5), requested=R),
        probe=Probe(path="/x"),
        runtime="another",
    )

    assert settled.digest == A.digest


def memory() -> Memory:
    big = made(
        "b", env=(("A", "1"),), needs=Needs(memory=1, gpus=2), port=3, requested=R
    )
    history = advance(
        advance(None, A, None), replace(big, probe=Probe(path="/x")), 20.0
    )
    return Memory().remember("default/iris-predictor", history)


def test_what_is_saved_is_loaded_again(tmp_path):
    save(tmp_path / "new", memory())

    assert load(tmp_path / "new") == memory()
    assert os.listdir(tmp_path / "new") == ["versions.json"]


def test_a_file_of_before_requests_were_remembered_is_loaded(tmp_path):
    history = advance(None, A, None)
    save(tmp_path, Memory().remember("default/iris-predictor", history))
    path = tmp_path / "versions.json"
    tree = json.loads(path.read_text())
    its = tree["components"]["default/iris-predictor"]
    for each in (its["promoted"], its["latest"]):
        del each["made"]["launch"]["requested"]
    path.write_text(json.dumps(tree))

    assert load(tmp_path).components == {"default/iris-predictor": history}


def test_nothing_saved_is_nothing_remembered(tmp_path):
    assert load(tmp_path) == Memory()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "components": {"a": {}}}', "\x00"]
)
def test_a_broken_file_says_what_to_do(tmp_path, text):
    (tmp_path / "versions.json").write_text(text)

    with pytest.raises(BadInput, match="delete it, and each service begins anew"):
        load(tmp_path)


def test_a_file_of_another_format_is_not_guessed_at(tmp_path):
    tree = json.dumps({"format": 2, "components": {}})
    (tmp_path / "versions.json").write_text(tree)

    with pytest.raises(BadInput, match="has format 2, must be 1"):
        load(tmp_path)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "versions.json").mkdir()
    with pytest.raises(BadInput, match=r"versions\.json: cannot be read"):
        load(tmp_path)

    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot be written: .*; name another with"):
        save(tmp_path / "file", memory())
    assert (tmp_path / "file").read_text() == ""


def test_two_sets_of_documents_share_no_versions_and_their_order_is_none(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"

    assert directory_of(tmp_path, [one]) != directory_of(tmp_path, [other])
    assert directory_of(tmp_path, [one, other]) == directory_of(tmp_path, [other, one])
    assert directory_of(tmp_path, [one]).parent == tmp_path
