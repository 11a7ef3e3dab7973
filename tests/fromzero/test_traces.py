"""`fromzero trace`, as a person types it."""

from __future__ import annotations

import io
import sys

import pytest
from typer.testing import CliRunner

from fromzero import traces
from fromzero.errors import CommandError
from fromzero.traces import app, span

MAKE = ("--rate", "0.5", "--length", "1h", "--service", "2s", "--seed", "3")


def run(*arguments: object) -> list[str]:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_a_trace_is_made_looked_at_thinned_cut_and_merged(tmp_path):
    whole, few, part = tmp_path / "w.csv", tmp_path / "f.csv", tmp_path / "p.csv"

    (said,) = run("generate", whole, "--shape", "bursts", *MAKE)
    assert said.endswith("requests in 60min")
    assert any(line.startswith("requests ") for line in run("summarize", whole))
    run("thin", whole, few, "--factor", "10")
    run("slice", whole, part, "--from", "10m", "--to", "30m")
    run("merge", few, part, "--out", tmp_path / "m.csv")
    screen = run("convert", tmp_path / "m.csv", "-")

    assert "arrival_s,model,input_tokens,output_tokens,service_s" in screen
    rows = [len(run("convert", each, "-")) for each in (few, part)]
    assert len(screen) == sum(rows) - 4


def test_a_part_is_looked_at_as_it_is_cut_out(tmp_path):
    both, part = tmp_path / "b.csv", tmp_path / "p.csv"
    run("generate", tmp_path / "a.csv", *MAKE, "--model", "a")
    run("generate", tmp_path / "o.csv", *MAKE, "--model", "o")
    run("merge", tmp_path / "a.csv", tmp_path / "o.csv", "--out", both)

    cut = ("--model", "o", "--from", "10m", "--to", "30m")
    run("slice", both, part, *cut)

    assert run("summarize", both, *cut)[1:] == run("summarize", part)[1:]
    assert any(line.split() == ["model", "o"] for line in run("summarize", part))


def test_the_same_seed_makes_the_same_file(tmp_path):
    run("generate", tmp_path / "a", *MAKE)
    run("generate", tmp_path / "b", *MAKE)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("summarize", "nothing.csv"), "cannot be read"),
        (("generate", "x", "--shape", "round"), "must be one of"),
        (("generate", "x", "--length", "soon"), "must be a duration"),
        (("generate", "no/such/x"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    arguments, why, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CommandError, match=why):
        run(*arguments)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "made",
    [
        ("convert", "a.csv", "a.csv"),
        ("thin", "a.csv", "a.csv", "--factor", "2"),
        ("slice", "a.csv", "./a.csv", "--to", "1h"),
        ("merge", "b.csv", "a.csv", "--out", "a.csv"),
    ],
)
def test_a_recording_is_not_written_over(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        run("generate", name, *MAKE)
    before = (tmp_path / "a.csv").read_bytes()

    with pytest.raises(CommandError, match=r"a\.csv: is what is read"):
        run(*made)

    assert (tmp_path / "a.csv").read_bytes() == before


def test_a_log_on_a_grid_of_seconds_is_spread(tmp_path):
    grid, spread = tmp_path / "g.csv", tmp_path / "s.csv"
    grid.write_text("# span_s: 90\narrival_s\n" + "5\n" * 50)

    run("convert", grid, spread, "--jitter", "1s")

    assert any("--jitter 1s" in line for line in run("summarize", grid))
    assert not any("--jitter 1s" in line for line in run("summarize", spread))
    assert "requests          50 in 90s, 0.5556 a second" in run("summarize", spread)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.slow
def test_how_far_a_large_file_was_read_is_shown_on_a_terminal(tmp_path, monkeypatch):
    large, screen = tmp_path / "[red]large.csv", Terminal()
    large.write_text("arrival_s\n" + "5\n" * 600_000)
    monkeypatch.setattr(traces, "_LARGE", 1 << 20)
    monkeypatch.setattr(sys, "stderr", screen)

    assert len(traces.opened(large)) == 600_000

    assert "[red]large.csv" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_nothing_is_no_part_of_a_trace(tmp_path):
    made, out = tmp_path / "a.csv", tmp_path / "o.csv"
    made.write_text("# span_s: 9000\narrival_s\n10\n8000\n")

    with pytest.raises(CommandError, match="no request in the part"):
        run("slice", made, out, "--from", "1h", "--to", "2h")
    with pytest.raises(CommandError, match="from 3h: the trace ends at 2.5h"):
        run("summarize", made, "--from", "3h")
    with pytest.raises(CommandError, match="none of 2 requests is left"):
        run("thin", made, out, "--factor", "1e9")
    assert not out.exists()


def test_a_file_that_cannot_be_made_leaves_the_one_before(tmp_path):
    made = tmp_path / "a.csv"
    run("generate", made, *MAKE)
    before = made.read_bytes()

    with pytest.raises(CommandError):
        run("thin", made, made, "--factor", "0")

    assert made.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("1m30s", 90.0), ("7d", 604_800.0), ("5", 5.0)]
)
def test_durations_have_days_too(text, seconds):
    assert span(text) == seconds
