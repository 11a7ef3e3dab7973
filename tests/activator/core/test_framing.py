from __future__ import annotations

import pytest

from activator.core.framing import (
    Fault,
    Hosts,
    address,
    is_chunked,
    is_plain,
    length_of,
    status_line,
)


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"-1", b"+1", b"1 2", b"1,1", b"0x10", b"1_0", b"1.0", b"9" * 19,
     b"\xb2", b"1\x0b"],
)  # fmt: skip
def test_a_length_is_one_number_and_nothing_else(value):
    assert length_of(value) is None


def test_a_length_may_have_blanks_around_it_and_zeros_before():
    assert length_of(b" \t007 ") == 7
    assert length_of(b"9" * 18) == 10**18 - 1


@pytest.mark.parametrize(
    "value", [b"", b"identity", b"chunked, chunked", b"xchunked", b"chunked;a=1"]
)
def test_no_coding_but_chunked_is_spoken(value):
    assert not is_chunked(value)


def test_chunked_is_spoken_in_any_case():
    assert is_chunked(b" cHuNkEd\t")


def test_a_status_that_nobody_named_has_an_empty_reason():
    assert status_line(200) == b"HTTP/1.1 200 OK\r\n"
    assert status_line(299) == b"HTTP/1.1 299 \r\n"


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"/a?b", (b"h", b"/a?b")),
        (b"GET", b"//a", (b"h", b"//a")),
        (b"OPTIONS", b"*", (b"h", b"*")),
        (b"GET", b"http://b:1", (b"b:1", b"/")),
        (b"GET", b"HTTPS://b/c?d/e", (b"b", b"/c?d/e")),
        (b"GET", b"http://b?c/d", (b"b", b"/?c/d")),
        (b"GET", b"http://[::1]:80/", (b"[::1]:80", b"/")),
    ],
)
def test_an_absolute_target_says_the_host(method, target, expected):
    assert address(method, target, b"h") == expected


@pytest.mark.parametrize(
    ("method", "target", "host", "reason"),
    [
        (b"CONNECT", b"a:1", b"h", "CONNECT is not served"),
        (b"TRACE", b"/", b"h", "TRACE is not served"),
        (b"SOURCE", b"/", b"h", "SOURCE is not served"),
        (b"GET", b"*", b"h", "the target * is for OPTIONS only"),
        (b"GET", b"a", b"h", "the target is neither a path nor an http URL"),
        (b"GET", b"ftp://a/", b"h", "the target is neither a path nor an http URL"),
        (b"GET", b"", b"h", "the target is neither a path nor an http URL"),
        (b"GET", b"http:///a", b"h", "the target's host is not a host and a port"),
        (b"GET", b"http://", b"h", "the target's host is not a host and a port"),
        (b"GET", b"/a#b", b"h", "the target has a fragment"),
        (b"GET", b"http://u@h/", b"h", "the target's host is not a host and a port"),
        (b"GET", b"/", b"a/b", "Host is not a host and a port"),
        (b"GET", b"/", b"a b", "Host is not a host and a port"),
        (b"GET", b"/", b"a\xe9", "Host is not a host and a port"),
        (b"GET", b"http://h/", b"a b", "Host is not a host and a port"),
    ],
)
def test_a_target_or_host_that_means_nothing_here_is_a_fault(
    method, target, host, reason
):
    assert address(method, target, host) == Fault(400, reason)


@pytest.mark.parametrize(
    "host",
    [
        b"h", b"h.", b"a.b-c.d_e", b"h:", b"h:0", b"h:65535", b"1.2.3.4:80", b"[::1]",
        b"[::ffff:1.2.3.4]:8080", b"a%2Fb", b"~!$&'()*+;=",
    ],
)  # fmt: skip
def test_a_host_is_a_name_or_an_address_with_or_without_a_port(host):
    assert Hosts()[host]
    assert is_plain(b"GET", b"/", host)


@pytest.mark.parametrize(
    "host",
    [
        b"", b".", b"..", b".h", b"a..b", b"h..", b"a,b", b"a b", b"a@b", b"a/b",
        b"a\\b", b":80", b"h:x", b"h:-1", b"h:65536", b"h:000080", b"h:1:2", b"h:1x",
        b"::1", b"[::1", b"::1]", b"[]", b"[1]", b"[::1]x", b"[::g]", b"[1.2.3.4]",
        b"[:::1]", b"a%", b"a%2", b"a%2g", b"a\n", b"a\xe9", b"a\x00", b'"a"', b"a[b",
    ],
)  # fmt: skip
def test_what_two_could_take_for_different_hosts_is_none(host):
    assert not Hosts()[host]
    assert not is_plain(b"GET", b"/", host)


def test_hosts_that_are_remembered_are_bounded():
    hosts = Hosts()

    for number in range(10_000):
        assert hosts[b"h%d" % number]
    assert hosts[b"h" * 1_000]

    assert len(hosts) <= 4_096
