"""What a revision needs and a machine has not."""

from __future__ import annotations

import sys

import pytest

from autoscaler.backends.base import Launch
from autoscaler.core.domain import Budget, Metric, Needs
from autoscaler.here import lacking, missing, search_path, unmeasured
from autoscaler.notes import Level

HERE = Launch(command=(sys.executable, "-c", "pass"))


def said(launch, budget=Budget(), volumes=None):  # noqa: B008 - frozen
    return [(each.level, each.text) for each in lacking(launch, budget, volumes, "")]


@pytest.fixture
def programs(tmp_path):
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        pytest.param(("serve", "x"), None, id="found in PATH"),
        pytest.param(("absent",), "absent", id="not in PATH"),
        pytest.param(("./serve",), None, id="a path, in the working directory"),
        pytest.param(("./absent",), "./absent", id="a path that is not there"),
        pytest.param(("sh", "-c", "a; exec serve x"), None, id="behind a shell"),
        pytest.param(("/bin/sh", "-c", "exec absent"), "absent", id="absent behind it"),
        pytest.param(("$(TOOL)",), None, id="known only when it starts"),
        pytest.param(("$(PYTHON)", "-m", "json"), None, id="a module that is here"),
        pytest.param(
            ("$(PYTHON)", "-m", "absent_module.sub"),
            "the Python module absent_module.sub",
            id="a module that is not",
        ),
        pytest.param(("$(PYTHON)", "a.py"), None, id="a script of one's own"),
        pytest.param((), None, id="nothing to start"),
    ],
)
def test_a_program_is_looked_for_where_it_would_be_started(programs, command, absent):
    launch = Launch(command=command, cwd=str(programs))

    assert missing(launch, str(programs)) == absent


def test_another_python_is_not_asked_for_its_modules():
    env = (("PYTHON", sys.executable), ("PYTHON", "/bin/sh"))
    launch = Launch(command=("$(PYTHON)", "-m", "absent_module"), env=env)

    assert missing(launch, "") is None


@pytest.mark.parametrize("metric", list(Metric))
def test_use_that_cannot_be_seen_is_warned_of(tmp_path, metric):
    found = list(unmeasured(metric, tmp_path))

    if metric in (Metric.CPU, Metric.MEMORY):
        (one,) = found
        assert one.level is Level.WARNING
        assert f"scaleMetric {metric}: this system has no {tmp_path}" in one.text
    else:
        assert found == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
def test_on_linux_all_use_can_be_seen():
    assert [each for metric in Metric for each in unmeasured(metric)] == []


def test_a_missing_program_is_a_warning():
    (found,) = said(Launch(command=("absent",)))

    assert found[0] is Level.WARNING
    assert found[1].startswith("absent is not on this machine: install it")


def test_what_fits_and_is_here_is_not_spoken_of(tmp_path):
    launch = Launch(
        command=HERE.command,
        storage_uri=str(tmp_path),
        needs=Needs(memory=2, gpus=1),
    )

    assert said(launch, Budget(memory=2, gpus=1)) == []
    assert said(launch) == []


@pytest.mark.parametrize(
    ("needs", "budget", "text"),
    [
        (Needs(memory=3 << 30), Budget(memory=2 << 30), "a replica needs 3 GiB of mem"),
        (Needs(gpus=1), Budget(gpus=0), "a replica needs 1 GPU, more than the whole"),
        (Needs(gpus=3), Budget(gpus=2), "a replica needs 3 GPUs, more than the whole"),
    ],
)
def test_more_than_the_whole_budget_is_a_problem(needs, budget, text):
    ((level, found),) = said(Launch(command=HERE.command, needs=needs), budget)

    assert level is Level.PROBLEM
    assert found.startswith(text)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("{}/absent", "there is no model at {}/absent"),
        ("file://{}/absent", "there is no model at {}/absent"),
        ("pvc://claim/absent", "there is no model at {}/claim/absent"),
    ],
)
def test_a_model_that_is_not_there_is_a_problem(tmp_path, uri, text):
    launch = Launch(command=HERE.command, storage_uri=uri.format(tmp_path))

    assert said(launch, volumes=tmp_path) == [(Level.PROBLEM, text.format(tmp_path))]


def test_a_volume_without_a_root_is_a_problem_that_names_the_flag():
    ((level, text),) = said(Launch(command=HERE.command, storage_uri="pvc://a/b"))

    assert level is Level.PROBLEM
    assert text == "pvc://a/b: no directory stands for volumes: set --pvc-root"


def test_programs_beside_our_python_are_found_last():
    assert search_path("/a:/b").startswith("/a:/b:")
    assert search_path("") == search_path("/a").removeprefix("/a:")
