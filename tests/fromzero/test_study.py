"""Optuna as who asks: it learns, repeats, and says how to have it where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fromzero.errors import CommandError
from fromzero.study import Study
from simulations.sweep import Choice, Seen


def play(study: Study) -> list[Choice]:
    """Answer all that is asked, of two wishes that both are met at 0 in all but one."""
    asked: list[Choice] = []
    while choices := study.ask():
        asked += choices
        study.tell([seen(choice) for choice in choices])
    return asked


def seen(choice: Choice) -> Seen:
    rest = sum(choice[1:])
    return Seen(
        choice=choice, cost_s=choice[0] + rest, wait_s=1 - choice[0] + rest, excess=0.0
    )


def test_it_asks_for_as_many_as_it_may_and_the_same_each_time():
    asked = play(Study(3, 30, seed=1))

    assert len(asked) == 30
    assert all(0 <= share < 1 for choice in asked for share in choice)
    assert asked == play(Study(3, 30, seed=1))
    assert asked != play(Study(3, 30, seed=2))


def test_it_asks_for_better_ones_the_more_it_is_told():
    asked = play(Study(3, 60, seed=1))

    early, late = (
        sum(sum(choice[1:]) for choice in part) for part in (asked[:20], asked[-20:])
    )
    assert late < early / 2


def test_what_was_asked_for_and_not_run_may_stay_untold():
    study = Study(2, 20, seed=1)

    study.tell([seen(choice) for choice in study.ask()][:3])

    assert len(study.ask()) == 8


def test_where_it_is_not_installed_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(CommandError, match=r"pip install 'fromzero\[optuna\]'"):
        Study(2, 20, seed=1)


def test_nothing_imports_it_but_who_asks_for_it():
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys, fromzero.tune; print([n for n in sys.modules if 'optuna' in n])"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert done.stdout.strip() == "[]"
