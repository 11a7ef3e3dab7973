"""A model server that starts at once and does what its requests ask of it.

    python predictor.py --port=N [--version=V] [--fail=STATUS] [--orphan=FILE]
                        [--predictor_host=HOST] [--busy]

GET anything answers with its version and number; `?until=FILE` waits until FILE is
there first; POST gives back the body. --orphan starts a grandchild that has left its
session, and writes its number to FILE. With --predictor_host it is a transformer: what
the predictor answers to the same path is in its own answer. --busy works about half of
the time, whatever is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

LOOK_S = 0.01


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    version = ""
    predictor = ""

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        for name in asked.get("until", []):
            never = threading.Event()
            while not Path(name).exists():
                never.wait(LOOK_S)
        said = {"version": self.version, "pid": os.getpid(), "path": self.path}
        if self.predictor:
            with urlopen(f"http://{self.predictor}{self.path}") as answer:
                said["predictor"] = json.load(answer)
        self.give(json.dumps(said).encode())

    def do_POST(self):
        self.give(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def give(self, body: bytes):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def orphan(path: str) -> None:
    """Fork twice and leave the session, as a daemon does."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    part = Path(f"{path}.part")
    part.write_text(str(os.getpid()))
    part.rename(path)
    while True:
        signal.pause()


def work() -> None:
    never = threading.Event()
    while not never.wait(LOOK_S):
        sum(range(200_000))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--orphan")
    parser.add_argument("--predictor_host", default="")
    parser.add_argument("--busy", action="store_true")
    given, _ = parser.parse_known_args()  # What KServe adds for its own servers.
    if given.fail:
        sys.exit(print("no such model: bert", file=sys.stderr) or given.fail)
    if given.orphan:
        orphan(given.orphan)
    if given.busy:
        threading.Thread(target=work, daemon=True).start()
    Handler.version, Handler.predictor = given.version, given.predictor_host
    server = Server(("127.0.0.1", given.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
