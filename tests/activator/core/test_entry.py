"""Lines of an access log: readable, one each, whatever strangers say."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.entry import (
    LONGEST,
    NOBODY,
    Course,
    as_combined,
    as_json,
    asked_by,
    cut,
    hidden,
    trace_of,
    whose,
)
from activator.core.exchange import Exchange

AT = b"2026-11-25T07:51:52.123Z"
COURSE: Course = (whose("ns", "iris"), b"r1", 1, b"2.5", b"0", b"0.000100", 2.6)
COMBINED = re.compile(
    rb'(\S+) - - \[([^\]]*)\] "((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*)" (\d{3}) (\d+) '
    rb'"((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})+)" "((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})+)"\n'
)


def asked(*fields: tuple[bytes, bytes], target: bytes = b"/a", method=b"GET", keep=True,
          version: str = "1.1") -> Exchange:  # fmt: skip
    exchange = Exchange(method, target)
    assert exchange.ask([(b"Host", b"h"), *fields], keep, lambda: version) is None
    return exchange


def read(exchange: Exchange, client: bytes = b"10.0.0.1") -> dict[str, object]:
    line = as_json(AT, client, exchange, (200, b"ok", 21, 3), COURSE)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    found: dict[str, object] = json.loads(line)
    return found


def test_a_json_line_has_all_that_is_known():
    exchange = asked(
        (b"User-Agent", b"curl/8"),
        (b"referer", b"http://a/b"),
        (b"X-Request-ID", b"id-1"),
        (b"x-request-id", b"id-2"),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (b"Authorization", b"Bearer hush"),
        (b"Cookie", b"a=hush"),
    )

    assert read(exchange) == {
        "time": "2026-11-25T07:51:52.123Z",
        "client": "10.0.0.1",
        "method": "GET",
        "target": "/a",
        "protocol": "HTTP/1.1",
        "host": "h",
        "referer": "http://a/b",
        "user_agent": "curl/8",
        "request_id": "id-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "status": 200,
        "outcome": "ok",
        "bytes_sent": 21,
        "bytes_received": 3,
        "namespace": "ns",
        "revision": "iris",
        "replica": "r1",
        "retries": 1,
        "hold_s": 2.5,
        "connect_s": 0,
        "first_byte_s": 0.0001,
        "duration_s": 2.6,
    }


def test_a_combined_line_is_what_web_servers_write():
    known = asked((b"User-Agent", b"curl/8"), (b"Referer", b"http://a/b"))
    bare = asked(keep=False, version="1.0")

    assert (
        as_combined(b"25/Nov/2026:07:51:52 +0000", b"::1", known, (200, b"ok", 21, 3), COURSE)
        == b'::1 - - [25/Nov/2026:07:51:52 +0000] "GET /a HTTP/1.1" 200 21 "http://a/b" "curl/8"\n'
    )  # fmt: skip
    assert as_combined(AT, b"::1", bare, (499, b"left", 0, 0), COURSE).endswith(
        b'"GET /a HTTP/1.0" 499 0 "-" "-"\n'
    )
    assert as_combined(
        AT, b"::1", asked_by(b""), (400, b"left", 0, 0), COURSE
    ).endswith(b'"-" 400 0 "-" "-"\n')
    odd = as_combined(AT, b"::1", asked(target=b'/"?\xe2'), (200, b"ok", 0, 0), COURSE)
    assert b'"GET /\\x22?\\xE2 HTTP/1.1"' in odd


HOSTILE = st.binary(max_size=60) | st.sampled_from(
    [b'"}\n{"a":"', b"\x00\x1b[2J\x7f\xff", b"\xe2\x80\xa8\r\n", b"\\", b"a" * 5000]
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_nothing_that_is_said_ends_a_line_or_a_value(
    method, path, agent, referer, peer
):
    exchange = Exchange(method, b"/" + path)
    exchange.agent = agent
    referer = referer.replace(b"\n", b"")
    for name in (b"Referer", b"x-request-id", b"TraceParent"):
        exchange.lines.append(b"%b: %b" % (name, referer))

    found = read(exchange, peer)
    line = as_combined(
        b"now", peer.strip() or b"-", exchange, (200, b"ok", 1, 2), COURSE
    )

    assert len(found) == 22
    assert found["status"] == 200
    assert found["namespace"] == "ns"
    if max(map(len, (path, agent, referer))) < LONGEST:
        shown = agent.decode("utf-8", "backslashreplace")
        assert found["user_agent"] == shown
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.count(b'"') == 6
    assert all(each >= 0x20 for each in line[:-1])


@given(st.binary(max_size=3000))
def test_what_is_long_is_cut_and_says_so(value):
    shown = cut(value)

    assert (
        shown == value if len(value) <= LONGEST else shown.startswith(value[:LONGEST])
    )
    assert len(shown) <= LONGEST + 10
    if len(value) > LONGEST:
        assert shown.endswith(b"...+%d" % (len(value) - LONGEST))


@pytest.mark.parametrize(
    "said",
    [
        b"GET /%s HTTP/1.1" % (b"a" * 20_000),
        b"GET /?" + b"?" * 20_000,
        b"GET /?" + b"key" * 7_000,
        b"\n" * 20_000,
    ],
)
def test_a_line_is_bounded(said):
    exchange = asked_by(said)
    exchange.agent = b"\x00" * 20_000

    for form in (as_json, as_combined):
        assert len(form(AT, b"::1", exchange, (414, b"left", 0, 0), COURSE)) < 32_000


@pytest.mark.parametrize(
    "name",
    [b"token", b"api_key", b"apikey", b"Key", b"X-Amz-Signature", b"sig", b"password",
     b"client_secret", b"access_token", b"auth", b"code"],
)  # fmt: skip
def test_values_that_are_secret_by_their_names_are_not_shown(name):
    target = b"/a?x=1&%b=hush&y=2" % name
    exchange = asked((b"Referer", b"http://me:hush@b/?%b=hush" % name), target=target)

    for form in (as_json, as_combined):
        line = form(AT, b"::1", exchange, (200, b"ok", 0, 0), COURSE)
        assert b"hush" not in line
        assert b"/a?x=1&%b=***&y=2" % name in line
    assert hidden(b"/a?x=1&y=2;z=3#key=4") == b"/a?x=1&y=2;z=3#key=4"


@pytest.mark.parametrize(
    ("said", "method", "target"),
    [
        (b"", b"", b""),
        (b"\r\nPOST /a", b"POST", b"/a"),
        (b"GET", b"GET", b""),
        (b"get / HTTP/1.1", b"", b""),
        (b"Authorization: Bearer hush\r\n", b"", b""),
        (b"\x16\x03\x01 \x00", b"", b""),
        (b"GET /a b c\nHost: x", b"GET", b"/a"),
    ],
)
def test_only_what_looks_like_a_request_is_shown_of_a_bad_head(said, method, target):
    exchange = asked_by(said)

    assert (exchange.method, exchange.target) == (method, target)
    assert NOBODY in as_json(
        AT, b"::1", exchange, (400, b"left", 0, 0), (NOBODY, b"", 0, b"0", b"0", b"null", 0.0)
    )  # fmt: skip


@pytest.mark.parametrize(
    "said", [b"", b"00-" + b"A" * 32 + b"-" + b"b" * 16 + b"-01", b"x\n"]
)
def test_what_is_no_trace_has_no_id(said):
    assert trace_of(said) == b""
