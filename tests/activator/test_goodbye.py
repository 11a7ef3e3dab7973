"""Each call is refused once, in frames of HTTP/2, however its bytes come."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activator.goodbye import Goodbye
from activator.h2 import GOAWAY, HEADERS, PING, PREFACE, SETTINGS, frame

DATA = 0


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return kind, flags, stream and payload of each frame; there is nothing else."""
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        assert len(data) >= 9 + length
        stream = int.from_bytes(data[5:9], "big")
        found.append((data[3], data[4], stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


ASKED = st.lists(
    st.one_of(
        st.builds(lambda n: frame(SETTINGS, bytes(6 * n)), st.integers(0, 3)),
        st.just(frame(SETTINGS, flags=1)),
        st.binary(min_size=8, max_size=8).map(lambda data: frame(PING, data)),
        st.binary(max_size=9).map(lambda data: frame(PING, data, flags=1)),
        st.binary(max_size=300).map(lambda data: frame(DATA, data, stream=1)),
        st.builds(
            lambda data, stream: frame(HEADERS, data, flags=4, stream=stream * 2 + 1),
            st.binary(max_size=50),
            st.integers(0, 20),
        ),
    ),
    max_size=12,
)


@given(ASKED, st.lists(st.integers(1, 40), max_size=50))
@example([frame(PING, b"12345678")], [24, 9, 3])
def test_every_call_ping_and_setting_has_one_answer_however_its_bytes_come(asked, cuts):
    whole = PREFACE + b"".join(asked)
    told = Goodbye("no")
    answers = b""
    for cut in cuts:
        answers += told.feed(whole[:cut])
        whole = whole[cut:]
    answers += told.feed(whole)

    newest, expected = 0, []
    for each in asked:
        ((kind, flags, stream, payload),) = frames(each)
        if kind == HEADERS and stream > newest:
            newest = stream
            expected.append((HEADERS, 5, stream))
        elif kind == SETTINGS and not flags:
            expected.append((SETTINGS, 1, 0))
        elif kind == PING and not flags:
            expected.append((PING, 1, payload))
    seen = [
        (kind, flags, payload if kind == PING else stream)
        for kind, flags, stream, payload in frames(answers)
    ]
    assert seen == expected
    ((kind, _, _, payload),) = frames(told.end())
    assert (kind, payload) == (GOAWAY, newest.to_bytes(4, "big") + bytes(4) + b"no")


@given(st.binary(max_size=400))
def test_whatever_comes_is_no_error(data):
    told = Goodbye("no")
    frames(told.feed(PREFACE))
    frames(told.feed(data))


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        pytest.param("exit status 1: no", b"exit status 1: no", id="plain"),
        pytest.param("50 % of ü\n", b"50 %25 of %C3%BC%0A", id="what must be escaped"),
    ],
)
def test_the_reason_is_a_grpc_message_beside_503_and_unavailable(reason, said):
    told = Goodbye(reason)
    told.feed(PREFACE)
    ((_, _, _, fields),) = frames(told.feed(frame(HEADERS, b"", stream=1)))

    assert fields.startswith(b"\x08\x03503")
    assert b"\x0bgrpc-status\x0214" in fields
    assert fields.endswith(b"\x0cgrpc-message" + bytes((len(said),)) + said)


def test_a_long_reason_is_cut_and_its_length_written_in_more_than_one_byte():
    told = Goodbye("x" * 5000)
    told.feed(PREFACE)
    ((_, _, _, fields),) = frames(told.feed(frame(HEADERS, b"", stream=1)))

    assert fields.endswith(b"\x0cgrpc-message\x7f\x81\x07" + b"x" * 1024)


def test_who_asks_without_end_is_answered_so_often_and_no_more():
    goodbye = Goodbye("it does not start")
    calls = b"".join(frame(HEADERS, b"", 4, 2 * n + 1) for n in range(5000))

    answers = goodbye.feed(PREFACE + calls)

    one = len(Goodbye("it does not start").feed(PREFACE + frame(HEADERS, b"", 4, 1)))
    assert len(answers) == 1000 * one
    assert goodbye.feed(calls) == b""
