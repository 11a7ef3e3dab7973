"""What a held client says reaches its server as it was, but for one acknowledgement."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.greeting import Greeting
from activator.h2 import ACK, PING, PREFACE, SETTINGS, frame

ACKNOWLEDGED = frame(SETTINGS, flags=ACK)
OTHER = st.one_of(
    st.builds(lambda n: frame(SETTINGS, bytes(6 * n)), st.integers(0, 3)),
    st.binary(min_size=8, max_size=8).map(lambda data: frame(PING, data, flags=1)),
    st.builds(
        lambda data, stream: frame(0, data + ACKNOWLEDGED, stream=stream),
        st.binary(max_size=60), st.integers(1, 9),
    ),
)  # fmt: skip


def fed(whole: bytes, cuts: list[int]) -> bytes:
    greeting, passed = Greeting(), b""
    for cut in cuts:
        passed += greeting.feed(whole[:cut])
        whole = whole[cut:]
    return passed + greeting.feed(whole)


@given(
    st.lists(OTHER, max_size=6),
    st.lists(st.one_of(OTHER, st.just(ACKNOWLEDGED)), max_size=6),
    st.lists(st.integers(0, 30), max_size=60),
)
def test_only_the_first_acknowledgement_is_missing(before, after, cuts):
    said = PREFACE + b"".join(before) + ACKNOWLEDGED + b"".join(after)

    assert fed(said, cuts) == PREFACE + b"".join(before) + b"".join(after)


@given(st.lists(OTHER, max_size=6), st.lists(st.integers(0, 30), max_size=60))
def test_without_one_nothing_is(said, cuts):
    whole = PREFACE + b"".join(said)

    assert fed(whole, cuts) == whole


@given(st.binary(max_size=200))
def test_what_is_kept_back_is_never_more_than_the_start_of_what_is_awaited(data):
    greeting = Greeting()
    passed = greeting.feed(PREFACE + data)[len(PREFACE) :]

    missing = len(data) - len(passed)
    if greeting.over:
        assert missing == len(ACKNOWLEDGED)
    else:
        assert data == passed + ACKNOWLEDGED[:missing]
        assert missing < len(ACKNOWLEDGED)


def test_who_never_acknowledges_is_passed_on_unread_at_last():
    greeting = Greeting()
    said = PREFACE + frame(SETTINGS) * 20_000

    assert greeting.feed(said) == said
    assert greeting.over
    ack = frame(SETTINGS, flags=ACK)
    assert greeting.feed(ack) == ack
