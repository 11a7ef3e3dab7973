"""What typer makes of `simulate`: its help fits a screen and names each option."""

from __future__ import annotations

from typer.testing import CliRunner

from fromzero.commands import app


def test_the_help_names_what_must_be_given():
    done = CliRunner().invoke(app, ["simulate", "--help"])
    bare = CliRunner().invoke(app, ["simulate", "x.yaml"])

    assert done.exit_code == 0
    assert all(each in done.stdout for each in ("--trace", "--cold-start", "--report"))
    assert bare.exit_code == 2
