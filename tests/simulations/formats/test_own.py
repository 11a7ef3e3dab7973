"""Our own format: it says all that a trace does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulations.formats.known import parse, written
from simulations.trace import trace

OURS = "arrival_s,model,input_tokens,output_tokens,service_s\n"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6), st.sampled_from(["a", 'b,"c"', "#d"]), st.integers(-1, 9),
            st.floats(0, 1e4) | st.just(float("nan")),
        ),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_what_is_written_is_read_again_as_the_same(rows):
    rows.sort(key=lambda row: row[0])
    names = tuple(dict.fromkeys(row[1] for row in rows))
    one = trace(
        [row[0] for row in rows],
        source="drawn",
        span_s=2e6,
        models=names,
        model=[names.index(row[1]) for row in rows],
        input_tokens=[row[2] for row in rows],
        services=[row[3] for row in rows],
    )

    again = parse(written(one), "x")

    assert again.digest == one.digest
    assert again.source == "drawn"


def test_requests_that_are_written_as_they_end_are_put_in_order():
    found = parse([OURS, "5,a,,,1\n", "2,b,,,9\n"], "x")

    assert found.arrivals.tolist() == [2.0, 5.0]
    assert found.models[found.model[0]] == "b"
    assert "1 lines put in order" in found.remarks[0]
