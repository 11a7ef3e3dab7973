"""A sparse week is the same week, whichever way it is simulated."""

from __future__ import annotations

import pytest

from benchmarks.sparse import POLICIES, compare, scenario
from simulations.trace import trace


@pytest.fixture
def sparse():
    return scenario(trace([10.0, 12.5, 400.0, 700.0], source="here", span_s=2_000.0))


def test_each_policy_has_a_line_for_each_way_with_one_digest(sparse, capsys):
    took = compare(sparse, POLICIES, 1, walks=True)

    head, *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == list(POLICIES)
    for leapt, walked in zip(lines[::2], lines[1::2], strict=True):
        assert leapt.split()[-1] == walked.split()[-1]
    assert head.split()[-1] == "digest"
    assert last.split()[0] == "all"
    assert took > 0.0


def test_a_way_that_is_otherwise_is_said(sparse, monkeypatch):
    marks = iter("ab")
    monkeypatch.setattr("benchmarks.sparse.digest", lambda run: next(marks))

    with pytest.raises(SystemExit, match="kpa: leaping is otherwise than walking"):
        compare(sparse, ["kpa"], 1, walks=True)
