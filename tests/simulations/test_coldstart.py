"""Cold starts: what a text means, what is drawn, and what is refused."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.coldstart import (
    PRESETS,
    ColdStartError,
    describe,
    lognormal,
    mean_s,
    measured,
    parse,
)


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("37s", 37.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("12", 12.0),
        ("quantiles(10s,20s,60s)", 27.5),
        ("2s + quantiles(0s,10s) + 1m", 67.0),
        ("lognormal(40s,10s)", 40.0),
    ],
)
def test_a_text_is_a_sum_of_parts(text, mean):
    assert mean_s(parse(text)) == pytest.approx(mean, rel=0.01)


def test_a_part_may_be_called_by_its_name_and_image_and_weights_be_sizes():
    start = parse(
        "node(4m) + image(10GiB) + process(7s) + weights(15GB) + engine(9s,20s)"
    )

    assert [(p.name, p.quantiles, p.size) for p in start] == [
        ("node", (240.0,), 0.0),
        ("image", (), 10 * 2.0**30),
        ("process", (7.0,), 0.0),
        ("weights", (), 15e9),
        ("engine", (9.0, 20.0), 0.0),
    ]
    assert describe(start[3:]) == "weights 15 GB, engine 9 to 20 s, mean 14.5 s"
    assert parse("node(4m) + nvme")[1:] == PRESETS["nvme"]
    assert describe(parse("1m30s + 500ms")) == "90 s, 0.5 s"


@pytest.mark.parametrize("text", PRESETS)
def test_every_preset_can_be_named_and_described(text):
    start = parse(text)

    assert start == PRESETS[text]
    assert all(phase.name in describe(start) for phase in start)
    assert mean_s(start) > 0


@pytest.mark.parametrize(
    "text",
    [
        "", "fast", "-3s", "3 parsecs", "3s +", "nan", "1e9", "quantiles(3s)",
        "quantiles(9s,3s)", "lognormal(3s)", "lognormal(0s,1s)", "99999999s",
        "nvme + nvme", "lognormal(1s,1s", "weights(15)", "weights()", "weights(0GB)",
        "weights(15Gb)", "weights(-1GB)", "weights(1GB,2GB)", "engine(15GB)",
        "engine(9s,3s)", "weight(1GB)", "Engine(3s)", "nvme + weights(15GB)", "loading(3s)", "weights(25h)",
    ],
)  # fmt: skip
def test_what_is_no_cold_start_is_refused_with_the_rule(text):
    with pytest.raises(ColdStartError, match="must|once is enough"):
        parse(text)


def test_a_size_without_a_unit_is_asked_for_one():
    with pytest.raises(ColdStartError) as error:
        parse("2s + weights(15)")

    assert str(error.value) == (
        "'weights(15)' in '2s + weights(15)': must have a time (15s), quantiles "
        "(10s,15s,40s) or a size (15GB, bytes)"
    )


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=9).map(sorted))
def test_what_is_drawn_lies_between_the_least_and_the_most(quantiles):
    (phase,) = measured(*quantiles)
    drawn = [phase.draw(step / 100) for step in range(100)]

    assert quantiles[0] <= min(drawn) + 1e-9
    assert max(drawn) <= quantiles[-1] + 1e-9
    assert all(one <= other + 1e-9 for one, other in pairwise(drawn))


@given(st.floats(0.1, 1000), st.floats(0.05, 1.5))
def test_a_lognormal_start_has_about_the_mean_that_was_asked_for(mean, cv):
    (phase,) = measured(*lognormal(mean, mean * cv))

    assert phase.mean_s == pytest.approx(mean, rel=0.1)


def test_the_page_on_cold_starts_has_each_preset_with_its_phases():
    text = (Path(__file__).parents[2] / "docs" / "coldstart.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \|", text, re.MULTILINE))

    assert rows.keys() == PRESETS.keys()
    for name, start in PRESETS.items():
        if "then as" not in rows[name]:
            assert all(phase.name in rows[name] for phase in start)
