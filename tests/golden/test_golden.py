"""The standard worlds end as they did when their reports were last looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.report import render
from simulations.world import World
from tests.golden.scenarios import ALL
from tests.golden.write import write

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ALL)
def test_a_run_is_what_it_was(name):
    """If a change is meant: `python -m tests.golden.write`, then read the diff."""
    expected = (HERE / f"{name}.txt").read_text(encoding="utf-8")

    assert render(World(ALL[name]()).run()) == expected


def test_every_report_is_of_a_scenario(tmp_path):
    write(tmp_path)

    written = {path.name for path in tmp_path.iterdir()}
    assert written == {path.name for path in HERE.glob("*.txt")}
