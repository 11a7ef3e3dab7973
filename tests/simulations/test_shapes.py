"""Generated traces: as many requests as asked for, of the shape asked for, each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.formats.known import parse, written
from simulations.shapes import SHAPES, Shape, Sizes, made
from simulations.trace import TraceError

DAY = 86_400.0


def shape(kind: str, **changes) -> Shape:
    return Shape(**{"kind": kind, "rate": 0.5, "span_s": 2 * DAY, **changes})


@pytest.mark.parametrize("kind", SHAPES)
def test_the_rate_is_what_was_asked_for_and_a_seed_makes_the_same_again(kind):
    counts = [len(made(shape(kind, cv=1.5), Sizes(), seed=seed)) for seed in range(8)]

    assert np.mean(counts) == pytest.approx(DAY, rel=0.15)
    one, same = (made(shape(kind), Sizes(service_s=3.0), seed=4) for _ in range(2))
    assert one.digest == same.digest
    assert one.digest != made(shape(kind), Sizes(service_s=3.0), seed=5).digest
    assert one.span_s == 2 * DAY


@pytest.mark.parametrize("kind", ["weibull", "gamma"])
def test_gaps_vary_as_much_as_was_asked_for(kind):
    gaps = np.diff(made(shape(kind, cv=2.0), Sizes()).arrivals)

    assert gaps.std() / gaps.mean() == pytest.approx(2.0, rel=0.15)


def test_a_day_has_its_peak_at_noon_and_its_low_at_midnight():
    at = made(shape("diurnal", peak=2.0), Sizes()).arrivals % DAY

    assert (np.abs(at - DAY / 2) < DAY / 8).sum() > 5 * (at < DAY / 8).sum()


@given(
    st.sampled_from([*SHAPES]), st.floats(0.01, 1), st.floats(10, 3_000),
    st.floats(0.2, 50), st.floats(1, 1e4), st.floats(1, 1e4), st.floats(1, 100),
    st.floats(0, 1e6), st.floats(0, 1e6),
)  # fmt: skip
def test_what_is_made_is_read_again(
    kind, rate, span_s, cv, on_s, off_s, peak, tokens, service_s
):
    how = Shape(
        kind=kind, rate=rate, span_s=span_s, cv=cv, on_s=on_s, off_s=off_s, peak=peak
    )
    try:
        one = made(how, Sizes(input_tokens=tokens, service_s=service_s))
    except TraceError as error:
        assert "no request came" in str(error)  # noqa: PT017 - some are too short.
        return

    assert parse(written(one), "x").digest == one.digest


@pytest.mark.parametrize("name", ["", "a\nb", "\x07"])
def test_a_model_has_a_name_that_can_be_read(name):
    with pytest.raises(TraceError, match="must be a name"):
        made(shape("poisson"), Sizes(), model=name)


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf"), 1e9])
def test_sizes_that_cannot_be_are_refused(size):
    for sizes in (Sizes(input_tokens=size), Sizes(service_s=size)):
        with pytest.raises(TraceError, match="must be in"):
            made(shape("poisson"), sizes)


def test_between_stretches_of_on_off_nobody_comes():
    arrivals = made(shape("on-off", on_s=600.0, off_s=6_000.0), Sizes()).arrivals

    assert np.diff(arrivals).max() > 3_000.0


def test_sizes_have_the_means_that_were_asked_for():
    sizes = Sizes(input_tokens=900.0, output_tokens=120.0, service_s=8.0)
    trace = made(shape("poisson"), sizes)

    assert trace.input_tokens.mean() == pytest.approx(900.0, rel=0.05)
    assert trace.output_tokens.mean() == pytest.approx(120.0, rel=0.05)
    assert trace.services.mean() == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize(
    "changes",
    [{"rate": 0.0}, {"rate": -1.0}, {"span_s": float("inf")}, {"cv": 99.0},
     {"kind": "round"}, {"rate": 1e9}, {"on_s": 0.0}, {"span_s": 1e-6},
     {"rate": 1e-6, "span_s": 1e9}, {"on_s": 1e-3, "off_s": 1e-3}, {"peak": 0.5}],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(changes):
    with pytest.raises(TraceError, match="must be|at most|no request came"):
        made(shape(**{"kind": "poisson", **changes}), Sizes())
