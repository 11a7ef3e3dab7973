"""Problems read as one line: what, value, rule."""

from __future__ import annotations

import pytest

from autoscaler.errors import BadInput, Problem


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem(file="a.yaml", line=3, field="port", value="x", rule="must be y"),
            "a.yaml:3: port = x, must be y",
        ),
        (Problem(file="a.yaml", line=1, field="spec", rule="is missing"),
         "a.yaml:1: spec is missing"),
        (Problem(file="a.yaml", line=1, value="[]", rule="must be a mapping"),
         "a.yaml:1: must be a mapping"),
        (Problem(file="a.yaml", rule="is not there"), "a.yaml: is not there"),
        (Problem(field="--port", value="x", rule="must be y"), "--port = x, must be y"),
        (Problem(field="default/iris", rule="there is no model at /x"),
         "default/iris: there is no model at /x"),
        (Problem(rule="no path"), "no path"),
    ],
)  # fmt: skip
def test_a_problem_says_where_what_value_and_rule(problem, line):
    assert str(problem) == line


def test_bad_input_has_every_problem_once_in_order():
    first, second = Problem(rule="b"), Problem(rule="a")
    error = BadInput([first, second, first])

    assert error.problems == (first, second)
    assert str(error) == "b\na"
