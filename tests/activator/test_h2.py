from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.h2 import HEAD, field, frame, length


@given(st.integers(0, 255), st.binary(max_size=70_000), st.integers(0, 2**31 - 1))
def test_a_frame_says_how_long_it_is(kind, payload, stream):
    made = frame(kind, payload, stream=stream)

    assert length(made) == len(payload)
    assert made[HEAD:] == payload
    assert int.from_bytes(made[5:HEAD], "big") == stream


@given(st.binary(max_size=200), st.binary(max_size=70_000))
def test_a_field_can_be_read_as_the_standard_says(name, value):
    """RFC 7541, 5.1: seven bits, and if all are set, seven more in each byte."""
    left = field(name, value)
    assert left[0] == 0
    left = left[1:]
    for expected in (name, value):
        size, at = left[0], 1
        if size == 127:
            shift = 0
            while True:
                size += (left[at] & 127) << shift
                shift += 7
                at += 1
                if left[at - 1] < 128:
                    break
        assert left[at : at + size] == expected
        left = left[at + size :]
    assert left == b""
