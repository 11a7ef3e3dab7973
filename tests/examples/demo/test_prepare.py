"""The demo's models: made once, whole, and right."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.interop.needs import PYTHON, ROOT, needs_models

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_models]

PREPARE = ROOT / "examples/demo/prepare.py"


def prepare(target):
    return subprocess.run(
        [PYTHON, PREPARE, target], capture_output=True, text=True, check=True
    ).stdout


def test_what_lacks_is_made_and_what_is_there_stays(tmp_path):
    (tmp_path / "gemma").mkdir()  # A quarter of a gigabyte that need not be copied.
    (tmp_path / "texts-1.part").mkdir()
    (tmp_path / "texts-1.part" / "model.joblib").write_text("half, from a power cut")

    assert prepare(tmp_path) == "made iris\nmade texts-1\nmade texts-2\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "gemma", "iris", "texts-1", "texts-2",
    ]  # fmt: skip
    assert list((tmp_path / "gemma").iterdir()) == []
    about = json.loads((tmp_path / "texts-2" / "labels.json").read_text())
    assert about == {"version": "2", "labels": ["cooking", "sport", "weather"]}
    assert prepare(tmp_path) == ""
