import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import Aggregation, ScalingSpec
from autoscaler.core.window import Window, rounded, smoothing
from tests.vectors.sections import section

KIND = {"linear": Aggregation.LINEAR, "weighted": Aggregation.WEIGHTED}


@pytest.mark.parametrize("case", section("bucketing"), ids=lambda case: case["name"])
def test_a_window_does_what_knatives_buckets_do(case: dict[str, Any]):
    # Ours has buckets of 1 s: other grains are the same in other units of time.
    grain = case["granularity_s"]
    window = Window(-(-case["window_s"] // grain), KIND[case["kind"]])

    for op, *args in case["ops"]:
        match op, args:
            case "rec", [t, value]:
                window.record(value, now=t / grain)
            case "avg", [t, average]:
                assert window.average(now=t / grain) == pytest.approx(average)
            case "avg_round3", [t, average]:
                assert rounded(window.average(now=t / grain), 3) == average
            case "sum", [t, total]:
                inside = [
                    value
                    for second, value in window.seconds()
                    if second > t // grain - window.window_s
                ]
                assert sum(inside) == total
            case "nonzero_buckets", [buckets]:
                found = {str(at * grain): sum_ for at, sum_ in window.seconds() if sum_}
                assert found == buckets
            case "resize", [window_s, {"wall_now": wall_now}]:
                window.resize(-(-window_s // grain), now=wall_now / grain)
            case "num_buckets", [count]:
                assert window.window_s == count
            case "coeff", [share]:
                assert smoothing(window.window_s) == pytest.approx(share)
            case "first_write", [None]:
                window.record(6.0, now=3.0)  # alone: nothing before it counts
                assert window.average(now=3.0) == 6.0
            case _:
                pytest.fail(f"unknown step {op}")


@pytest.mark.parametrize(
    ("window_s", "share"), [tuple(case) for case in section("smoothing_coeff")["cases"]]
)
def test_the_newest_second_weighs_what_it_does_in_knative(window_s: int, share: float):
    assert smoothing(window_s) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize(
    ("digits", "value", "expected"),
    [tuple(case) for case in section("round_to_n_digits")],
)
def test_halves_are_rounded_away_from_zero(digits: int, value: float, expected: float):
    assert rounded(value, digits) == expected
    assert rounded(-value, digits) == -expected


@pytest.mark.parametrize("case", section("panic_window"), ids=str)
def test_the_panic_window_is_a_share_of_the_stable_one(case: dict[str, Any]):
    spec = ScalingSpec(
        stable_window_s=case["stable_s"], panic_window_percentage=case["pct"]
    )

    assert spec.panic_window_s == case["expect_s"]


def test_a_stat_older_than_the_window_is_dropped():
    dropped, *_ = [case for case in section("collector") if "70s old" in case["name"]]
    window = Window(60, Aggregation.LINEAR)

    window.record(7.0, now=170.0)
    window.record(9.0, now=100.0)

    assert dropped["expect"] == "only the fresh stat counts"
    assert window.average(now=170.0) == 7.0


def test_a_new_window_is_empty_and_averages_nothing():
    for aggregation in Aggregation:
        window = Window(6, aggregation)

        assert window.is_empty(now=0.0)
        assert window.average(now=0.0) == 0.0
        assert list(window.seconds()) == []


def test_a_window_is_empty_when_it_has_lain_idle_for_longer_than_itself():
    window = Window(6, Aggregation.LINEAR)
    window.record(1.0, now=10.0)

    assert not window.is_empty(now=16.9)
    assert window.is_empty(now=17.0)


def test_a_resize_to_the_same_length_changes_nothing():
    window = Window(6, Aggregation.LINEAR)
    window.record(6.0, now=10.0)

    window.resize(6, now=11.0)

    assert window.average(now=10.0) == 6.0  # still young: averaged over one second


def test_a_resize_counts_what_it_keeps_as_a_full_window():
    window = Window(6, Aggregation.LINEAR)
    window.record(6.0, now=10.0)

    window.resize(12, now=11.0)

    assert window.average(now=10.0) == 1.0


def test_after_a_stale_resize_missing_seconds_count():
    window = Window(6, Aggregation.LINEAR)
    window.record(6.0, now=10.0)

    window.resize(60, now=20.0)

    assert window.average(now=20.0) == 0.0
    window.record(5.0, now=21.0)
    assert window.average(now=21.0) == 5.0


seconds = st.integers(min_value=0, max_value=40)
loads = st.floats(min_value=0, max_value=1e6)
records = st.lists(st.tuples(seconds, loads), min_size=1, max_size=40)


@given(records=records, size=st.integers(1, 12), lag=st.integers(0, 15))
def test_a_linear_average_is_the_mean_of_the_seconds_it_covers(
    records: list[tuple[int, float]], size: int, lag: int
):
    window = Window(size, Aggregation.LINEAR)
    heard: dict[int, float] = {}
    first = last = None
    for second, load in records:
        if last is not None and second + size <= last:
            continue  # too old
        if first is None or last is None or second - last >= size:
            heard, first, last = {}, second, second
        heard[second] = heard.get(second, 0.0) + load
        first, last = min(first, second), max(last, second)
        window.record(load, now=second + 0.25)
    assert first is not None
    assert last is not None

    average = window.average(now=last + lag + 0.75)

    if lag >= size:
        assert average == 0.0
    else:
        inside = [heard.get(at, 0.0) for at in range(last + lag - size + 1, last + 1)]
        covered = min(last - first + 1, size - lag)
        expected = math.fsum(inside) / covered
        assert average == pytest.approx(expected, rel=1e-9, abs=2e-6)


@given(
    records=records, size=st.integers(1, 60), aggregation=st.sampled_from(Aggregation)
)
def test_an_average_lies_between_nothing_and_the_busiest_second(
    records: list[tuple[int, float]], size: int, aggregation: Aggregation
):
    window = Window(size, aggregation)
    for second, load in records:
        window.record(load, now=float(second))

    last = max(second for second, _ in records)
    busiest = max(value for _, value in window.seconds())

    for now in range(last, last + size + 2):
        assert 0.0 <= window.average(now=float(now)) <= busiest * (1 + 1e-9) + 1e-6


@given(
    records=records, size=st.integers(1, 12), aggregation=st.sampled_from(Aggregation)
)
def test_asking_changes_nothing(
    records: list[tuple[int, float]], size: int, aggregation: Aggregation
):
    asked, quiet = Window(size, aggregation), Window(size, aggregation)
    for second, load in records:
        asked.record(load, now=float(second))
        quiet.record(load, now=float(second))
        asked.average(now=second + 3.0)
        asked.is_empty(now=second + 3.0)

    assert asked.average(now=41.0) == quiet.average(now=41.0)
