"""Each part says what there is, in words a person knows, and nothing as markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from simulations.page import parts
from simulations.report import NodeFigures
from simulations.run import End
from tests.simulations.page.sample import HOSTILE, ORIGIN, outcome

OUTCOMES = [outcome(), outcome("always on", cold=0, idle_s=6_290.0), outcome(HOSTILE)]


def text(of) -> str:
    return "".join(of)


def test_the_headline_compares_costs_and_says_who_waits():
    said = text(parts.head(OUTCOMES[:2], ORIGIN))

    assert (
        "These settings would have cost 0.5 GPU-hours, 75% less than always on" in said
    )
    assert (
        "1 in 5 requests found no replica ready; 99 of 100 waited 37s or less" in said
    )
    assert "; a start takes 20 to 40 s, mean 30 s. What decides" in said


def test_the_table_has_a_column_for_each_outcome_and_parts_sum_up():
    said = text(parts.comparison(OUTCOMES))

    assert said.count('<th scope="col">') == 3
    rows = re.findall(r"<tr><th[^>]*>([^<]*)</th><td>([^<]*)</td>", said)
    found = dict(rows)
    whole = sum(float(found[p]) for p in ("loading", "busy", "idle", "draining"))
    assert float(found["GPU-hours"]) == pytest.approx(whole, abs=0.02)
    assert found["requests that found none ready"] == "20 (20.00%)"


def test_nodes_have_rows_only_where_there_are_some():
    nodes = NodeFigures(most=2, added=1, gpu_s=7_200.0, pulled=3, paid=False)

    plain = text(parts.comparison(OUTCOMES))
    placed = text(parts.comparison([replace(each, nodes=nodes) for each in OUTCOMES]))

    rows = dict(re.findall(r"<tr><th[^>]*>([^<]*)</th><td>([^<]*)</td>", placed))
    assert (rows["GPU-hours of nodes"], rows["images pulled"]) == ("2.00", "3")
    assert "<dt>GPU-hours of nodes</dt>" in placed
    assert "nodes" not in plain
    assert "place" not in plain


def test_what_is_paid_and_not_used_is_a_part_where_nodes_are_added():
    nodes = NodeFigures(most=2, added=1, gpu_s=36_000.0, pulled=3, paid=True)
    grows = [replace(each, nodes=nodes) for each in OUTCOMES]

    said = text(parts.comparison(grows))

    rows = dict(re.findall(r"<tr><th[^>]*>([^<]*)</th><td>([^<]*)</td>", said))
    assert (rows["GPU-hours"], rows["unused"]) == ("10.00", "9.50")
    assert "GPU-hours of nodes" not in rows
    assert 'class="unused"' in text(parts.costs(grows))
    assert "unused" not in text(parts.costs(OUTCOMES))


def test_clients_that_leave_are_counted_where_some_did():
    first = OUTCOMES[0]
    ends = ((End.ANSWERED, 90), (End.LEFT, 7), (End.LOST, 3))
    left = replace(first, figures=(replace(first.figures[0], ends=ends),))

    said = text(parts.comparison([left, *OUTCOMES[1:]]))

    assert '<th scope="row">left, or lost with a replica</th><td>10 (10.00%)' in said
    assert "left, or lost" not in text(parts.comparison(OUTCOMES))


def test_clients_that_try_again_have_a_row_only_where_some_did():
    first = OUTCOMES[0]
    again = replace(first, figures=(replace(first.figures[0], retries=7),))

    said = text(parts.comparison([again, *OUTCOMES[1:]]))

    assert '<th scope="row" class="part">tried again before</th><td>7</td>' in said
    assert "<dt>tried again before</dt>" in said
    assert "tried again" not in text(parts.comparison(OUTCOMES))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: parts.head(OUTCOMES, ORIGIN), id="head"),
        pytest.param(lambda: parts.comparison(OUTCOMES), id="comparison"),
        pytest.param(lambda: parts.costs(OUTCOMES), id="costs"),
        pytest.param(lambda: parts.waits(OUTCOMES), id="waits"),
        pytest.param(lambda: parts.over_time(OUTCOMES, ORIGIN), id="over time"),
        pytest.param(lambda: parts.again(OUTCOMES, ORIGIN), id="again"),
    ],
)
def test_what_strangers_said_is_text_wherever_it_is(made):
    said = text(made())

    assert "<img" not in said
    assert "</script" not in said


def test_where_nobody_waited_it_is_said_and_nothing_drawn():
    calm = replace(outcome(), waits=((0.0, 0.0), (1.0, 0.0)))

    said = text(parts.waits([calm]))

    assert "Nobody waited" in said
    assert "<svg" not in said


def test_each_line_of_waits_falls_from_those_who_waited_at_all():
    said = text(parts.waits(OUTCOMES))

    paths = [
        [float(n) for n in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
        for path in re.findall(r'<path class="line[^>]* d="([^"]*)"', said)
    ]
    assert len(paths) == 2 * len(OUTCOMES)  # and one each in the legend
    assert all(path == sorted(path) for path in paths)


def test_settings_that_differ_are_marked_and_only_those():
    other = replace(outcome("other"), settings={"window": "60s", "panic": "off"})

    said = text(parts.again([outcome(), other], ORIGIN))

    assert '<tr class="differs"><th scope="row">panic' in said
    assert '<tr><th scope="row">window' in said


def test_a_part_of_the_trace_is_called_one():
    longer = replace(ORIGIN, span_s=2 * ORIGIN.span_s)

    assert parts.part_of(OUTCOMES, ORIGIN, held_back=True) == ""
    ran = parts.part_of(OUTCOMES, longer, held_back=False)
    kept = parts.part_of(OUTCOMES, longer, held_back=True)
    assert ran == "the 2h of the trace that were run"
    assert kept == "the 2h of the trace that were not used for choosing"
    assert kept in text(parts.comparison(OUTCOMES, kept))
    assert kept in text(parts.over_time(OUTCOMES, longer, kept))
    assert 'max="7200"' in text(parts.over_time(OUTCOMES, longer))


def test_a_headline_compares_with_what_everybody_knows_and_names_no_policy():
    said = text(parts.head([*OUTCOMES[:2], outcome("keepalive:5m")], ORIGIN))

    assert "always on" in said
    assert "keepalive" not in said
