"""Serve one scikit-learn model over KServe's V1 and V2 protocols.

The directory has model.joblib, and labels.json beside it: the model's version and the
name of each class. The port opens when the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import joblib


class BadRequestError(Exception):
    """What the client sent cannot be predicted on."""


class Model:
    """A fitted estimator with its names."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.estimator = joblib.load(directory / "model.joblib")
        about = json.loads((directory / "labels.json").read_text())
        self.version: str = about["version"]
        self.labels: list[str] = about["labels"]

    def predict(self, rows: list[Any]) -> list[str]:
        """Return the label of each row."""
        if not rows:
            raise BadRequestError("nothing to predict on: give at least one row")
        try:
            classes = self.estimator.predict(rows)
        except (AttributeError, TypeError, ValueError) as error:
            raise BadRequestError(
                f"the model cannot use these rows: {error}"
            ) from error
        return [self.labels[int(each)] for each in classes]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """Return the status and the answer to one request."""
        first, second = f"/v1/models/{self.name}", f"/v2/models/{self.name}"
        if method == "GET":
            known: dict[str, object] = {
                "/v1/models": {"models": [self.name]},
                first: {"name": self.name, "ready": True},
                "/v2/health/live": {"live": True},
                "/v2/health/ready": {"ready": True},
                second: self.about(),
                f"{second}/ready": {"name": self.name, "ready": True},
            }
            return (200, known[path]) if path in known else (404, no(path))
        if method == "POST" and path == f"{first}:predict":
            rows = field(parse(body), "instances")
            answer = {"predictions": self.predict(rows), "model_version": self.version}
            return 200, answer
        if method == "POST" and path == f"{second}/infer":
            return 200, self.infer(parse(body))
        return 404, no(path)

    def about(self) -> dict[str, object]:
        """Return the V2 metadata."""
        return {"name": self.name, "versions": [self.version], "platform": "sklearn"}

    def infer(self, asked: dict[str, Any]) -> dict[str, object]:
        """Return the V2 answer: one input, rows of the shape that it says."""
        tensor = field(asked, "inputs")[0]
        labels = self.predict(rows(field(tensor, "data"), tensor.get("shape")))
        output = {
            "name": "label",
            "datatype": "BYTES",
            "shape": [len(labels)],
            "data": labels,
        }
        return {
            "model_name": self.name,
            "model_version": self.version,
            "id": asked.get("id", ""),
            "outputs": [output],
        }


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object that *body* is."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError("the body must be a JSON object")
    return value


def field(of: Any, name: str) -> list[Any]:
    """Return the list *name* of an object."""
    value = of.get(name) if isinstance(of, dict) else None
    if not isinstance(value, list) or not value:
        raise BadRequestError(f"{name} must be a list with something in it")
    return value


def rows(values: list[Any], shape: object) -> list[Any]:
    """Return the rows of a tensor: V2 may have its data flat, whatever its shape."""
    match shape:
        case [_, int(width)] if not isinstance(values[0], list):
            if width < 1 or len(values) % width:
                raise BadRequestError(f"{len(values)} values are no rows of {width}")
            return [values[at : at + width] for at in range(0, len(values), width)]
        case _:
            return values


def no(path: str) -> dict[str, str]:
    """Return the answer to what is not served."""
    return {"error": f"{path} is not served here"}


def handler(model: Model) -> type[BaseHTTPRequestHandler]:
    """Return a request handler class that answers from *model*."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet each, at once: no delay for the other side's ACK.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.respond(b"")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if length.isdecimal():
                self.respond(self.rfile.read(int(length)))
            else:  # What follows cannot be told from the next request.
                self.close_connection = True
                self.send_error(411)

        def respond(self, body: bytes) -> None:
            try:
                status, value = model.answer(self.command, self.path, body)
            except BadRequestError as error:
                status, value = 400, {"error": str(error)}
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing for each request."""

    return Handler


class Server(ThreadingHTTPServer):
    """One thread for each connection; they end with the process."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Load, listen, serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_name", required=True)
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--http_port", type=int, required=True)
    given = parser.parse_args()
    model = Model(given.model_name, given.model_dir)
    server = Server(("127.0.0.1", given.http_port), handler(model))
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start()
    )
    print(f"serving {model.name} version {model.version}", flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
