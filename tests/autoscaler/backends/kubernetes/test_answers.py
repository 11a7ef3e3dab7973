"""What an API server's bytes mean, whatever they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.answers import (
    ApiError,
    Lines,
    event,
    parsed,
    refused,
    words,
)
from tests.autoscaler.backends.kubernetes.anything import JSON


@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b)), st.data())
def test_lines_come_whole_however_the_stream_is_cut(sent, data):
    sent = [each for each in sent if each.strip()]
    stream = b"".join(each + b"\n" for each in sent)
    cuts = [*data.draw(st.lists(st.integers(0, len(stream)))), 0, len(stream)]
    lines = Lines()

    found = []
    for begin, end in zip(sorted(cuts), sorted(cuts)[1:], strict=False):
        found += lines.feed(stream[begin:end])
    lines.end()

    assert found == [each.strip() for each in sent]


def test_a_stream_that_ends_in_a_line_broke_off():
    lines = Lines()

    assert lines.feed(b'{"a": 1}\n{"b"') == [b'{"a": 1}']
    with pytest.raises(ApiError, match="broke off"):
        lines.end()


def test_a_line_without_end_is_not_kept_for_ever():
    lines = Lines()

    for _ in range(8):
        lines.feed(b"x" * (1 << 20))

    with pytest.raises(ApiError, match="must be at most 8388608"):
        lines.feed(b"x")


@given(JSON | st.dictionaries(st.sampled_from(["code", "details", "reason"]), JSON))
def test_whatever_a_refusal_says_it_is_an_error_of_its_status(said):
    error = refused(json.dumps(said).encode(), 500)

    assert error.status == 500
    assert error.retry_after_s >= 0.0


@given(st.binary())
def test_what_is_no_object_is_an_error_of_no_status(data):
    try:
        status = 0 if isinstance(parsed(data), dict) else 1
    except ApiError as error:
        status = error.status

    assert status == 0
    assert refused(data, 502).status == 502


def test_depth_is_no_way_to_end_the_process():
    deep = b"[" * 200_000

    with pytest.raises(ApiError):
        parsed(deep)
    assert refused(deep, 400).status == 400


def test_a_status_says_reason_message_and_how_long_to_wait():
    status = {
        "kind": "Status",
        "reason": "TooManyRequests",
        "message": "please wait",
        "details": {"retryAfterSeconds": 7},
    }

    error = refused(json.dumps(status).encode(), 429)

    assert str(error) == "429 TooManyRequests: please wait"
    assert error.retry_after_s == 7.0
    assert refused(b"busy", 429, retry_after="3").retry_after_s == 3.0
    assert refused(b"busy", 429, retry_after="Tue, 1 Jan").retry_after_s == 0.0


def test_an_error_in_a_watch_is_raised_with_its_code():
    line = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}'

    with pytest.raises(ApiError) as caught:
        event(line)

    assert caught.value.status == 410
    with pytest.raises(ApiError) as caught:
        event(b'{"type": "ERROR", "object": 3}')
    assert caught.value.status == 500
    assert event(b'{"type": "ADDED", "object": {}}')["type"] == "ADDED"


def test_an_error_without_words_is_named_by_its_kind():
    assert words(TimeoutError()) == "TimeoutError"
    assert words(OSError("no route")) == "no route"
