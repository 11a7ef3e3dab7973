from __future__ import annotations

import subprocess
import sys

import pytest

from autoscaler.documents import load
from fromzero.demo import stage
from fromzero.errors import CommandError


def test_the_demos_documents_are_found_beside_the_sources():
    assert (stage.documents() / "text-classifier.yaml").is_file()


def test_a_copy_reads_as_the_original_and_is_gone_afterwards():
    with stage.copied(stage.documents()) as copy:
        ours, theirs = load((copy,)), load((stage.documents(),))

        assert [each.name for each in ours.services] == [
            each.name for each in theirs.services
        ]
        assert ours.problems == ()
        assert (copy / "servers" / "llama_server.py").is_file()

    assert not copy.exists()


def test_the_changed_document_differs_in_its_model_and_its_canary_alone():
    before = (stage.documents() / "text-classifier.yaml").read_text()
    with stage.copied(stage.documents()) as copy:
        stage.canary(copy, 20)
        after = (copy / "text-classifier.yaml").read_text()

        assert load((copy,)).problems == ()
        assert list(copy.glob("*.part")) == []

    lines = set(after.splitlines()) - set(before.splitlines())
    assert sorted(line.strip() for line in lines if "#" not in line) == [
        "canaryTrafficPercent: 20",
        "storageUri: .models/texts-2",
    ]


def test_a_process_that_still_runs_in_the_copy_is_found(tmp_path):
    code = "import sys; print('here', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"

        (found,) = stage.left(tmp_path)

        process.communicate()
    assert found.startswith(f"{process.pid}: {sys.executable} -c import sys")
    assert stage.left(tmp_path) == []


def test_models_that_cannot_be_made_are_said_with_what_to_do(tmp_path):
    (tmp_path / "prepare.py").write_text("raise SystemExit(3)\n")

    with pytest.raises(CommandError, match=r"ended with exit status 3|the demo needs"):
        stage.prepare(tmp_path)
