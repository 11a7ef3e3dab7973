"""The activator's own answers, as clients of each protocol read them."""

from __future__ import annotations

import json
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.answers import Own, as_json, error, head, is_openai, retry_after, waited

CHAT = b"/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "openai"),
    [
        (CHAT, True),
        (b"/openai/v1/chat/completions", True),
        (b"/openai/v1/models/llm", True),
        (b"/v1/embeddings?a=b", True),
        (b"/v1/models", True),
        (b"/v1/models/iris:predict", False),
        (b"/v1/models/iris", False),
        (b"/v2/models/iris/infer", False),
        (b"/v1beta/x", False),
        (b"/", False),
        (b"", False),
    ],
)
def test_v1_is_openais_but_for_what_kserve_has_there(path, openai):
    assert is_openai(path) == openai


@given(
    st.sampled_from([400, 404, 405, 408, 413, 417, 429, 431, 502, 503, 504]), st.text()
)
def test_an_error_says_its_reason_where_each_client_looks_for_it(status, reason):
    kserve = error(b"/v2/models/iris/infer", status, reason)
    openai = error(CHAT, status, reason)

    assert json.loads(kserve.body) == {"error": reason}
    said = json.loads(openai.body)["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    assert said["message"] == reason
    assert isinstance(said["type"], str)
    assert isinstance(said["code"], str)
    assert kserve.status == openai.status == status
    assert kserve.kind == openai.kind == b"application/json"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "invalid_request_error"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (503, "server_error"),
    ],
)
def test_an_openai_error_is_of_the_kind_of_its_status(status, kind):
    assert json.loads(error(CHAT, status, "x").body)["error"]["type"] == kind


@given(
    own=st.builds(
        Own,
        st.sampled_from([200, 404, 429, 503]),
        st.binary(),
        st.just(b"application/json"),
    ),
    seconds=st.none() | st.floats(0.0, 1e6),
    held_s=st.none() | st.floats(0.0, 1e6),
    stays=st.booleans(),
)
def test_a_head_is_whole_and_its_length_is_the_bodys(own, seconds, held_s, stays):
    more = b"" if seconds is None else retry_after(seconds)
    more += b"" if held_s is None else waited(held_s)

    written = head(own, more, stays=stays)

    assert written.endswith(b"\r\n\r\n")
    first, *lines = written[:-4].split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % own.status)
    fields = dict(line.split(b": ", 1) for line in lines)
    assert len(fields) == len(lines)
    assert fields[b"Content-Length"] == b"%d" % len(own.body)
    assert fields[b"Content-Type"] == own.kind
    assert fields.get(b"Connection") == (None if stays else b"close")
    assert (b"Retry-After" in fields) == (seconds is not None)
    assert (b"Server-Timing" in fields) == (held_s is not None)


@given(st.floats(0.0, 1e9))
def test_nobody_is_told_to_come_again_before_it_helps(seconds):
    name, value = retry_after(seconds).rstrip(b"\r\n").split(b": ")

    assert name == b"Retry-After"
    assert int(value) >= seconds
    assert int(value) == max(1, ceil(seconds))


def test_a_hold_is_told_in_milliseconds_and_in_seconds():
    assert waited(0.0004) == (
        b"Server-Timing: hold;dur=0.4\r\nX-Fromzero-Cold-Start: 0.000\r\n"
    )
    assert waited(61.5) == (
        b"Server-Timing: hold;dur=61500.0\r\nX-Fromzero-Cold-Start: 61.500\r\n"
    )


@given(st.text())
def test_no_reason_breaks_out_of_its_body(reason):
    """Reasons repeat what clients and replicas said; a body of JSON is all ASCII."""
    body = as_json({"error": reason})

    assert body.isascii()
    assert b"\n" not in body
    assert json.loads(body) == {"error": reason}
