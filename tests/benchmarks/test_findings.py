"""What findings are made of: settings, traces of published figures, timers as warm."""

from __future__ import annotations

import gzip
from functools import partial

import numpy as np
import pytest

from benchmarks.findings import (
    CLIENTS,
    STATISTICS,
    as_warm,
    changed,
    clients,
    firsts,
    kept,
    knative,
    later,
    less,
    m0002,
    main,
)
from benchmarks.held_back import simulated
from simulations.policies.rule import Fixed
from simulations.shapes import Shape, Sizes, made

GAPS = (4, 12, 39, 200, 900, 1_800, 3_475)
SERVICES = (23, 53, 106)
HEAD = ("model", "requests", *(f"gap_p{p}" for p in (10, 25, 50, 75, 90, 95, 99)),
        *(f"exec_p{p}" for p in (50, 90, 99)))  # fmt: skip
DAY = made(Shape(kind="bursts", rate=0.005, span_s=43_200.0), Sizes(), seed=1)


@pytest.fixture
def folder(tmp_path):
    rows = [HEAD, ("M0001", *[1] * 11), ("M0002", 5_000, *GAPS, *SERVICES)]
    (tmp_path / STATISTICS).write_text(
        "".join(",".join(map(str, row)) + "\n" for row in rows)
    )
    (tmp_path / CLIENTS).parent.mkdir()
    with gzip.open(tmp_path / CLIENTS, "wt") as file:
        file.write("client,t_s,rate_rps,iat_cv,dist,shape,scale\n")
        for client, rate in ((1, 0.5), (2, 0.01), (3, 0.1)):
            file.write(f"{client},0,{rate},1.0,G,1.0,{1 / rate}\n")
            file.write(f"{client},600,{rate},1.0,G,1.0,{1 / rate}\n")
    return tmp_path


def test_the_defaults_are_knatives():
    its = knative(1).scaling

    assert (its.min_replicas, its.max_replicas, its.total_value) == (0, 0, 1.0)
    assert (its.stable_window_s, its.grace_s, its.retention_s) == (60, 30.0, 0.0)
    assert (its.panic, its.panic_threshold, its.target_utilization) == (True, 2.0, 0.7)
    assert knative(most=1).scaling.max_replicas == 1


def test_a_drawn_trace_has_the_published_gaps_and_times(folder):
    drawn = m0002(folder, 1)
    gaps, services = np.diff(drawn.arrivals), drawn.services

    assert len(drawn) == 5_000
    for share, gap in zip((0.25, 0.5, 0.75, 0.9), GAPS[1:], strict=False):
        assert np.quantile(gaps, share) == pytest.approx(gap, rel=0.15)
    for share, service in zip((0.5, 0.9), SERVICES, strict=False):
        assert np.quantile(services, share) == pytest.approx(service, rel=0.1)
    assert m0002(folder, 1).digest == drawn.digest != m0002(folder, 2).digest


def test_the_rarest_clients_are_a_model_each(folder):
    found = clients(folder, 2)

    assert [each.models for each in found] == [("client-3",), ("client-2",)]
    assert len(found[0]) > len(found[1]) > 0


def test_a_timer_as_warm_is_the_shortest_that_is():
    its = kept([DAY], partial(Fixed, 300.0))
    timer, fixed = as_warm([DAY], its.cold)

    assert fixed.cold <= its.cold
    assert timer <= 300.0 * 1.011
    assert kept([DAY], partial(Fixed, timer / 1.02)).cold > its.cold
    assert kept([DAY], None).cost_s <= fixed.cost_s


def test_what_comes_later_is_all_but_what_came_first():
    rule = partial(Fixed, 300.0)
    whole, first, rest = (
        kept([DAY], rule),
        kept(firsts([DAY]), rule),
        later([DAY], rule),
    )

    assert first + rest == whole
    assert rest.span_s == pytest.approx(0.4 * DAY.span_s)
    assert 0 < rest.cold < whole.cold


def test_how_much_less_is_said_seed_by_seed():
    one = knative(most=1)
    short, long = (
        simulated((DAY, changed(one, stable_window_s=window))) for window in (6, 600)
    )
    share = 100 * (1 - short.cost_h / long.cost_h)

    assert share > 0
    assert less([[short, long], [long, long]], 0, 1) == (
        f"{share / 2:.1f} % (0.0 to {share:.1f})"
    )


def test_what_lacks_its_trace_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["findings", "--traces", str(tmp_path), "grace"])

    main()

    assert "grace: left out, azure_llm_2024" in capsys.readouterr().out


def test_what_is_no_finding_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["findings", "--traces", str(tmp_path), "other"])

    with pytest.raises(SystemExit):
        main()
    assert "must be one of panic, grace, histogram, tuned" in capsys.readouterr().err
