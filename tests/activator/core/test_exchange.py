"""One exchange, fed by the parser that feeds it in life, and read back by it."""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.exchange import Exchange
from activator.core.framing import CHUNKED, NONE, UNTIL_CLOSE, Fault

Fields = list[tuple[bytes, bytes]]


def never() -> str:
    raise AssertionError("the version was asked for, which costs on the hot path")


def asked(*fields: tuple[bytes, bytes], method=b"GET", target=b"/", keep=True,
          version="1.1") -> Exchange:  # fmt: skip
    exchange = Exchange(method, target)
    if not any(name.lower() == b"host" for name, _ in fields) and version == "1.1":
        fields = ((b"Host", b"h"), *fields)
    assert exchange.ask(fields, keep, lambda: version) is None
    return exchange


def fault(*fields: tuple[bytes, bytes], method=b"GET", target=b"/", keep=True,
          version="1.1") -> Fault:  # fmt: skip
    found = Exchange(method, target).ask(fields, keep, lambda: version)
    assert isinstance(found, Fault)
    return found


def head(exchange: Exchange, path=b"/") -> list[bytes]:
    written = exchange.request_head(path, b"192.0.2.7")
    assert written.endswith(b"\r\n\r\n")
    return written[:-4].split(b"\r\n")


OURS = [
    b"X-Forwarded-For: 192.0.2.7",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: h",
    b"Via: 1.1 fromzero",
]
HOST = (b"Host", b"h")


@dataclass
class Read:
    """What the parser says of one message."""

    fields: Fields = field(default_factory=list)
    url: bytes = b""
    body: bytes = b""
    complete: bool = False
    begun: int = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def parse_request(data: bytes) -> tuple[Read, httptools.HttpRequestParser]:
    read = Read()
    parser = httptools.HttpRequestParser(read)
    parser.feed_data(data)
    return read, parser


def parse_answer(data: bytes) -> tuple[Read, httptools.HttpResponseParser]:
    read = Read()
    parser = httptools.HttpResponseParser(read)
    parser.feed_data(data)
    return read, parser


# The request's head.


def test_a_plain_head_goes_on_with_our_own_fields():
    exchange = Exchange(b"GET", b"/v1/models")
    fields = [(b"host", b" h "), (b"Accept", b"*/*"), (b"User-Agent", b"curl/8")]

    assert exchange.ask(fields, True, never) is None

    assert head(exchange, b"/v1") == [
        b"GET /v1 HTTP/1.1",
        b"Host: h",
        b"Accept: */*",
        b"User-Agent: curl/8",
        *OURS,
    ]
    assert exchange.stays
    assert exchange.length == NONE
    assert exchange.agent == b"curl/8"
    assert exchange.upload() == b""


def test_what_belongs_to_one_connection_does_not_pass():
    exchange = asked(
        (b"Connection", b"close, X-Secret"),
        (b"connection", b"keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMAAABkAAQ"),
        (b"x-secret", b"1"),
        (b"X-Open", b"2"),
        (b"Content_Length", b"3"),
        keep=False,
    )

    assert head(exchange)[2:] == [b"X-Open: 2", *OURS]
    assert not exchange.stays
    assert not exchange.upgrade


CLAIMS = (
    (b"X-Forwarded-For", b"198.51.100.1"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"public.example"),
    (b"X-Forwarded-Port", b"443"),
    (b"X-Real-IP", b"198.51.100.1"),
    (b"Forwarded", b"for=198.51.100.1"),
)


def test_what_a_stranger_says_of_its_client_is_dropped():
    exchange = asked(*CLAIMS, (b"A", b"b"))

    exchange.distrust()

    assert head(exchange)[2:] == [b"A: b", *OURS]
    plain = asked((b"A", b"b"))
    plain.distrust()
    assert head(plain)[2:] == [b"A: b", *OURS]


def test_what_a_proxy_says_of_its_client_is_kept_and_added_to():
    assert head(asked(*CLAIMS))[2:] == [
        b"X-Forwarded-Port: 443",
        b"X-Real-IP: 198.51.100.1",
        b"Forwarded: for=198.51.100.1",
        b"Forwarded: for=192.0.2.7;proto=http",
        b"X-Forwarded-For: 198.51.100.1, 192.0.2.7",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: public.example",
        b"Via: 1.1 fromzero",
    ]


def test_forwarded_fields_are_added_to():
    exchange = asked(
        (b"X-Forwarded-For", b"198.51.100.1"),
        (b"x-forwarded-for", b"198.51.100.2"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Proto", b"gopher"),
        (b"X-Forwarded-Host", b"public.example"),
        (b"X-Forwarded-Host", b"other"),
        (b"Via", b"1.1 edge"),
    )

    assert head(exchange)[2:] == [
        b"Via: 1.1 edge",
        b"X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: public.example",
        b"Via: 1.1 fromzero",
    ]


def test_fields_that_route_and_recognise_are_kept_and_passed_on():
    exchange = asked(
        (b"KServe-Isvc-Name", b" iris "),
        (b"KServe-Isvc-Namespace", b"ns"),
        (b"User-Agent", b"kube-probe/1.30"),
        (b"Idempotency-Key", b"7"),
        method=b"POST",
    )

    assert (exchange.isvc, exchange.namespace) == (b"iris", b"ns")
    assert exchange.agent == b"kube-probe/1.30"
    assert exchange.repeatable
    assert len(head(exchange)) == 2 + 4 + 4


def test_an_absolute_target_replaces_the_host():
    exchange = asked(HOST, target=b"http://other:81/a?b")

    assert (exchange.host, exchange.target) == (b"other:81", b"/a?b")
    assert head(exchange)[1] == b"Host: other:81"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "no Host field"),
        ([HOST, HOST], "more than one Host field"),
        ([HOST, (b"Content-Length", b"1,1")],
         "Content-Length is not one number of bytes"),
        ([HOST, (b"Content-Length", b"1"), (b"Content-Length", b"1")],
         "Content-Length is not one number of bytes"),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
         "more than one Transfer-Encoding field"),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")],
         "Transfer-Encoding can only be chunked"),
        ([HOST, (b"Transfer-Encoding", b"")], "Transfer-Encoding can only be chunked"),
        ([HOST, (b"Content-Length", b"4"), (b"Transfer-Encoding", b"")],
         "both Content-Length and Transfer-Encoding"),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"0")],
         "both Content-Length and Transfer-Encoding"),
        ([(b"Host", b"a b")], "Host is not a host and a port"),
        ([(b"Host", b" ")], "an empty Host field"),
    ],
)  # fmt: skip
def test_a_head_with_two_meanings_is_a_fault(fields, reason):
    assert fault(*fields, method=b"POST") == Fault(400, reason)


def test_an_expectation_that_nobody_can_meet_is_a_fault_of_its_own():
    assert fault(HOST, (b"Expect", b"a-miracle")).status == 417


def test_space_around_a_value_is_no_part_of_it():
    passed = head(asked(HOST, (b"A", b"b\t"), (b"C", b"d\te \t "), (b"E", b"\t")))

    assert passed[2:5] == [b"A: b", b"C: d\te", b"E:"]


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
def test_another_version_is_not_spoken(version):
    assert fault(HOST, keep=False, version=version).status == 505


def test_http_1_0_needs_no_host_keeps_on_request_and_knows_no_coding():
    exchange = asked((b"Connection", b"keep-alive"), (b"Expect", b"100-continue"),
                     version="1.0")  # fmt: skip
    assert exchange.old
    assert exchange.stays
    assert not exchange.expects
    # An empty one would be right, and is refused by nginx.
    assert head(exchange)[:2] == [b"GET / HTTP/1.1", b"Host: localhost"]

    assert not asked(keep=False, version="1.0").stays
    assert not asked((b"Connection", b"Upgrade"), version="1.0").stays
    coded = fault((b"Transfer-Encoding", b"chunked"), keep=False, version="1.0")
    assert coded == Fault(400, "Transfer-Encoding in HTTP/1.0")


@pytest.mark.parametrize(
    ("more", "is_one"),
    [
        pytest.param({}, True, id="as browsers ask"),
        pytest.param({"method": b"POST"}, False, id="only by GET"),
        pytest.param({"version": "1.0"}, False, id="not in 1.0"),
    ],
)
def test_a_websocket_is_asked_for(more, is_one):
    exchange = asked(
        HOST,
        (b"Connection", b"keep-alive, Upgrade"),
        (b"Upgrade", b"WebSocket"),
        (b"Sec-WebSocket-Key", b"x"),
        **more,
    )

    assert exchange.upgrade is is_one
    assert (b"Upgrade: websocket" in head(exchange)) is is_one
    assert (b"Connection: Upgrade" in head(exchange)) is is_one
    assert b"Sec-WebSocket-Key: x" in head(exchange)


def test_two_upgrades_are_none():
    exchange = asked(
        (b"Connection", b"upgrade"), (b"Upgrade", b"websocket"), (b"Upgrade", b"h2c")
    )

    assert not exchange.upgrade


# The request's body.


def test_a_body_of_a_known_length_goes_on_as_it_comes():
    exchange = asked((b"Content-Length", b"6"), method=b"POST")
    assert b"Content-Length: 6" in head(exchange)

    exchange.body(b"ab")
    exchange.body(b"")
    assert exchange.upload() == b"ab"
    exchange.body(b"cd")
    exchange.body(b"ef")
    assert exchange.upload() == b"cdef"
    assert exchange.upload() == b""
    assert exchange.received == 6


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([(b"X-Id", b"a")], b"a"),
        ([(b"x-ID", b" a:b ")], b"a:b"),
        ([(b"X-Id-2", b"c"), (b"X-Id", b"a"), (b"X-Id", b"b")], b"a"),
        ([(b"X-Id-2", b"c")], b""),
        ([(b"X-Id", b"a"), (b"Connection", b"x-id")], b""),
    ],
)
def test_a_field_that_is_passed_on_says_its_first_value(fields, value):
    assert asked(*fields).field(b"x-id") == value


def test_a_body_that_is_kept_can_be_sent_again():
    exchange = asked((b"Transfer-Encoding", b"chunked"), method=b"PUT")
    exchange.body(b"abc")
    assert exchange.upload() == b"3\r\nabc\r\n"
    exchange.complete = True
    assert exchange.upload() == b"0\r\n\r\n"
    assert exchange.upload() == b""
    assert exchange.replayable

    exchange.rewind()
    assert exchange.upload() == b"3\r\nabc\r\n0\r\n\r\n"


def test_a_body_that_is_forgotten_cannot():
    exchange = asked((b"Content-Length", b"4"), method=b"PUT")
    exchange.body(b"ab")
    assert exchange.upload() == b"ab"
    exchange.body(b"c")

    exchange.forget()

    assert not exchange.replayable
    assert exchange.pieces == [b"c"]
    assert exchange.upload() == b"c"
    assert exchange.pieces == []
    exchange.body(b"d")
    assert exchange.upload() == b"d"


def test_an_empty_piece_does_not_end_a_chunked_body():
    exchange = asked((b"Transfer-Encoding", b"chunked"), method=b"POST")
    exchange.body(b"")

    assert exchange.upload() == b""
    assert b"Transfer-Encoding: chunked" in head(exchange)


def test_trailers_pass_without_what_frames():
    exchange = asked((b"Transfer-Encoding", b"chunked"), method=b"POST")
    exchange.trailers = [(b"X-Sum", b"1"), (b"Content-Length", b"9"), (b"Host", b"x")]
    exchange.complete = True

    assert exchange.upload() == b"0\r\nX-Sum: 1\r\n\r\n"


# The answer.


def answered(exchange: Exchange, status=200, *fields: tuple[bytes, bytes], keep=True,
             version="1.1", extra=b"") -> list[bytes]:  # fmt: skip
    written = exchange.answer(status, fields, keep, lambda: version, extra)
    assert isinstance(written, bytes)
    assert written.endswith(b"\r\n\r\n")
    return written[:-4].split(b"\r\n")


def test_an_answer_of_a_known_length_passes_through():
    exchange = asked()
    fields = [(b"Content-Length", b"2"), (b"X-A", b"1"), (b"Keep-Alive", b"timeout=5")]

    written = exchange.answer(200, fields, True, never, b"X-Ours: 1\r\n")

    assert (
        written
        == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\nX-Ours: 1\r\n\r\n"
    )
    assert exchange.piece(b"ab") == b"ab"
    assert exchange.end() == b""
    assert exchange.upstream_stays
    assert exchange.stays
    assert (exchange.status, exchange.answer_length) == (200, 2)


@pytest.mark.parametrize(
    ("fields", "keep", "version", "length"),
    [
        ([(b"Transfer-Encoding", b"chunked")], True, "1.1", CHUNKED),
        ([(b"Transfer-Encoding", b"Chunked")], False, "1.1", CHUNKED),
        ([], False, "1.1", UNTIL_CLOSE),
        ([], False, "1.0", UNTIL_CLOSE),
    ],
)
def test_an_answer_of_unknown_length_is_chunked_anew(fields, keep, version, length):
    exchange = asked()

    written = answered(exchange, 200, *fields, keep=keep, version=version)

    assert written == [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"]
    assert exchange.answer_length == length
    assert exchange.upstream_stays is keep
    assert exchange.stays
    assert exchange.piece(b"abc") == b"3\r\nabc\r\n"
    assert exchange.piece(b"") == b""
    assert exchange.end() == b"0\r\n\r\n"
    assert exchange.end([(b"X-Sum", b"1")]) == b"0\r\nX-Sum: 1\r\n\r\n"


def test_a_client_of_http_1_0_gets_an_end_that_it_understands():
    chunked = (b"Transfer-Encoding", b"chunked")
    exchange = asked((b"Connection", b"keep-alive"), version="1.0")
    assert answered(exchange, 200, chunked) == [b"HTTP/1.1 200 OK",
                                                b"Connection: close"]  # fmt: skip
    assert not exchange.stays
    assert exchange.piece(b"abc") == b"abc"
    assert exchange.end([(b"X-Sum", b"1")]) == b""

    exchange = asked((b"Connection", b"keep-alive"), version="1.0")
    written = answered(exchange, 200, (b"Content-Length", b"1"))
    assert written[1:] == [b"Content-Length: 1", b"Connection: keep-alive"]


@pytest.mark.parametrize(
    ("method", "status", "fields", "expected"),
    [
        (b"HEAD", 200, [(b"Content-Length", b"9")], [b"Content-Length: 9"]),
        (b"HEAD", 200, [], []),
        (b"GET", 304, [(b"Content-Length", b"9")], [b"Content-Length: 9"]),
        (b"GET", 204, [(b"Content-Length", b"0")], []),
        (b"GET", 204, [(b"Transfer-Encoding", b"chunked")], []),
    ],
)
def test_an_answer_without_a_body_frames_none(method, status, fields, expected):
    exchange = asked(method=method)

    assert answered(exchange, status, *fields)[1:] == expected
    assert exchange.answer_length == NONE
    assert exchange.end() == b""


def test_a_client_that_asked_to_close_is_told_so():
    exchange = asked((b"Connection", b"close"), keep=False)

    written = answered(exchange, 200, (b"Content-Length", b"0"))

    assert written[-1] == b"Connection: close"


def test_what_belongs_to_the_replicas_connection_does_not_pass():
    written = answered(
        asked(),
        200,
        (b"Connection", b"X-Secret"),
        (b"Connection", b"keep-alive"),
        (b"X-Secret", b"1"),
        (b"Upgrade", b"h2c"),
        (b"X-Open", b"2"),
        (b"Content-Length", b"0"),
    )

    assert written == [b"HTTP/1.1 200 OK", b"X-Open: 2", b"Content-Length: 0"]


@pytest.mark.parametrize(
    ("status", "fields", "version"),
    [
        (200, [(b"Content-Length", b"x")], "1.1"),
        (200, [(b"Content-Length", b"1"), (b"Content-Length", b"2")], "1.1"),
        (200, [(b"Transfer-Encoding", b"gzip")], "1.1"),
        (200, [(b"Transfer-Encoding", b"chunked")] * 2, "1.1"),
        (200, [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"1")], "1.1"),
        (200, [(b"Transfer-Encoding", b"chunked")], "1.0"),
        (200, [], "0.9"),
        (101, [], "1.1"),
        (600, [], "1.1"),
    ],
)
def test_an_answer_with_two_meanings_is_a_bad_gateway(status, fields, version):
    found = asked().answer(status, fields, False, lambda: version)

    assert isinstance(found, Fault)
    assert found.status == 502


def test_a_switch_to_websocket_passes_what_it_needs():
    exchange = asked()
    fields = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"),
              (b"Sec-WebSocket-Accept", b"y")]  # fmt: skip

    assert exchange.switch(fields) == (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert (exchange.status, exchange.answered) == (101, True)


# What passes through is read by the next parser as it was read by ours.

NAMES = st.sampled_from(
    [b"Accept", b"X-A", b"x-b", b"Content-Type", b"Connection", b"Keep-Alive",
     b"Content_Length", b"TE", b"Upgrade", b"Trailer", b"X-Forwarded-For"]
)  # fmt: skip
VALUES = st.from_regex(rb"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)
FRAMING = st.sampled_from(
    [b"", b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n",
     b"transfer-encoding:chunked\r\ncontent-length: %d\r\n", b"Transfer-Encoding:\r\n"]
)  # fmt: skip


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    FRAMING,
    st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    st.sampled_from([b"GET", b"POST", b"PUT"]),
)
def test_a_request_is_read_on_the_other_side_as_it_was_read_here(
    fields, framing, pieces, method
):
    body = b"".join(pieces)
    declared = framing % len(body) if b"%" in framing else framing
    raw = b"%b /a?b HTTP/1.1\r\nHost: h\r\n" % method
    raw += b"".join(b"%b: %b\r\n" % each for each in fields) + declared + b"\r\n"
    try:
        here, parser = parse_request(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return
    exchange = Exchange(method, here.url)
    keep = parser.should_keep_alive()
    if exchange.ask(here.fields, keep, parser.get_http_version) is not None:
        return
    if exchange.length != NONE:
        for piece in pieces:
            exchange.body(piece)
    exchange.complete = True

    written = exchange.request_head(here.url, b"192.0.2.7") + exchange.upload()
    there, _ = parse_request(written)

    assert there.complete
    assert there.begun == 1
    assert there.url == b"/a?b"
    assert there.body == (body if exchange.length != NONE else b"")
    names = {name.lower() for name, _ in there.fields}
    assert not names & {b"te", b"keep-alive", b"content_length"}
    assert exchange.upgrade or not names & {b"connection", b"upgrade"}


@given(
    st.lists(st.binary(max_size=40), max_size=5),
    st.sampled_from([b"length", b"chunked", b"close"]),
    st.booleans(),
)
def test_an_answer_is_read_by_the_client_as_it_was_read_here(pieces, framing, old):
    body = b"".join(pieces)
    fields = {
        b"length": [(b"Content-Length", b"%d" % len(body))],
        b"chunked": [(b"Transfer-Encoding", b"chunked")],
        b"close": [],
    }[framing]
    exchange = asked((b"Connection", b"keep-alive"), version="1.0" if old else "1.1")

    keep = framing != b"close"
    written = exchange.answer(200, fields, keep, lambda: "1.1")
    assert isinstance(written, bytes)
    written += b"".join(map(exchange.piece, pieces)) + exchange.end()
    there, _ = parse_answer(written)

    assert there.body == body
    assert there.complete or not exchange.stays


@pytest.mark.parametrize(
    ("fields", "version", "seen"),
    [
        ([(b"Content-Length", b"5")], "1.0", True),
        ([(b"Content-Length", b"5")], "1.1", True),
        ([(b"Transfer-Encoding", b"chunked")], "1.0", False),
        ([(b"Transfer-Encoding", b"chunked")], "1.1", True),
        ([], "1.0", False),
        ([], "1.1", True),
    ],
)
def test_a_client_sees_where_an_answer_ends_unless_only_its_connection_says(
    fields, version, seen
):
    exchange = asked(version=version, keep=version == "1.1")

    exchange.answer(200, fields, True, lambda: "1.1")

    assert exchange.ends_seen == seen
