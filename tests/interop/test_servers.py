"""Real model servers sleep, wake and serve, and are asked by the clients people use."""

from __future__ import annotations

import json
import signal

import pytest

from tests.interop.needs import (
    CLIENTS,
    KSERVE,
    MLSERVER,
    needs_clients,
    needs_kserve,
    needs_mlserver,
    needs_models,
)
from tests.interop.up import DEMO, DOCUMENTS, program, up

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_models]

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]

TRITON = """
import sys
import numpy
from tritonclient.http import InferenceServerClient, InferInput
port, name = sys.argv[1:]
client = InferenceServerClient(f"127.0.0.1:{port}/serving/default/{name}")
rows = InferInput("rows", [2, 4], "FP64")
rows.set_data_from_numpy(
    numpy.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]), binary_data=False
)
answer = client.infer(name, [rows])
(output,) = answer.get_response()["outputs"]
print(answer.as_numpy(output["name"]).ravel().tolist())
client.close()
"""

REST = """
import asyncio, sys
from kserve import InferenceRESTClient, RESTConfig
port, name, protocol = sys.argv[1:]
async def main():
    client = InferenceRESTClient(RESTConfig(protocol=protocol, timeout=60))
    answer = await client.infer(
        f"http://127.0.0.1:{port}",
        {"instances": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]},
        headers={"Host": f"{name}-default.localhost", "Content-Type": "application/json"},
        model_name=name,
    )
    print(answer["predictions"])
    await client.close()
asyncio.run(main())
"""

OPENAI = """
import sys
from openai import OpenAI
client = OpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}/v1", api_key="none", max_retries=0)
assert "llm-server" in [each.id for each in client.models.list()]
chunks = client.chat.completions.create(
    model="llm-server", max_tokens=24, temperature=0, stream=True,
    messages=[{"role": "user", "content": "What is the capital of France?"}],
)
texts = [each.choices[0].delta.content or "" for each in chunks if each.choices]
assert len([each for each in texts if each]) > 1, texts
print("".join(texts))
"""


def curl(port, host, path, body, *more):
    """Ask as people do in guides; .localhost is this machine to curl itself."""
    return program(
        "curl", "-sS", "--fail-with-body", "--max-time", "60", *more,
        "-H", "Content-Type: application/json", "-d", json.dumps(body),
        f"http://{host}.localhost:{port}{path}",
    )  # fmt: skip


@needs_mlserver
@needs_clients
def test_mlserver_wakes_serves_and_sleeps(tmp_path):
    rows = {"name": "rows", "datatype": "FP64", "shape": [2, 4]}
    asked = {"inputs": [{**rows, "data": [SETOSA, VIRGINICA]}]}

    with up(DOCUMENTS / "mlserver.yaml", state=tmp_path, path=MLSERVER) as machine:
        assert machine.replicas() == []
        answer = json.loads(
            curl(
                machine.port, "iris-mlserver-default",
                "/v2/models/iris-mlserver/infer", asked,
            )
        )  # fmt: skip
        assert answer["outputs"][0]["data"] == [0, 2]
        triton = program(
            CLIENTS / "python", "-c", TRITON, machine.port, "iris-mlserver"
        )
        assert triton == "[0, 2]\n"
        machine.until("asleep revision=default/iris-mlserver-predictor-00001")
        assert machine.replicas() == []
        assert machine.end(signal.SIGTERM) == 0


@needs_kserve
def test_kserves_own_server_wakes_serves_and_sleeps(tmp_path):
    with up(DOCUMENTS / "kserve.yaml", state=tmp_path) as machine:
        assert machine.replicas() == []
        said = program(KSERVE / "python", "-c", REST, machine.port, "iris-kserve", "v1")
        assert said == "[0, 2]\n"
        answer = curl(
            machine.port, "iris-kserve-default",
            "/v1/models/iris-kserve:predict", {"instances": [SETOSA, VIRGINICA]},
        )  # fmt: skip
        assert json.loads(answer) == {"predictions": [0, 2]}
        machine.until("asleep revision=default/iris-kserve-predictor-00001")
        assert machine.replicas() == []
        assert machine.end(signal.SIGTERM) == 0


@needs_clients
def test_llama_cpp_wakes_streams_and_sleeps(tmp_path):
    documents = (DEMO / "llm-server.yaml", DEMO / "runtimes.yaml")

    with up(*documents, state=tmp_path) as machine:
        assert machine.replicas() == []
        said = program(CLIENTS / "python", "-c", OPENAI, machine.port)
        assert "Paris" in said
        streamed = curl(
            machine.port, "llm-server-default", "/v1/chat/completions",
            {
                "model": "llm-server", "stream": True, "max_tokens": 4,
                "messages": [{"role": "user", "content": "Say something."}],
            },
            "-N",
        )  # fmt: skip
        events = [line for line in streamed.split("\n") if line]
        assert all(each.startswith("data: ") for each in events)
        assert events[-1] == "data: [DONE]"
        machine.until("asleep revision=default/llm-server-predictor-00001")
        assert machine.replicas() == []
        assert machine.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_fromzero(number, tmp_path):
    documents = (DEMO / "sklearn-iris.yaml", DEMO / "runtimes.yaml")

    with up(*documents, state=tmp_path) as machine:
        answer = curl(
            machine.port, "sklearn-iris-production",
            "/v1/models/sklearn-iris:predict", {"instances": [SETOSA, VIRGINICA]},
        )  # fmt: skip
        assert json.loads(answer)["predictions"] == ["setosa", "virginica"]
        assert any("sklearn_server.py" in each for each in machine.replicas())
        status = machine.end(number)
        assert status == (-number if number == signal.SIGKILL else 0)
