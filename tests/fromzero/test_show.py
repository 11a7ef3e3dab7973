from __future__ import annotations

import io

import pytest
from rich.console import Console

from fromzero.show import console, explanation, remarked, table

IRIS = {
    "namespace": "production", "name": "iris-predictor-00001", "state": "ready",
    "min": 0, "max": 2, "desired": 2, "allowed": 2, "ready": 1, "starting": 1, "draining": 0,
    "in_flight": 3, "held": 4, "mode": "stable", "reason": "7 in flight [bold]",
}  # fmt: skip


def drawn(revisions: list[dict[str, object]]) -> str:
    out = io.StringIO()
    Console(file=out, width=120, markup=False).print(table(revisions))
    return out.getvalue()


def test_the_table_has_a_row_for_each_revision_with_what_matters():
    said = drawn([IRIS, IRIS | {"name": "other", "state": "asleep"}])

    (row,) = [line for line in said.splitlines() if "iris-predictor" in line]
    assert row.split() == [
        "production/iris-predictor-00001", "ready", "1/2", "3", "4", "7", "in",
        "flight", "[bold]",
    ]  # fmt: skip
    assert "production/other" in said


def test_one_that_may_not_have_all_that_it_wants_is_shown_with_both_numbers():
    capped = IRIS | {"desired": 4, "allowed": 3, "ready": 3, "starting": 0}

    assert " 3/3 of 4 " in drawn([capped])
    said = explanation(capped | {"moments": [], "logs": []})
    assert "  3 ready of 3 allowed, 4 desired, 0 starting" in said


def test_the_table_of_nothing_has_a_head():
    assert "revision" in drawn([])


def test_without_a_terminal_no_line_is_cut(capsys):
    console().print(table([IRIS | {"reason": "why " * 30}]))

    said = capsys.readouterr().out
    assert ("why " * 30).strip() in said


def test_an_explanation_says_the_state_the_numbers_and_each_decision():
    moments = [
        {"at": 1e9, "what": "decided", "replicas": 2, "reason": "7 in flight"},
        {"at": 1e9, "what": "start failed", "reason": "exit status 1"},
    ]

    lines = explanation(IRIS | {"moments": moments, "logs": ["loading"]}).splitlines()

    assert lines[0] == ("production/iris-predictor-00001 is ready: 7 in flight [bold]")
    assert lines[1] == ("  1 ready of 2 desired, 1 starting, 0 draining; bounds 0 to 2")
    assert lines[2] == "  3 in flight, 4 held; stable mode"
    assert lines[4].endswith("decided 2: 7 in flight")
    assert lines[5].endswith("start failed: exit status 1")
    assert len(lines) == 6


def test_a_failing_revision_is_explained_with_the_last_lines_of_its_output():
    said = explanation(
        IRIS | {"state": "failing", "moments": [], "logs": ["no module named x"]}
    )

    assert "nothing has been decided yet" in said
    assert said.endswith("last lines of its output:\n  no module named x")


@pytest.mark.parametrize(("most", "said"), [(0, "0 to any"), (4, "0 to 4")])
def test_no_upper_bound_is_said_in_words(most, said):
    assert said in explanation(IRIS | {"max": most, "moments": [], "logs": []})


def test_remarks_are_a_line_each_and_those_that_keep_hands_off_come_first():
    remarks = [
        {"about": "A", "reason": "NoPreStop", "message": "no sleep", "blocks": False},
        {"about": "B", "reason": "ScaledByAnother", "message": "HPA", "blocks": True},
    ]

    assert remarked(remarks).splitlines() == [
        "hands off B: ScaledByAnother: HPA",
        "A: NoPreStop: no sleep",
    ]


def test_what_others_said_does_nothing_to_a_terminal():
    odd = "a\x1b[2J\u2028b\r\n"
    shown = IRIS | {"state": "failing", "reason": odd, "name": odd}
    moments = [{"at": 1e9, "what": "decided", "reason": odd}]
    remark = {"about": odd, "reason": odd, "message": odd, "blocks": True}

    said = [
        drawn([shown]),
        explanation(shown | {"moments": moments, "logs": [odd]}),
        remarked([remark]),
    ]

    assert all(line.isprintable() for each in said for line in each.split("\n"))
    assert all("a\\x1b[2J\\u2028b\\r\\n" in each for each in said)
