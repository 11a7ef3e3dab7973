"""`fromzero tune` on a small trace: it finds, says, draws and writes; or says it cannot."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fromzero.commands import app
from fromzero.errors import CommandError
from tests.fromzero.test_simulate import DOCUMENT


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("tune")
    (place / "echo.yaml").write_text(DOCUMENT.format(name="echo"))
    rows = "".join(f"{at * 40.0 + at % 7},echo,,,2.0\n" for at in range(250))
    head = "# span_s: 10000\narrival_s,model,input_tokens,output_tokens,service_s\n"
    (place / "trace.csv").write_text(head + rows)
    return place


def run(place, *more: str, status: int = 0) -> str:
    arguments = [
        "tune", str(place / "echo.yaml"), "--trace", str(place / "trace.csv"),
        "--cold-start", "10s", "--points", "12", *more,
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.stdout


@pytest.mark.slow
def test_the_cheapest_that_meets_the_goal_is_found_said_drawn_and_written(place):
    patch, report = place / "patch.yaml", place / "tune.html"
    more = ("--slo", "p95_wait<1s", "--patch", str(patch), "--report", str(report))

    said = run(place, *more)

    assert "the pick" in said
    assert "meets it too" in said
    page = report.read_text()
    assert "<h2>What was tried</h2>" in page
    assert "window and scale-to-zero-pod-retention-period together" in page
    checked = CliRunner().invoke(app, ["check", str(patch)])
    assert "echo-predictor" in checked.output
    assert "autoscaling.knative.dev/window" in patch.read_text()


@pytest.mark.slow
def test_the_same_seed_finds_the_same_whatever_the_number_of_processes(place):
    one, two = (
        json.loads(run(place, "--slo", "cold<50%", "--json", "--jobs", jobs))
        for jobs in ("1", "2")
    )

    assert one == two
    assert one["met"]
    costs = [point["cost_s"] for point in one["front"]]
    assert costs == sorted(costs)


@pytest.mark.slow
def test_where_nothing_meets_the_goal_it_says_so_and_writes_no_patch(place):
    patch = place / "none.yaml"

    said = run(place, "--slo", "max_wait<1ms", "--patch", str(patch), status=1)

    assert "Nothing that was tried meets max_wait < 0.001 s" in said
    assert not patch.exists()


@pytest.mark.parametrize(
    ("option", "name", "why"),
    [
        ("--report", "no/such.html", "No such file or directory"),
        ("--patch", "no/such.yaml", "No such file or directory"),
        ("--report", "trace.csv", "is what is read"),
        ("--patch", "trace.csv", "is what is read"),
    ],
)
def test_no_search_begins_whose_files_could_not_be_written(place, option, name, why):
    before = (place / "trace.csv").read_bytes()

    with pytest.raises(CommandError, match=why):
        run(place, "--slo", "nonsense", option, str(place / name))

    assert (place / "trace.csv").read_bytes() == before


@pytest.mark.slow
def test_limits_that_are_given_one_by_one_must_all_hold(place):
    said = run(place, "--slo", "max_wait<1ms", "--slo", "cold<100%", status=1)

    assert "meets max_wait < 0.001 s and cold < 100 %" in said


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--slo", "fast"), "--slo 'fast': must be limits"),
        (("--slo", "cold<1%", "--to", "40s"), "a longer trace is needed"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(place, more, why):
    with pytest.raises(CommandError, match=why):
        run(place, *more)


def test_one_service_is_tuned_at_a_time(place, tmp_path):
    (tmp_path / "other.yaml").write_text(DOCUMENT.format(name="other"))
    text = (place / "trace.csv").read_text()
    (tmp_path / "both.csv").write_text(text + "9999,other,,,1\n")

    with pytest.raises(CommandError, match="2 services: tune one at a time"):
        run(
            place, "--slo", "cold<1%", "--trace", str(tmp_path / "both.csv"),
            str(tmp_path / "other.yaml"),
        )  # fmt: skip
