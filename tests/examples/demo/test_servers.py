"""The demo's own model servers, as processes, and what their models know."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest

from tests.interop.needs import MODELS, PYTHON, ROOT, needs_models

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_models]

SERVERS = ROOT / "examples/demo/servers"
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]
LIMIT_S = 60


@contextmanager
def server(program, model, *more):
    """Run a server until it serves; give a function that asks it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            PYTHON, SERVERS / program, "--model_name=m",
            f"--model_dir={MODELS / model}", f"--http_port={port}", *more,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    try:
        assert any("serving" in line or "listening" in line for line in process.stdout)
        yield ask
        process.terminate()
        process.stdout.read()
        assert process.wait() == 0
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def iris():
    with server("sklearn_server.py", "iris") as ask:
        yield lambda *given, **headers: (
            lambda status, text: (status, json.loads(text))
        )(*ask(*given, **headers))


def test_v1_answers_with_labels(iris):
    body = {"instances": [SETOSA, VIRGINICA]}

    assert iris("POST", "/v1/models/m:predict", body) == (
        200,
        {"predictions": ["setosa", "virginica"], "model_version": "1"},
    )


@pytest.mark.parametrize("data", [[SETOSA, VIRGINICA], [*SETOSA, *VIRGINICA]])
def test_v2_answers_whether_its_rows_are_flat_or_not(iris, data):
    tensor = {"name": "rows", "datatype": "FP64", "shape": [2, 4], "data": data}
    status, answer = iris("POST", "/v2/models/m/infer", {"id": "7", "inputs": [tensor]})

    assert status == 200
    assert (answer["id"], answer["model_name"]) == ("7", "m")
    assert answer["outputs"] == [
        {
            "name": "label",
            "datatype": "BYTES",
            "shape": [2],
            "data": ["setosa", "virginica"],
        }
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models", "/v1/models/m", "/v2/health/live", "/v2/health/ready",
        "/v2/models/m", "/v2/models/m/ready",
    ],
)  # fmt: skip
def test_it_says_that_it_is_there(iris, path):
    assert iris("GET", path)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/m:predict", b"no json", 400),
        ("/v1/models/m:predict", [], 400),
        ("/v1/models/m:predict", {"instances": []}, 400),
        ("/v1/models/m:predict", {"instances": [[1, 2]]}, 400),
        ("/v1/models/m:predict", {"instances": ["rain"]}, 400),
        ("/v2/models/m/infer", {"inputs": [{"data": SETOSA, "shape": [1, 0]}]}, 400),
        ("/v2/models/m/infer", {"inputs": [{"data": SETOSA, "shape": [1, 3]}]}, 400),
        ("/v2/models/m/infer", {"inputs": [{"data": SETOSA, "shape": 4}]}, 400),
        ("/v2/models/m/infer", {"inputs": [7]}, 400),
        ("/v1/models/other:predict", {"instances": [SETOSA]}, 404),
    ],
)
def test_what_it_cannot_use_it_refuses_with_a_reason(iris, path, body, status):
    found, answer = iris("POST", path, body)

    assert found == status
    assert answer["error"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_texts_know_their_subjects(version):
    body = {
        "instances": [
            "fry the onions in oil and add salt",
            "the striker missed a goal in the second half",
            "rain and wind from the north tomorrow",
        ]
    }

    with server("sklearn_server.py", f"texts-{version}") as ask:
        status, text = ask("POST", "/v1/models/m:predict", body)
        assert (status, json.loads(text)) == (
            200,
            {
                "predictions": ["cooking", "sport", "weather"],
                "model_version": version,
            },
        )
        assert ask("POST", "/v1/models/m:predict", {"instances": [[1, 2]]})[0] == 400


def test_the_language_model_answers_questions_and_streams():
    template = f"--chat_template={SERVERS / 'questions.jinja'}"
    asked = {
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 8,
        "temperature": 0,
    }

    with server("llama_server.py", "gemma", template) as ask:
        status, text = ask("POST", "/v1/chat/completions", asked)
        assert status == 200
        answer = json.loads(text)
        assert "Paris" in answer["choices"][0]["message"]["content"]
        assert answer["model"] == "m"
        status, text = ask("POST", "/v1/chat/completions", {**asked, "stream": True})
        assert status == 200
        assert text.count("data: ") > 3
        assert text.rstrip().endswith("data: [DONE]")
        assert "llamacpp:requests_processing" in ask("GET", "/metrics")[1]


def test_a_directory_without_a_model_says_so(tmp_path):
    done = subprocess.run(
        [
            PYTHON, SERVERS / "llama_server.py", "--model_name=m",
            f"--model_dir={tmp_path}", "--http_port=1",
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert f"there is no .gguf file in {tmp_path}" in done.stderr
