"""The model servers of the tests answer whole and right, and end as KServe's do."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kube import models, sidecars
from tests.kube.models import head, message, predicted, word

PREDICT = "POST /v1/models/m:predict"


@contextmanager
def running(*flags: str, program=models, first: tuple[str, ...] | None = None):
    """Run one, and give its process and port."""
    own = first or ("--host=127.0.0.1", "--http_port=0", "--model_name=m")
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", program.__file__, *own, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"POD_NAME": "pod-1"},
    )
    try:
        line = child.stdout.readline().split()
        assert line, child.communicate()[1]
        yield child, int(line[-1])
    finally:
        child.kill()
        child.communicate(timeout=10)


class Ask:
    """A connection to one."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, line, body=None, **headers):
        data = json.dumps(body or {}).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.writer.write(head(f"{line} HTTP/1.1", told, data))

    async def read(self):
        line, headers, body = await message(self.reader)
        text = body.decode()
        json_ = headers["content-type"].startswith("application/json")
        return int(line.split()[1]), headers, json.loads(text) if json_ else text

    async def ask(self, line, body=None, **headers):
        self.send(line, body, **headers)
        return await self.read()


def bounded(scene):
    async def whole():
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(whole())


def test_every_answer_names_the_request_and_the_pod():
    async def scene(port):
        one = await Ask.to(port)
        body = {"id": "7", "instances": [[1, 2], 3], "size": 9}
        status, _, said = await one.ask(PREDICT, body)
        assert (status, said["id"], said["pod"]) == (200, "7", "pod-1")
        assert said["predictions"] == [predicted([1, 2]), predicted(3)] == [7, 7]
        assert said["padding"] == "x" * 9

        inputs = [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 2]}]
        line = "POST /v2/models/m/infer"
        status, _, said = await one.ask(line, {"inputs": inputs}, x_request_id="8")
        assert (status, said["id"], said["outputs"][0]["data"]) == (200, "8", [7])

        assert (await one.ask("POST /v1/models/other:predict", body))[0] == 404
        assert (await one.ask(PREDICT, {"instances": "?"}))[0] == 400
        for path in ("/v1/models", "/v1/models/m", "/v2", "/v2/health/ready"):
            assert (await one.ask(f"GET {path}"))[0] == 200
        one.writer.close()

    with running() as (_, port):
        bounded(lambda: scene(port))


def test_a_stream_is_numbered_events_and_an_end():
    async def scene(port):
        one = await Ask.to(port)
        body = {"id": "9", "stream": True, "n": 3}
        status, headers, text = await one.ask("POST /v1/chat/completions", body)
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        *events, end = [each.removeprefix("data: ") for each in text.split("\n\n")[:-1]]
        assert end == "[DONE]"
        told = [json.loads(each)["choices"][0]["delta"]["content"] for each in events]
        assert told == [word("9", index) for index in range(3)]
        one.writer.close()

    with running("--engine=vllm") as (_, port):
        bounded(lambda: scene(port))


def test_the_model_is_ready_later_than_the_port_opens():
    async def scene(port):
        one = await Ask.to(port)
        assert (await one.ask("GET /v2/health/live"))[0] == 200
        assert (await one.ask("GET /v1/models/m"))[0] == 503
        assert (await one.ask("GET /v2/models/m/ready"))[0] == 503
        assert (await one.ask(PREDICT, {"instances": [1]}))[0] == 503
        one.writer.close()

    with running("--start_s=60") as (_, port):
        bounded(lambda: scene(port))


def test_late_opens_the_port_of_a_model_that_is_ready():
    async def scene(port):
        one = await Ask.to(port)
        assert (await one.ask("GET /v1/models/m"))[0] == 200
        one.writer.close()

    with running("--late", "--start_s=0.1") as (_, port):
        bounded(lambda: scene(port))


@pytest.mark.parametrize(
    ("engine", "busy", "waits"),
    [
        (
            "vllm",
            'vllm:num_requests_running{engine="0",model_name="m"} 1.0',
            'vllm:num_requests_waiting{engine="0",model_name="m"} 1.0',
        ),
        (
            "triton",
            'nv_inference_request_success{model="m",version="1"} 0',
            'nv_inference_pending_request_count{model="m",version="1"} 1',
        ),
        (
            "kserve",
            'request_predict_seconds_count{model_name="m"} 0.0',
            "# TYPE request_predict_seconds histogram",
        ),
    ],
)
def test_metrics_are_in_the_engines_own_words(engine, busy, waits):
    async def scene(port):
        one, two, look = [await Ask.to(port) for _ in range(3)]
        one.send(PREDICT, {"instances": [1]})
        two.send(PREDICT, {"instances": [1]})
        while True:
            _, headers, text = await look.ask("GET /metrics")
            if busy in text and waits in text:
                break
        assert headers["content-type"].startswith("text/plain")
        for each in (one, two, look):
            each.writer.close()

    with running(f"--engine={engine}", "--slots=1", "--latency_s=60") as (_, port):
        bounded(lambda: scene(port))


def test_triton_has_a_port_for_its_metrics_alone(free_port):
    async def scene(port):
        one, look = await Ask.to(port), await Ask.to(free_port)
        assert (await one.ask("GET /metrics"))[0] == 404
        assert (await look.ask("GET /v2"))[0] == 404
        assert "nv_inference" in (await look.ask("GET /metrics"))[2]
        for each in (one, look):
            each.writer.close()

    with running("--engine=triton", f"--metrics_port={free_port}") as (_, port):
        bounded(lambda: scene(port))


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_on_sigterm_what_is_in_flight_ends_and_new_connections_are_refused():
    async def scene(child, port):
        idle, busy = await Ask.to(port), await Ask.to(port)
        await idle.ask("GET /v2")
        busy.send("POST /v1/chat/completions", {"stream": True, "n": 50, "gap_s": 0.02})
        await busy.reader.readuntil(b"\r\n\r\n")

        child.send_signal(signal.SIGTERM)

        assert await idle.reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await Ask.to(port)
        assert (await busy.reader.read()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        for each in (idle, busy):
            each.writer.close()
        assert await asyncio.to_thread(child.wait, 10) == 0

    with running() as (child, port):
        bounded(lambda: scene(child, port))


def test_it_crashes_on_demand_with_last_words():
    async def scene(child, port):
        one = await Ask.to(port)
        one.send("POST /crash", {"code": 42, "words": "CUDA out of memory"})
        assert await one.reader.read() == b""
        one.writer.close()
        assert await asyncio.to_thread(child.wait, 10) == 42

    with running() as (child, port):
        bounded(lambda: scene(child, port))
        assert child.stderr.read() == b"CUDA out of memory\n"


def test_it_crashes_by_itself_where_it_is_told_to():
    with running("--crash_after_s=0", "--crash_code=3") as (child, _):
        assert child.wait(10) == 3


def test_a_transformer_asks_its_predictor_by_an_agent():
    async def scene(port):
        one = await Ask.to(port)
        status, _, said = await one.ask(PREDICT, {"id": "1", "instances": [2]})
        assert (status, said["predictions"], said["predictor"]) == (200, [5], "pod-1")
        one.writer.close()

    with (
        running() as (_, port),
        running(
            program=sidecars, first=("agent", "0", str(port), "127.0.0.1")
        ) as agent,
        running(f"--predictor_host=127.0.0.1:{agent[1]}") as (_, top),
    ):
        bounded(lambda: scene(top))


def test_options_of_the_engines_are_taken():
    given = models.parsed(
        ["--served-model-name=a", "--port=1", "--model-store=/mnt/models"]
    )

    assert (given.model_name, given.http_port) == ("a", 1)


def test_the_initializer_writes_the_model_or_says_why_not(tmp_path: Path):
    sidecars.fetch("s3://models/clf", tmp_path / "models")

    assert json.loads((tmp_path / "models/model.json").read_text()) == {
        "uri": "s3://models/clf"
    }
    with pytest.raises(SystemExit, match="No model found in s3://a/fail/x"):
        sidecars.fetch("s3://a/fail/x", tmp_path)
