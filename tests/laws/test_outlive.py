"""Nothing that a model server started outlives `fromzero up`, the whole program."""

from __future__ import annotations

import json
import signal
import socket
import sys

import pytest

from tests.autoscaler.backends.scene import CHILD, Calls, Watch, run
from tests.interop.up import up


def document(command, port):
    """Return a custom predictor that calls the test (JSON is YAML, too)."""
    container = {
        "name": "kserve-container",
        "command": command,
        "env": [{"name": "CALL", "value": str(port)}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "$(PORT)"}},
    }
    return json.dumps(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "wild"},
            "spec": {"predictor": {"minReplicas": 0, "containers": [container]}},
        }
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
def test_a_grandchild_that_forked_twice_and_left_its_session_dies_with_it(tmp_path):
    async def scene():
        async with Calls() as calls:
            file = tmp_path / "wild.yaml"
            command = [sys.executable, "-P", "-S", "-c", CHILD.replace("$(", "$$(")]
            file.write_text(document(command, calls.port))
            with up(file, state=tmp_path) as machine:
                address = ("127.0.0.1", int(machine.port))
                with socket.create_connection(address) as client:
                    client.sendall(
                        b"GET / HTTP/1.1\r\nHost: wild-default.localhost\r\n\r\n"
                    )
                    replica = await calls.next()
                    replica.tell("escape()")
                    grandchild = await calls.next()
                    watch = Watch([replica.pid, grandchild.pid])
                    machine.end(signal.SIGKILL)
                    await watch.all_gone()
                    assert client.recv(1) == b""

    run(scene)
