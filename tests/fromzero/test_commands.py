"""The commands as somebody types them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from autoscaler import answers
from fromzero import __version__
from tests.fakes.known import ASLEEP, IRIS

VECTORS = Path(__file__).parent.parent / "vectors"
COMMANDS = (
    "up", "check", "status", "explain", "wake", "sleep", "pin", "unpin", "replay",
    "demo", "version",
)  # fmt: skip


def fromzero(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fromzero", *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environ},
    )


@contextmanager
def admin_port():
    """Answer as the admin port of a machine with one revision does."""
    revision = answers.revision(ASLEEP)
    given = {
        ("GET", "/status"): {"revisions": [revision]},
        ("GET", f"/explain/{IRIS}"): revision | {"moments": [], "logs": []},
        ("POST", f"/pin/{IRIS}"): revision | {"state": "starting", "reason": "pinned"},
    }

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = json.dumps(given[self.command, self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield str(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def test_version_says_which_it_is():
    assert fromzero("version").stdout.startswith(f"fromzero {__version__} (Python 3")


def test_help_names_every_command():
    said = fromzero("--help").stdout

    assert [name for name in COMMANDS if f"\n  {name} " not in said] == []


def test_status_is_the_admin_ports_json():
    with admin_port() as port:
        done = fromzero("status", "--json", "--admin-port", port)

    (revision,) = json.loads(done.stdout)["revisions"]
    assert (revision["name"], revision["state"]) == (IRIS.name, "asleep")


def test_status_is_a_table_for_people_and_the_port_may_come_from_the_environment():
    with admin_port() as port:
        done = fromzero("status", FROMZERO_ADMIN_PORT=port)

    (row,) = [line for line in done.stdout.splitlines() if str(IRIS) in line]
    assert row.split()[:2] == [str(IRIS), "asleep"]
    assert row.rstrip().endswith("idle for 60 s")


def test_explain_says_why():
    with admin_port() as port:
        done = fromzero("explain", IRIS.name, "--admin-port", port)

    assert done.stdout.startswith(f"{IRIS} is asleep: idle for 60 s\n")


def test_an_order_says_what_came_of_it():
    with admin_port() as port:
        done = fromzero("pin", "iris", "--admin-port", port)

    assert done.stdout == f"{IRIS} is starting: pinned\n"


def test_recorded_decisions_that_agree_are_counted():
    done = fromzero("replay", str(VECTORS / "kpa_decisions.jsonl.gz"))

    assert done.stdout.splitlines()[-1] == "24920 decisions, 0 differ"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(
            ("status", "--admin-port", "1"),
            "no fromzero answers on 127.0.0.1:1 (connection refused): start one",
            id="nobody answers",
        ),
        pytest.param(
            ("replay", "no-such-file"), "no-such-file: cannot be read", id="no file"
        ),
        pytest.param(("wake",), "Missing argument 'NAME'", id="an argument is missing"),
        pytest.param(
            ("release",),
            "release needs NAME, or --all for every revision",
            id="nothing to release is named",
        ),
        pytest.param(("no",), "No such command 'no'", id="no such command"),
        pytest.param(
            ("status", "--admin-port", "99999"),
            "--admin-port = 99999, must be a whole number in [0, 65535]",
            id="a wrong port",
        ),
        pytest.param(
            ("status", "--config", "no-such-file"),
            "no-such-file: is not there",
            id="a configuration that is not there",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_with_exit_status_2(args, said):
    done = fromzero(*args)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_error_to_speak_of():
    command = [sys.executable, "-m", "fromzero", "replay"]
    path = str(VECTORS / "kpa_decisions.jsonl.gz")
    reader = subprocess.Popen(
        [*command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.close()

    said = reader.stderr.read()
    reader.stderr.close()

    assert reader.wait(timeout=60) != 0
    assert said == b""
