"""Each command on each public trace, and on each shape that can be made."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fromzero.commands import app
from fromzero.errors import CommandError
from simulations.shapes import SHAPES
from tests.fromzero.test_simulate import DOCUMENT
from tests.simulations.public import public

pytestmark = pytest.mark.slow

TRACES = {
    "azure_functions_2021_sample200.csv": (),
    "azure_llm_2023_code.csv": ("thin", "--factor", "10"),
    "azure_llm_2023_conv.csv": ("thin", "--factor", "20"),
    "azure_llm_2024_code_10s.csv.gz": ("thin", "--factor", "50000"),
    "servegen/deepseek-r1_clients_10min.csv.gz": ("slice", "--model", "client-50"),
    "servegen/m-large_clients_10min.csv.gz": (
        "slice", "--model", "client-14", "--from", "1d", "--to", "2d",
    ),
}  # fmt: skip
"""What makes each so small that it is quickly tuned on."""

NO_TRACES = (
    "gentd26_load_latency_quantiles.csv",
    "gentd26_per_model_statistics.csv",
    "servegen/token_means_by_client.csv",
)
"""Tables that are published beside them."""


def run(*arguments: object, allowed: tuple[int, ...] = (0,)) -> str:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in allowed, done.output
    return done.stdout


def planned(tmp_path, trace):
    """Look at *trace*, simulate on it, tune on it, and take what was tuned."""
    document, patch, page = (tmp_path / each for each in ("d.yaml", "p.yaml", "r.html"))
    document.write_text(DOCUMENT.format(name="echo"))
    how = ("--trace", trace, "--cold-start", "10s", "--service-time", "2s")

    assert "digest" in run("trace", "summarize", trace)
    said = run("simulate", document, *how, "--report", page)
    tuned = run(
        "tune", document, *how, "--slo", "p99_wait<1h", "--points", "8", "--jobs", "1",
        "--report", page, "--patch", patch,
    )  # fmt: skip

    assert "replica-hours" in said
    assert "The pick is the cheapest" in tuned
    assert "echo-predictor" in run("check", patch)
    (ours, *_) = json.loads(run("simulate", patch, *how, "--json"))
    assert ours["totals"]["requests"] > 0


@pytest.mark.parametrize("name", TRACES)
def test_each_command_works_on_each_public_trace(name, tmp_path):
    path, part = public(name), tmp_path / "part.csv"
    command, *how = TRACES[name] or ("convert",)
    if command != "slice":
        assert "digest" in run("trace", "summarize", path)

    assert "requests" in run("trace", command, path, part, *how)

    planned(tmp_path, part)


@pytest.mark.parametrize("name", NO_TRACES)
def test_a_table_that_is_no_trace_is_refused_in_a_line(name):
    with pytest.raises(CommandError, match=r":1: .* must begin as one of the formats"):
        run("trace", "summarize", public(name))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_command_works_on_each_shape(shape, tmp_path):
    path = tmp_path / "made.csv"
    how = ("--shape", shape, "--rate", "0.02", "--length", "8h", "--service", "4s")

    run("trace", "generate", path, *how)

    planned(tmp_path, path)
