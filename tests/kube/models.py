"""Model servers that pods of the tests run, on the standard library alone.

    python models.py --engine=kserve|vllm|triton --model_name=N --http_port=8080
        [--start_s=S] [--late] [--latency_s=S] [--slots=N] [--metrics_port=P]
        [--term=kserve|ignore|abrupt] [--crash_after_s=S --crash_code=C --words=W]
        [--predictor_host=H]

It speaks V1, V2 and OpenAI's protocol; each answer names the request and the pod.  Its
port opens at once and its model is ready after --start_s; --late opens the port only
then, as KServe's SDK does.  On SIGTERM it refuses new connections at once, closes idle
ones and ends when what is in flight has its answer.  POST /crash {"code", "words"} ends it
with last words.  A request may say how long it takes: X-Latency-S, or gap_s in a stream.
With --predictor_host it is a transformer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

LONGEST_S = 600.0
PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}


def predicted(instance: Any) -> float:
    """Return the prediction that every model here makes.

    >>> predicted([1, [2, 3]])
    13.0
    """
    return 2 * total(instance) + 1


def total(value: Any) -> float:
    return sum(map(total, value)) if isinstance(value, list) else float(value)


def word(request: str, index: int) -> str:
    """Return one event's text in the stream that answers *request*."""
    return f"{request}/{index} "


class Answer:
    """What a request gets: a status and a body, or a stream of events."""

    def __init__(
        self, body: Any, status: int = 200, stream: AsyncIterator[Any] | None = None
    ) -> None:
        self.status, self.stream = status, stream
        self.kind = (
            "text/plain; version=0.0.4" if isinstance(body, str) else "application/json"
        )
        self.body = (body if isinstance(body, str) else json.dumps(body)).encode()


class Model:
    """One model in one pod: what it answers, and what it counts."""

    def __init__(self, options: argparse.Namespace, pod: str) -> None:
        self.options, self.pod, self.name = options, pod, options.model_name
        self.running = self.waiting = self.done = 0
        self.seconds = self.queued = 0.0
        self.ready = False
        self._slots = asyncio.Semaphore(options.slots or 1 << 30)

    async def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer one request; whatever is wrong with it is said."""
        path = path.partition("?")[0]
        try:
            return await (
                self._post(path, headers, json.loads(body or b"{}"))
                if method == "POST"
                else self._get(path)
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Answer({"error": f"{type(error).__name__}: {error}"}, 400)

    async def scraped(self, _: str, path: str, *rest: object) -> Answer:
        """Answer at a port of the metrics' own."""
        found = path == "/metrics"
        return Answer(self.metrics() if found else "", 200 if found else 404)

    async def _get(self, path: str) -> Answer:
        one, two = f"/v1/models/{self.name}", f"/v2/models/{self.name}"
        state = {"name": self.name, "ready": self.ready, "pod": self.pod}
        status = 200 if self.ready else 503
        if path in ("/", "/v2", "/v2/health/live", "/healthz"):
            return Answer({"live": True, "name": self.options.engine, "pod": self.pod})
        if path in ("/v1/models", "/openai/v1/models"):
            listed = [{"id": self.name, "object": "model"}] if self.ready else []
            return Answer({"models": [self.name], "data": listed, "pod": self.pod})
        if path in (one, two, f"{two}/ready", "/v2/health/ready"):
            return Answer(state, status)
        if path == "/metrics" and not self.options.metrics_port:
            return Answer(self.metrics())
        return Answer({"error": f"no {path} here", "pod": self.pod}, 404)

    async def _post(self, path: str, headers: Mapping[str, str], asked: Any) -> Answer:
        if path == "/crash":
            print(asked.get("words", "crashed on demand"), file=sys.stderr, flush=True)
            os._exit(int(asked.get("code", 1)))
        if not self.ready:
            return Answer(
                {"error": f"model {self.name} is not ready", "pod": self.pod}, 503
            )
        latency_s = float(headers.get("x-latency-s", self.options.latency_s))
        request = str(asked.get("id") or headers.get("x-request-id", ""))
        about = {"id": request, "pod": self.pod, "model": self.name}
        if path.endswith(("/chat/completions", "/v1/completions")):
            if asked.get("stream"):
                return Answer("", stream=self._stream(asked, about, latency_s))
            await self._work(latency_s)
            text = "".join(word(request, i) for i in range(int(asked.get("n", 5))))
            return Answer(about | {"choices": [{"message": {"content": text}}]})
        named = (
            path.rpartition("/models/")[2].rpartition("/infer")[0]
            or (path.rpartition("/models/")[2].rpartition(":")[0])
        )
        if named != self.name:
            return Answer({"error": f"no {path} here", "pod": self.pod}, 404)
        if self.options.predictor_host:
            return await self._transform(path, headers, asked, about)
        await self._work(latency_s)
        padding = {"padding": "x" * int(asked.get("size", 0))}
        if path.endswith("/infer"):
            outputs = [
                {
                    "name": "sum",
                    "datatype": "FP64",
                    "shape": [1],
                    "data": [predicted(each["data"])],
                }
                for each in asked["inputs"]
            ]
            more = {"model_name": self.name, "outputs": outputs}
            return Answer(about | more | padding)
        predictions = [predicted(each) for each in asked["instances"]]
        return Answer(about | {"predictions": predictions} | padding)

    async def _work(self, latency_s: float) -> None:
        """Be busy for a while, in a slot."""
        came = time.monotonic()
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        began = time.monotonic()
        self.running += 1
        try:
            await asyncio.sleep(latency_s)
        finally:
            self.running -= 1
            self._slots.release()
            self.done += 1
            self.seconds += time.monotonic() - began
            self.queued += began - came

    async def _stream(
        self, asked: Any, about: Mapping[str, Any], latency_s: float
    ) -> AsyncIterator[Any]:
        gap_s = float(asked.get("gap_s", 0.0))
        await self._work(latency_s)
        self.running += 1
        try:
            for index in range(int(asked.get("n", 5))):
                text = word(str(about["id"]), index)
                yield {
                    **about,
                    "index": index,
                    "choices": [{"delta": {"content": text}}],
                }
                await asyncio.sleep(gap_s)
        finally:
            self.running -= 1

    async def _transform(
        self, path: str, headers: Mapping[str, str], asked: Any, about: dict[str, Any]
    ) -> Answer:
        """Ask the predictor the same, and put its answer into ours."""
        host, _, port = self.options.predictor_host.partition(":")
        kept = {name: headers[name] for name in headers if name.startswith("x-")}
        async with asyncio.timeout(LONGEST_S):
            reader, writer = await asyncio.open_connection(host, int(port or 80))
            try:
                told = {"host": host, "connection": "close", **kept}
                writer.write(
                    head(f"POST {path} HTTP/1.1", told, json.dumps(asked).encode())
                )
                line, said, body = await message(reader)
            finally:
                writer.close()
        status = int(line.split()[1])
        inner = json.loads(body) if "json" in said.get("content-type", "") else {}
        return Answer(inner | about | {"predictor": inner.get("pod", "")}, status)

    def metrics(self) -> str:
        """Return what this engine's /metrics says, as far as anybody scales on it."""
        label = f'model_name="{self.name}"'
        if self.options.engine == "vllm":
            lines = [
                "# TYPE vllm:num_requests_running gauge",
                f'vllm:num_requests_running{{engine="0",{label}}} {self.running:.1f}',
                "# TYPE vllm:num_requests_waiting gauge",
                f'vllm:num_requests_waiting{{engine="0",{label}}} {self.waiting:.1f}',
                "# TYPE vllm:kv_cache_usage_perc gauge",
                f'vllm:kv_cache_usage_perc{{engine="0",{label}}} 0.0',
                "# TYPE vllm:request_success_total counter",
                f'vllm:request_success_total{{finished_reason="stop",{label}}} {self.done:.1f}',
            ]
        elif self.options.engine == "triton":
            label = f'{{model="{self.name}",version="1"}}'
            lines = [
                "# TYPE nv_inference_request_success counter",
                f"nv_inference_request_success{label} {self.done}",
                "# TYPE nv_inference_request_failure counter",
                f"nv_inference_request_failure{label} 0",
                "# TYPE nv_inference_exec_count counter",
                f"nv_inference_exec_count{label} {self.done}",
                "# TYPE nv_inference_request_duration_us counter",
                f"nv_inference_request_duration_us{label} "
                f"{round((self.seconds + self.queued) * 1e6)}",
                "# TYPE nv_inference_queue_duration_us counter",
                f"nv_inference_queue_duration_us{label} {round(self.queued * 1e6)}",
                "# TYPE nv_inference_pending_request_count gauge",
                f"nv_inference_pending_request_count{label} {self.waiting}",
            ]
        else:
            lines = []
            for step in ("preprocess", "predict", "postprocess", "explain"):
                seconds = self.seconds if step == "predict" else 0.0
                done = self.done if step != "explain" else 0
                name = f"request_{step}_seconds"
                lines += [
                    f"# TYPE {name} histogram",
                    f'{name}_bucket{{le="+Inf",{label}}} {done:.1f}',
                    f"{name}_count{{{label}}} {done:.1f}",
                    f"{name}_sum{{{label}}} {seconds}",
                ]
        return "\n".join(lines) + "\n"


def head(line: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Return the bytes of a message; a body of None comes in chunks later."""
    framing = (
        f"content-length: {len(body)}"
        if body is not None
        else "transfer-encoding: chunked"
    )
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line}\r\n{told}{framing}\r\n\r\n".encode() + (body or b"")


async def message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Read a request or an answer: its first line, its fields and its body."""
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = raw[:-4].split("\r\n")
    pairs = (each.partition(":") for each in fields)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "chunked" not in headers.get("transfer-encoding", ""):
        size = int(headers.get("content-length", 0))
        return line, headers, await reader.readexactly(size)
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return line, headers, body


Answering = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]


class Server:
    """Connections to a model, and their end."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self._idle: set[asyncio.StreamWriter] = set()
        self._busy = 0
        self._ending = False
        self.ended = asyncio.Event()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer what comes on one connection, one after the other."""
        try:
            while not self._ending:
                self._idle.add(writer)
                line, headers, body = await message(reader)
                self._idle.discard(writer)
                self._busy += 1
                try:
                    method, path, _ = line.split(" ")
                    answer = await self._answer(method, path, headers, body)
                    await self._give(writer, answer)
                finally:
                    self._busy -= 1
                if "close" in headers.get("connection", "").lower():
                    break
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            OSError,
            ValueError,
        ):
            pass
        finally:
            self._idle.discard(writer)
            writer.close()
            self._look()

    async def _give(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        phrase = f"HTTP/1.1 {answer.status} {PHRASES[answer.status]}"
        last = {"connection": "close"} if self._ending else {}
        if answer.stream is None:
            told = {"content-type": answer.kind, **last}
            writer.write(head(phrase, told, answer.body))
            await writer.drain()
            return
        writer.write(head(phrase, {"content-type": "text/event-stream", **last}, None))
        async for event in answer.stream:
            self._chunk(writer, json.dumps(event))
            await writer.drain()
        self._chunk(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _chunk(self, writer: asyncio.StreamWriter, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        """Close what is idle; `ended` once what is in flight has its answer."""
        self._ending = True
        for writer in self._idle:
            writer.close()
        self._look()

    def _look(self) -> None:
        if self._ending and not self._busy:
            self.ended.set()


async def run_model(options: argparse.Namespace) -> None:
    """Load for a while, serve until SIGTERM."""
    pod = (
        os.environ.get("POD_NAME") or os.environ.get("HOSTNAME") or socket.gethostname()
    )
    model, stop = Model(options, pod), asyncio.Event()
    loop = asyncio.get_running_loop()
    if options.term != "abrupt":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = Server(model.answer)
    if options.late:
        await asyncio.sleep(options.start_s)
        model.ready = True
    listener = await asyncio.start_server(
        server.serve, options.host or None, options.http_port
    )
    listeners = [listener]
    if options.metrics_port:
        other = Server(model.scraped)
        given = options.host or None, options.metrics_port
        listeners.append(await asyncio.start_server(other.serve, *given))
    numbers = sorted({each.getsockname()[1] for each in listener.sockets})
    print(f"listening on {numbers[0]}", flush=True)
    if not options.late:
        loop.call_later(options.start_s, setattr, model, "ready", True)
    if options.crash_after_s is not None:
        loop.call_later(options.crash_after_s, _crash, options)
    await stop.wait()
    if options.term == "ignore":
        await asyncio.Event().wait()
    for each in listeners:
        each.close()
    server.end()
    await server.ended.wait()


def _crash(options: argparse.Namespace) -> None:
    print(options.words, file=sys.stderr, flush=True)
    os._exit(options.crash_code)


def parsed(words: list[str]) -> argparse.Namespace:
    """Return the options; what engines have and models do not is let go."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    engines = ("kserve", "vllm", "triton")
    parser.add_argument("--engine", choices=engines, default="kserve")
    names = ("--model_name", "--served-model-name")
    parser.add_argument(
        *names, default=os.environ.get("INFERENCE_SERVICE_NAME", "model")
    )
    ports = ("--http_port", "--http-port", "--port")
    parser.add_argument(*ports, type=int, default=8080)
    for name in ("metrics_port", "slots"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("start_s", "latency_s"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--crash_after_s", type=float)
    parser.add_argument("--crash_code", type=int, default=1)
    parser.add_argument("--words", default="crashed after a while, as it was told")
    parser.add_argument("--late", action="store_true")
    parser.add_argument(
        "--term", choices=("kserve", "ignore", "abrupt"), default="kserve"
    )
    for name in ("host", "predictor_host"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_known_args(words)[0]


if __name__ == "__main__":
    asyncio.run(run_model(parsed(sys.argv[1:])))
