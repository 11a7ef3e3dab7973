"""The server on KServe's SDK, run by a Python that has the SDK."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from autoscaler.backends.ports import Ports

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "autoscaler" / "servers" / "kserve_sklearn.py"
_SEPARATE = ROOT / ".venv-kserve" / "bin" / "python"
PYTHON = str(_SEPARATE) if _SEPARATE.exists() else sys.executable
_HERE = _SEPARATE.exists() or find_spec("kserve") is not None
TRAIN = """
import sys, joblib
from sklearn.tree import DecisionTreeClassifier
joblib.dump(DecisionTreeClassifier().fit([[0.0], [5.0]], [6, 7]), sys.argv[1])
"""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.skipif(not _HERE, reason="needs KServe's SDK: make interop"),
]


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Run the server on a model; yield where it answers once it says it listens."""
    port = Ports(offset=os.getpid()).take("sdk")
    command = [PYTHON, str(SERVER), "--model_name=seven", f"--model_dir={directory}"]
    with subprocess.Popen(
        [*command, f"--http_port={port}", "--enable_grpc=false"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            said = []
            for line in process.stdout:
                said.append(line)
                if "running on" in line:
                    break
            else:
                pytest.fail("".join(said))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def ask(url: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, object] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    file = str(directory / "model.joblib")
    subprocess.run([PYTHON, "-c", TRAIN, file], check=True, timeout=120)
    return directory


def test_it_answers_over_v1_and_v2_and_says_that_it_is_ready(model):
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3.0]}
    with serving(model) as url:
        ready = [ask(f"{url}/v1/models/seven"), ask(f"{url}/v2/models/seven/ready")]
        first = ask(f"{url}/v1/models/seven:predict", {"instances": [[3.0]]})
        second = ask(f"{url}/v2/models/seven/infer", {"inputs": [tensor]})
        with pytest.raises(urllib.error.HTTPError) as wrong:
            ask(f"{url}/v1/models/seven:predict", {"instances": [[3.0, 4.0]]})

    assert [each["ready"] for each in ready] == [True, True]
    assert first["predictions"] == [7]
    assert second["outputs"][0]["data"] == [7]
    wrong.value.close()
    assert wrong.value.code == 400


@pytest.mark.parametrize("names", [(), ("a.pkl", "b.joblib")], ids=["none", "two"])
def test_it_ends_with_a_reason_unless_there_is_just_one_model(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    command = [PYTHON, str(SERVER), "--model_name=m", f"--model_dir={tmp_path}"]
    ended = subprocess.run(
        [*command, "--http_port=1"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "must have one file that ends in .joblib, .pkl, .pickle, has " in (
        ended.stderr
    )
