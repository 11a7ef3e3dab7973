from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.domain import RevisionKey, Route
from autoscaler.core.envelope import (
    LARGEST,
    WORD,
    Opened,
    expected,
    framed,
    opened,
    read,
    spoken,
    written,
)
from autoscaler.core.frames import (
    DownFrame,
    Handshake,
    Hello,
    Leaving,
    Routing,
    UpFrame,
    Welcome,
)
from autoscaler.core.messages import Wake
from autoscaler.core.wire import WireError

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
WAKE = Wake(key=RevisionKey("ns", "iris"), reporter="a", epoch=1, held=2)


@pytest.mark.parametrize("union", [UpFrame, DownFrame], ids=["up", "down"])
@given(data=st.data())
def test_what_comes_out_of_a_frame_is_what_went_in(union: Any, data: st.DataObject):
    facts = data.draw(st.lists(st.from_type(union), max_size=4))

    frame = framed([written(each) for each in facts], 1)

    assert opened(frame, union) == Opened(messages=facts)
    assert json.loads(frame)["v"] == 1


@given(data=st.data())
def test_a_word_of_the_handshake_stands_alone(data: st.DataObject):
    fact = data.draw(st.from_type(Handshake))

    frame = spoken(fact)

    if len(frame) > WORD:
        with pytest.raises(WireError, match="at most 4096"):
            read(frame, Handshake)
    else:
        assert read(frame, Handshake) == fact


def test_a_word_of_the_handshake_is_short():
    with pytest.raises(WireError, match="has 4097 characters, at most 4096"):
        read(spoken(Welcome()).ljust(WORD + 1), Handshake)

    assert read(spoken(Welcome()).ljust(WORD), Handshake) == Welcome()


def test_a_word_counts_only_in_its_turn():
    assert expected(Welcome(), Welcome) == Welcome()
    with pytest.raises(WireError, match="has Welcome, must be Hello"):
        expected(Welcome(), Hello)


def test_types_of_a_newer_release_are_told_apart_from_what_is_wrong():
    texts = [
        '{"type": "Hum", "key": 7}',
        written(WAKE),
        '{"type": "Wake", "held": "x"}',
        "7",
        '{"type": 7}',
    ]

    found = opened(framed(texts, 9), UpFrame)

    assert found.messages == [WAKE]
    assert found.unknown == ["Hum"]
    assert [each.split(",")[0] for each in found.wrong] == [
        "message.key is missing",
        "message.type = None",
        "message.type = 7",
    ]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param("", "is not JSON", id="nothing"),
        pytest.param("[" * 100_000, "is not JSON", id="deep"),
        pytest.param('{"messages":[NaN]}', "NaN is no number", id="nan"),
        pytest.param("7", "must be a list", id="number"),
        pytest.param('{"messages":{}}', "must be a list", id="object"),
        pytest.param(" " * (LARGEST + 1), "at most 1048576", id="large"),
        pytest.param("1" * 5000, "is not JSON", id="a long number"),
    ],
)
def test_what_is_no_frame_is_refused(frame: str, said: str):
    with pytest.raises(WireError, match=said):
        opened(frame, UpFrame)


@given(st.text())
def test_any_text_is_a_frame_or_is_refused(text: str):
    try:
        found = opened(text, UpFrame)
    except WireError:
        return
    assert not found.messages


def test_a_message_that_fits_no_frame_is_not_written():
    route = Route(namespace="ns", service="iris", hosts=("x" * LARGEST,))

    with pytest.raises(WireError, match="a Routing has 10487.. characters"):
        written(Routing(routes=(route,)))


@pytest.mark.parametrize(
    "texts",
    [[], [written(Welcome())] * 2, ['{"type": "Hum"}'], ["7"], [written(Leaving(reporter="a"))]],
    ids=["none", "two", "unknown", "wrong", "not of the handshake"],
)  # fmt: skip
def test_a_handshake_is_one_message_at_a_time(texts: list[str]):
    with pytest.raises(WireError, match="must be one message"):
        read(framed(texts, 1), Handshake)
