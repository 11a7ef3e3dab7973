"""`fromzero up` as a process, with real replicas behind it."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.running import alive, document, up, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory for documents; what fromzero remembers is beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    documents = tmp_path / "documents"
    documents.mkdir()
    return documents


def write(place: Path, text: str, name: str = "echo.json") -> None:
    part = place / f"{name}.part"
    part.write_text(text)
    part.replace(place / name)


def replay(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fromzero", "replay", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_request_wakes_a_model_is_held_and_answered_and_the_model_sleeps_again(place):
    write(place, document())
    with up(str(place)) as running:
        assert running.status()["echo-predictor-00001"]["state"] == "asleep"

        status, body, headers = running.ask("echo", "/hello")

        assert (status, body["path"]) == (200, "/hello")
        assert "hold;dur=" in headers["server-timing"]
        assert running.status()["echo-predictor-00001"]["state"] == "ready"
        status, body, headers = running.ask("echo", "/hello")
        assert "hold;dur=" not in headers.get("server-timing", "")
        running.until("asleep revision=default/echo-predictor-00001")
        assert not alive(body["pid"])
        assert running.status()["echo-predictor-00001"]["ready"] == 0
        status, body, _ = running.ask("echo")
        assert status == 200
        assert running.stop() == 0
        assert not alive(body["pid"])


def test_a_body_reaches_the_model_that_it_woke(place):
    write(place, document())
    body = json.dumps({"instances": ["x" * 100_000]}).encode()
    with up(str(place)) as running:
        assert running.ask("echo", "/predict", body)[:2] == (200, json.loads(body))


def test_more_requests_at_once_than_one_replica_takes_scale_it_out_and_all_are_answered(
    place, tmp_path
):
    write(place, document(maxReplicas=3, containerConcurrency=2))
    gate = tmp_path / "open"
    with up(str(place)) as running, concurrent.futures.ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(running.ask, "echo", f"/?until={gate}") for _ in range(6)]
        running.until("ready revision=default/echo-predictor-00001", count=3)
        gate.touch()
        answers = [each.result() for each in asked]

        assert [status for status, _, _ in answers] == [200] * 6
        assert len({body["pid"] for _, body, _ in answers}) == 3
        running.until("asleep revision=")


def test_more_use_of_cpu_than_is_aimed_at_scales_out(place, tmp_path):
    settings = {"minReplicas": 1, "maxReplicas": 2, "scaleMetric": "cpu"}
    tree = json.loads(document("echo", "--busy", **settings))
    (container,) = tree["spec"]["predictor"]["containers"]
    container["resources"] = {"requests": {"cpu": "10m"}}
    write(place, json.dumps(tree))
    with up(str(place)) as running:
        running.until("ready revision=default/echo-predictor-00001", count=2)

        assert "% in use against 80 % wanted" in running.until("replicas=2")


def test_no_process_outlives_fromzero_that_was_killed(place, tmp_path):
    number = tmp_path / "orphan"
    write(place, document("echo", f"--orphan={number}"))
    with up(str(place)) as running:
        _, body, _ = running.ask("echo")
        wait_until(number.exists)
        pids = (body["pid"], int(number.read_text()))
        assert all(map(alive, pids))

        running.stop(signal.SIGKILL)

        wait_until(lambda: not any(map(alive, pids)))


def test_a_second_signal_does_not_wait_for_what_runs(place, tmp_path):
    write(place, document())
    with up(str(place)) as running, concurrent.futures.ThreadPoolExecutor(1) as pool:
        pid = running.ask("echo")[1]["pid"]
        asked = pool.submit(running.ask, "echo", f"/?until={tmp_path / 'never'}")
        wait_until(lambda: running.status()["echo-predictor-00001"]["in_flight"] == 1)

        running.process.send_signal(signal.SIGTERM)
        running.until("stopping")
        assert running.stop(signal.SIGTERM) == 0

        assert not alive(pid)
        assert asked.exception() is not None


def test_what_runs_is_answered_before_fromzero_ends(place, tmp_path):
    write(place, document())
    gate = tmp_path / "open"
    with up(str(place)) as running, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(running.ask, "echo", f"/?until={gate}")
        wait_until(lambda: running.status()["echo-predictor-00001"]["in_flight"] == 1)

        running.process.send_signal(signal.SIGINT)
        running.until("stopping")
        gate.touch()

        assert asked.result()[0] == 200
        assert running.process.wait(timeout=30) == 0


def test_fifty_models_that_may_sleep_start_none(place):
    for number in range(50):
        write(place, document(f"m{number}"), f"m{number}.json")
    with up(str(place)) as running:
        states = {each["state"] for each in running.status().values()}

        assert (states, len(running.status())) == ({"asleep"}, 50)
        assert running.ask("m31")[0] == 200
        awake = [n for n, each in running.status().items() if each["ready"]]
        assert awake == ["m31-predictor-00001"]


def test_a_start_that_cannot_succeed_is_refused_at_once_with_its_last_lines(place):
    write(place, document("bert", "--fail=3"))
    with up(str(place)) as running:
        status, body, headers = running.ask("bert")

        assert status == 503
        assert "exit status 3: no such model: bert" in json.dumps(body)
        assert int(headers["retry-after"]) > 0


def test_a_setting_changes_live_and_a_program_rolls_over_while_requests_are_answered(
    place,
):
    write(place, document())
    with up(str(place)) as running:
        first = running.ask("echo")[1]
        write(place, document(maxReplicas=5))
        running.until("documents applied")
        status = running.status()["echo-predictor-00001"]
        assert (status["max"], running.ask("echo")[1]["pid"]) == (5, first["pid"])

        write(place, document("echo", "--version=2", maxReplicas=5))
        versions = [first["version"]]
        while versions[-1] != "2":
            code, body, _ = running.ask("echo")
            assert code == 200
            versions.append(body["version"])

        running.until("removed revision=default/echo-predictor-00001")
        assert set(running.status()) == {"echo-predictor-00002"}
        wait_until(lambda: not alive(first["pid"]))


def test_bad_documents_change_nothing_and_say_why(place):
    write(place, document())
    with up(str(place)) as running:
        write(place, document(maxReplicas=-1))
        said = running.until("documents refused")

        assert "echo.json:1: spec.predictor.maxReplicas = -1, must be" in said
        assert running.ask("echo")[0] == 200
        assert 'fromzero_reloads_total{result="refused"} 1.0' in running.admin(
            "/metrics"
        )


def test_a_hangup_reads_documents_again(place):
    write(place, document())
    with up(str(place)) as running:
        running.process.send_signal(signal.SIGHUP)

        wait_until(lambda: 'result="unchanged"} 1.0' in running.admin("/metrics"))


def test_orders_are_carried_out(place):
    write(place, document())
    name = "echo-predictor-00001"
    with up(str(place)) as running:
        running.admin(f"/wake/default/{name}", "POST")
        running.until(f"ready revision=default/{name}")

        running.put_to_sleep(name)
        running.until(f"asleep revision=default/{name}")
        explained = json.loads(running.admin(f"/explain/default/{name}"))

        whats = [each["what"] for each in explained["moments"]]
        assert whats.count("scaled") >= 2


def test_what_was_recorded_is_replayed_without_a_difference(place, tmp_path):
    write(place, document(maxReplicas=2, containerConcurrency=1))
    decisions, trace = tmp_path / "decisions.jsonl", tmp_path / "trace.csv"
    records = ("--record-decisions", str(decisions), "--record-trace", str(trace))
    with up(str(place), *records) as running:
        for _ in range(3):
            assert running.ask("echo")[0] == 200
        running.until("asleep revision=")
        assert running.stop() == 0

    done = replay(decisions)
    assert done.stdout.splitlines()[-1].endswith(" decisions, 0 differ")
    assert not done.stdout.startswith("0 ")
    rows = [line for line in trace.read_text().splitlines() if line[0].isdigit()]
    assert [row.split(",")[1] for row in rows] == ["default/echo"] * 3


def test_a_recording_that_was_killed_is_summed_up_simulated_and_tuned(place, tmp_path):
    write(place, document(maxReplicas=2))
    trace = tmp_path / "trace.csv"
    with up(str(place), "--record-trace", str(trace)) as running:
        for _ in range(4):
            assert running.ask("echo")[0] == 200
        wait_until(lambda: trace.read_text().count("default/echo") == 4)
        running.process.kill()
        running.process.wait(10)
    note = "the recording was not ended"

    on_it = (str(place), "--trace", str(trace), "--cold-start", "5s")
    for command in (
        ("trace", "summarize", str(trace)),
        ("simulate", *on_it),
        ("tune", *on_it, "--slo", "p99_wait<1h", "--points", "8", "--jobs", "1"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "fromzero", *command],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        assert note in done.stdout


def refused(*args: str) -> str:
    """Return what `up` says of what it cannot use, after exit status 2."""
    command = [sys.executable, "-m", "fromzero", "up", *args]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_two_services_with_one_name_are_refused_in_a_line(place):
    write(place, document(), "a.json")
    write(place, document(), "b.json")

    said = refused("--port", "0", "--admin-port", "0", str(place))

    (line,) = said.splitlines()
    assert "b.json:1: InferenceService default/echo" in line
    assert "a.json:1" in line


def test_a_port_in_use_is_refused_in_a_line(place):
    write(place, document())
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])

        (line,) = refused("--port", port, str(place)).splitlines()

    assert line.startswith(f"port = {port}, is in use")


def test_a_record_that_cannot_be_written_is_refused_in_a_line(place, tmp_path):
    write(place, document())
    nowhere = str(tmp_path / "no" / "trace.csv")

    (line,) = refused(
        "--port", "0", "--admin-port", "0", "--record-trace", nowhere, str(place)
    ).splitlines()

    assert (
        line
        == f"--record-trace = {nowhere}, cannot be written: No such file or directory"
    )


def test_on_a_terminal_there_is_a_table(place):
    write(place, document())
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "fromzero", "up", "--port", "0"]
    with subprocess.Popen(
        [*command, "--admin-port", "0", str(place)],
        stdout=theirs,
        stderr=theirs,
        env={
            **os.environ,
            "FROMZERO_HOST": "127.0.0.1",
            "TERM": "xterm",
            "COLUMNS": "120",
        },
    ) as process:
        os.close(theirs)
        shown = b""
        while b"asleep" not in shown:
            shown += os.read(ours, 4096)

        process.terminate()
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert b"default/echo-predictor-00001" in shown
    assert b"serving on 127.0.0.1:" in shown
