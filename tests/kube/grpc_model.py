"""A model server that speaks gRPC, with a page of gauges beside it.

    python grpc_model.py GRPC_PORT METRICS_PORT

`/inference.Model/Predict` answers what it is asked after "predicted "; what it is asked as
`wait S` takes S seconds.  On SIGTERM it takes no new calls, and ends with the last.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

PREDICT = "Predict"
SERVICE = "inference.Model"
running = 0


def predict(request: bytes, context: grpc.ServicerContext) -> bytes:
    global running
    running += 1
    try:
        if request.startswith(b"wait "):
            time.sleep(float(request.removeprefix(b"wait ")))
    finally:
        running -= 1
    return b"predicted " + request


class Page(BaseHTTPRequestHandler):
    """The gauges of vLLM, as the one kind that nobody has to explain."""

    def do_GET(self) -> None:
        label = 'engine="0",model_name="grpc"'
        body = (
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{label}}} {running}.0\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            f"vllm:num_requests_waiting{{{label}}} 0.0\n"
            "# TYPE vllm:request_success_total counter\n"
            f'vllm:request_success_total{{finished_reason="stop",{label}}} 0.0\n'
        ).encode()
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(port: int, metrics: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    page = ThreadingHTTPServer(("", metrics), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        handler = grpc.unary_unary_rpc_method_handler(predict)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {PREDICT: handler}),)
        )
        server.add_insecure_port(f"[::]:{port}")
        server.start()
        print(f"listening on {port}", flush=True)
        stop.wait()
        server.stop(30).wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
