"""Ctrl-C, as a terminal sends it to a command and to all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.formats.known import written
from simulations.shapes import Shape, Sizes, made
from tests.fakes.running import wait_until
from tests.fromzero.test_simulate import DOCUMENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here"),
]
_TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("stopping")
    (place / "echo.yaml").write_text(DOCUMENT.format(name="echo"))
    load = made(
        Shape(kind="bursts", rate=0.5, span_s=40_000.0), Sizes(service_s=2.0), seed=1
    )
    with (place / "trace.csv").open("w") as file:
        file.writelines(written(load))
    return place


def worked(pid: int) -> float:
    """Return the seconds of a core that a process and its children used so far."""
    total = 0.0
    for each in (pid, *map(int, children(pid))):
        try:
            stat = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += (int(stat[11]) + int(stat[12])) / _TICKS
    return total


def children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def stopped(*command: str, after_s: float) -> tuple[int, str, str]:
    """Return status and what was said, by a command that worked so long."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fromzero", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: process.poll() is not None or worked(process.pid) > after_s)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert "Traceback" not in errors
    return process.returncode, said, errors


def asked(place: Path) -> tuple[str, ...]:
    return (
        str(place / "echo.yaml"), "--trace", str(place / "trace.csv"),
        "--cold-start", "10s",
    )  # fmt: skip


def test_a_search_that_is_stopped_picks_from_what_it_tried(place):
    patch = place / "patch.yaml"
    more = ("--slo", "p99_wait<1h", "--points", "5000", "--patch", str(patch))

    status, said, errors = stopped("tune", *asked(place), *more, after_s=4.0)

    assert status == 130
    assert "stopping with what was found until now" in errors
    assert said.startswith("stopped: fewer settings were tried than was asked for")
    assert "The pick is the cheapest" in said
    assert "autoscaling.knative.dev/window" in patch.read_text()


def test_a_simulation_that_is_stopped_says_what_it_found_and_of_how_much(place):
    others = [each for n in range(99) for each in ("--policy", f"keepalive:{n + 1}m")]
    report = place / "report.html"

    status, said, _ = stopped(
        "simulate", *asked(place), *others, "--report", str(report), after_s=4.0
    )

    assert status == 130
    assert 'stopped: "' in said
    assert "replica-hours" in said
    assert "stopped: " in report.read_text()


def test_an_import_that_is_stopped_leaves_no_file(place):
    made_ = place / "made.csv"
    shape = ("--rate", "1000", "--length", "40000s", "--service", "2s")

    status, said, _ = stopped("trace", "generate", str(made_), *shape, after_s=4.0)

    assert (status, said) == (130, "")
    assert not list(place.glob("made*"))
