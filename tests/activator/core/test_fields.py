from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.fields import (
    ANSWER,
    CODING,
    CONNECTION,
    DROP,
    HOST,
    LENGTH,
    PASS,
    REQUEST,
    TRAILER,
    Kinds,
    lines,
    tokens,
    without,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"Host", HOST),
        (b"CONTENT-LENGTH", LENGTH),
        (b"transfer-encoding", CODING),
        (b"Connection", CONNECTION),
        (b"Keep-Alive", DROP),
        (b"Proxy-Connection", DROP),
        (b"TE", DROP),
        (b"HTTP2-Settings", DROP),
        (b"Content-Type", PASS),
        (b"Authorization", PASS),
        (b"Trailer", PASS),
    ],
)
def test_a_request_field_is_known_in_any_case(name, kind):
    assert REQUEST[name] == kind
    assert REQUEST[name.swapcase()] == kind


@pytest.mark.parametrize(
    "name", [b"Content_Length", b"Transfer_encoding", b"X_Forwarded_For", b"host_"]
)
def test_a_name_that_a_gateway_would_take_for_a_special_one_is_dropped(name):
    expected = PASS if name == b"host_" else DROP

    assert REQUEST[name] == expected


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"TE",
        b"Authorization", b"Cookie", b"Content-Type", b"X-Forwarded-For", b"Trailer",
        b"Kserve-Isvc-Name", b"Set_Cookie", b"If-Match",
    ],
)  # fmt: skip
def test_what_decides_before_a_body_never_comes_after_it(name):
    assert lines([(name, b"x"), (b"Checksum", b"y")], TRAILER) == b"Checksum: y\r\n"


def test_names_that_are_remembered_are_bounded():
    kinds = Kinds({})

    for number in range(10_000):
        assert kinds[b"x-%d" % number] == PASS
    assert kinds[b"x" * 1_000] == PASS

    assert len(kinds) <= 4_096
    assert b"x" * 1_000 not in kinds


def test_members_of_a_list_are_lower_case_and_not_empty():
    assert tokens(b"") == ()
    assert tokens(b" , Close,\tX-A ,") == (b"close", b"x-a")


def test_trailers_are_written_without_what_frames():
    trailers = [
        (b"X-Sum", b"1"),
        (b"Content-Length", b"9"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Keep-Alive", b"a"),
    ]

    assert lines(trailers, ANSWER) == b"X-Sum: 1\r\n"


NAMES = st.sampled_from([b"a", b"A", b"b", b"c"])


@given(st.lists(NAMES), st.sets(st.sampled_from([b"a", b"b"])))
def test_what_is_named_goes_and_the_rest_stays_in_order(names, named):
    written = [b"%b: v:%d" % (name, at) for at, name in enumerate(names)]

    kept = without(written, named)

    assert kept == [line for line in written if line[:1].lower() not in named]
