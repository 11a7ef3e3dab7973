"""Models from elsewhere through KServe's own library: a real S3 protocol, and HTTP."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import socket
import subprocess
import tarfile
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from autoscaler.backends.process import Guard
from autoscaler.backends.storage import Absent, StorageSettings, Store
from tests.autoscaler.backends.scene import plain_environ, run
from tests.interop.needs import CLIENTS, MODELS, needs_models, needs_storage
from tests.interop.up import DEMO, DOCUMENTS, up

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_storage]


def fetch(tmp_path, uri, environ):
    """Return what a store answers that has to fetch *uri*."""
    answers = []

    async def scene():
        guard = Guard()
        store = Store(
            StorageSettings(
                cache=tmp_path / "cache",
                environ={**plain_environ(), "HOME": str(tmp_path), **environ},
            ),
            guard,
        )
        done = asyncio.Event()
        assert store.locate(uri) is None
        store.fetch(uri, lambda answer: (answers.append(answer), done.set()))
        await done.wait()
        await guard.close()

    run(scene)
    return answers[0]


def files(answer):
    assert not isinstance(answer, Absent), answer
    return {
        str(path.relative_to(answer)): path.read_bytes()
        for path in answer.rglob("*")
        if path.is_file()
    }


@contextmanager
def moto(*, models=False, **environ):
    """Run an S3 server; give the environment that leads there, and a way to put."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [CLIENTS / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def put(path, body=b""):
        end = time.monotonic() + 30
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("PUT", path, body)
                assert connection.getresponse().status == 200
                return
            except ConnectionRefusedError:
                assert server.poll() is None
                assert time.monotonic() < end
            finally:
                connection.close()

    try:
        put("/models")
        put("/models/iris/model.joblib", b"weights")
        put("/models/iris/deep/labels.json", b"{}")
        for each in (MODELS / "iris").iterdir() if models else ():
            put(f"/models/demo/{each.name}", each.read_bytes())
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "one",
            "AWS_SECRET_ACCESS_KEY": "two",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def s3():
    with moto(models=True) as environ:
        yield environ


WHOLE = {"model.joblib": b"weights", "deep/labels.json": b"{}"}


def test_a_model_comes_from_s3_with_all_its_files(s3, tmp_path):
    assert files(fetch(tmp_path, "s3://models/iris", s3)) == WHOLE


def test_one_object_of_s3_is_alone(s3, tmp_path):
    answer = fetch(tmp_path, "s3://models/iris/model.joblib", s3)

    assert files(answer) == {"model.joblib": b"weights"}


def test_no_such_key_is_final(s3, tmp_path):
    assert fetch(tmp_path, "s3://models/bert", s3) == Absent(
        reason="storage: NotFound for s3://models/bert", final=True
    )


def test_no_such_bucket_is_final(s3, tmp_path):
    assert fetch(tmp_path, "s3://other/iris", s3) == Absent(
        reason="storage: NotFound for s3://other/iris", final=True
    )


def test_without_credentials_it_says_so(s3, tmp_path):
    environ = {k: v for k, v in s3.items() if "KEY" not in k}
    environ["AWS_EC2_METADATA_DISABLED"] = "true"
    answer = fetch(tmp_path, "s3://models/iris", environ)

    assert answer.reason == "storage: NoCredentialsError for s3://models/iris"
    assert answer.final


def test_who_may_not_gets_access_denied(tmp_path):
    # From its fourth call on that server asks who it is.
    with moto(INITIAL_NO_AUTH_ACTION_COUNT="3") as environ:
        assert fetch(tmp_path, "s3://models/iris", environ) == Absent(
            reason="storage: AccessDenied for s3://models/iris", final=True
        )


def test_a_server_that_is_not_there_may_be_there_later(s3, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        environ = {
            **s3,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{nobody.getsockname()[1]}",
            "AWS_MAX_ATTEMPTS": "1",
        }
        answer = fetch(tmp_path, "s3://models/iris", environ)

    assert not answer.final
    assert "onnect" in answer.reason


def packed(kind):
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in WHOLE.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, data in WHOLE.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


class Pages(BaseHTTPRequestHandler):
    pages: ClassVar = {
        "/model.bin": (200, "application/octet-stream", b"weights"),
        "/iris.zip": (200, "application/zip", packed("zip")),
        "/iris.tar.gz": (200, "application/x-tar", packed("tar")),
        "/secret.bin": (403, "text/plain", b"no"),
        "/busy.bin": (503, "text/plain", b"later"),
        "/page.bin": (200, "text/html", b"<p>log in</p>"),
    }

    def do_GET(self):
        status, kind, body = self.pages.get(self.path, (404, "text/plain", b"none"))
        cut = self.path == "/cut.bin"
        if cut:
            status, kind, body = 200, "application/octet-stream", b"half"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) * (2 if cut else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def web():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("archive", ["iris.zip", "iris.tar.gz"])
def test_an_archive_of_the_web_comes_unpacked(web, archive, tmp_path):
    answer = fetch(tmp_path, f"{web}/{archive}", {})

    assert files(answer) == WHOLE


def test_a_file_of_the_web_is_alone(web, tmp_path):
    assert files(fetch(tmp_path, f"{web}/model.bin", {})) == {"model.bin": b"weights"}


@pytest.mark.parametrize(
    ("page", "words", "final"),
    [
        ("none.bin", "NotFound", True),
        ("secret.bin", "AccessDenied", True),
        ("busy.bin", "status 503", False),
        ("page.bin", "did not respond with 'Content-Type'", True),
        ("cut.bin", "4 more expected", False),
    ],
)
def test_what_the_web_does_not_give_is_a_reason(web, page, words, final, tmp_path):
    answer = fetch(tmp_path, f"{web}/{page}", {})

    assert isinstance(answer, Absent)
    assert words in answer.reason
    assert answer.reason.endswith(f"for {web}/{page}")
    assert answer.final == final


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_of_this_machine_is_unpacked(kind, tmp_path):
    (tmp_path / f"iris.{kind}").write_bytes(packed(kind.partition(".")[0]))
    answer = fetch(tmp_path, f"file://{tmp_path}/iris.{kind}", {})

    assert files(answer) == WHOLE


def test_a_hub_that_does_not_know_the_model_says_so(web, tmp_path):
    answer = fetch(tmp_path, "hf://nobody/none", {"HF_ENDPOINT": web})

    assert answer.final
    assert "NotFound" in answer.reason


@needs_models
def test_a_service_wakes_on_a_model_from_s3_and_says_why_another_does_not(s3, tmp_path):
    body = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'

    def ask(machine, name):
        connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=60)
        connection.request(
            "POST",
            f"/v1/models/{name}:predict",
            body,
            {"Host": f"{name}-default.localhost", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    documents = (DOCUMENTS / "s3.yaml", DEMO / "runtimes.yaml")
    with up(*documents, state=tmp_path, **s3) as machine:
        status, text = ask(machine, "iris")
        assert (status, "setosa" in text) == (200, True)
        status, text = ask(machine, "lost")
        assert (status, "storage: NotFound for s3://models/lost" in text) == (503, True)
