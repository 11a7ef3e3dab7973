"""A client's bytes become exchanges, wherever reads cut them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activator.core.exchange import Exchange
from activator.reading import Bounds, RequestReader

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6;x=y\r\n\r\n\r\nab\r\n2\r\n\r\n\r\n0\r\nT: v\r\n\r\n"
)
H2C = (
    b"POST /d HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 3\r\n\r\nabc"
)
H2C_CHUNKED = (
    b"PUT /e HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
)
H2C_GET = b"GET /f HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
EMPTY = b"POST /g HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"

Read = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]
MEANING: dict[bytes, Read] = {
    GET: (b"/a", b"", ()),
    POST: (b"/b", b"hello", ()),
    CHUNKED: (b"/c", b"\r\n\r\nab\r\n", ((b"T", b"v"),)),
    H2C: (b"/d", b"abc", ()),
    H2C_CHUNKED: (b"/e", b"abc", ()),
    H2C_GET: (b"/f", b"", ()),
    EMPTY: (b"/g", b"", ()),
}


def read(reads: list[bytes], bounds: Bounds | None = None) -> list[Read]:
    """Return all requests in *reads*; what follows one is fed after it was taken."""
    reader = RequestReader(bounds or Bounds())
    found: list[Read] = []
    for data in reads:
        rest = data
        while rest:
            rest = reader.feed(rest)
            assert reader.fault is None, reader.fault
            if reader.complete:
                exchange = whole(reader)
                found.append(
                    (
                        exchange.target,
                        b"".join(exchange.pieces),
                        tuple(exchange.trailers),
                    )
                )
                reader.next()
    assert reader.exchange is None
    assert not reader.complete
    return found


def whole(reader: RequestReader) -> Exchange:
    exchange = reader.exchange
    assert exchange is not None
    assert exchange.complete
    return exchange


def fault(*reads: bytes) -> tuple[int, str]:
    reader = RequestReader(Bounds())
    for data in reads:
        reader.feed(data)
    assert reader.fault is not None, "it was taken"
    return reader.fault.status, reader.fault.reason


@given(
    st.lists(st.sampled_from(sorted(MEANING)), min_size=1, max_size=6),
    st.data(),
)
def test_requests_are_the_same_however_reads_cut_them(requests, data):
    stream = b"".join(requests)
    cuts = data.draw(
        st.lists(st.integers(0, len(stream)), max_size=8).map(lambda at: sorted({*at}))
    )
    reads = [
        stream[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]

    assert read(reads) == [MEANING[request] for request in requests]


def test_requests_are_the_same_byte_by_byte():
    stream = b"".join(MEANING)

    assert read([bytes([byte]) for byte in stream]) == list(MEANING.values())


def test_what_follows_a_request_is_left_alone():
    reader = RequestReader(Bounds())

    assert reader.feed(GET + b"anything at all") == b"anything at all"
    assert whole(reader).target == b"/a"


def test_what_was_read_at_once_is_one_piece_whatever_its_chunks():
    reader = RequestReader(Bounds())

    reader.feed(CHUNKED)

    assert whole(reader).pieces == [b"\r\n\r\nab\r\n"]


def test_a_websocket_takes_what_follows_its_head():
    reader = RequestReader(Bounds())
    asked = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert reader.feed(asked + b"\x81\x00") == b"\x81\x00"
    assert whole(reader).upgrade


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\nHost: h\n\n", id="bare LF"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\n\r\n", id="bare LF after a field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\n\nGET", id="bare LF at the end"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", id="bare CR"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\x00\r\n\r\n", id="NUL"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", id="obs-fold"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", id="space before colon"),
        pytest.param(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", id="space before a field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", id="no name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nfield\r\n\r\n", id="no colon"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two Hosts"),
        pytest.param(b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", id="space in target"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", id="not ASCII"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", id="two spaces"),
        pytest.param(b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", id="two spaces more"),
        pytest.param(b"GET / RTSP/1.0\r\nHost: h\r\n\r\n", id="RTSP"),
        pytest.param(b"OPTIONS / RTSP/1.1\r\nHost: h\r\n\r\n", id="newer RTSP"),
        pytest.param(b"DESCRIBE / RTSP/1.0\r\nHost: h\r\n\r\n", id="RTSP alone"),
        pytest.param(b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", id="leading LF"),
        pytest.param(b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", id="leading CR"),
        pytest.param(b"\n\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", id="leading LF CR"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", id="empty Host"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", id="CONNECT"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
    ],
)
def test_a_malformed_head_is_refused(head):
    assert fault(head)[0] == 400
    assert fault(*[bytes([byte]) for byte in head])[0] == 400


@pytest.mark.parametrize("lines", [1, 2, 3, 40])
def test_empty_lines_before_a_request_are_passed_over(lines):
    for reads in ([b"\r\n" * lines + GET], [b"\r\n"] * lines + [GET[:9], GET[9:]]):
        assert read(reads) == [MEANING[GET]]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked", id="both"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\nContent-Length: 5", id="both, turned"
        ),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6", id="two lengths"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 5", id="one length twice"),
        pytest.param(b"Content-Length: 5, 5", id="list of lengths"),
        pytest.param(b"Content-Length: +5", id="sign"),
        pytest.param(b"Content-Length: 0x5", id="hexadecimal"),
        pytest.param(b"Content-Length: ", id="no length"),
        pytest.param(b"Content-Length: 99999999999999999999", id="more than 64 bits"),
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding:", id="empty coding"),
        pytest.param(b"Transfer-Encoding: gzip, chunked", id="gzip too"),
        pytest.param(b"Transfer-Encoding: xchunked", id="unknown coding"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", id="twice"
        ),
        pytest.param(b"Transfer-Encoding: chunked, identity", id="not last"),
        pytest.param(b"Transfer-Encoding:\x0bchunked", id="vertical tab"),
    ],
)
def test_a_length_that_two_could_read_differently_is_refused(lines):
    head = b"POST / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n\r\n"

    assert fault(head + b"0\r\n\r\n")[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"5\nhello\r\n0\r\n\r\n", id="bare LF after a size"),
        pytest.param(b"5\r\nhello\n0\r\n\r\n", id="bare LF after a chunk"),
        pytest.param(b"5\r\nhelloX0\r\n\r\n", id="chunk longer than its size"),
        pytest.param(b"-5\r\nhello\r\n0\r\n\r\n", id="sign"),
        pytest.param(b"g\r\nhello\r\n0\r\n\r\n", id="not hexadecimal"),
        pytest.param(b" 5\r\nhello\r\n0\r\n\r\n", id="space before a size"),
        pytest.param(b"fffffffffffffffff\r\nx", id="more than 64 bits"),
    ],
)
def test_a_malformed_chunk_is_refused(body):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert fault(head + body)[0] == 400


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2"])
def test_a_version_that_is_not_spoken_is_refused(version):
    assert fault(b"GET / " + version + b"\r\nHost: h\r\n\r\n")[0] in (400, 505)


SMALL = Bounds(head=200, target=50)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /" + b"a" * 60, None, id="target not ended, within the head"),
        pytest.param(b"GET /" + b"a" * 300, 414, id="target that does not end"),
        pytest.param(
            b"GET /" + b"a" * 60 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, id="long target"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 300, 431, id="endless field"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 300 + b"\r\n\r\n", 431,
            id="long field",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 60, 431, id="many fields"
        ),
    ],
)  # fmt: skip
def test_a_head_is_bounded(data, status):
    for reads in ([data], [bytes([byte]) for byte in data]):
        reader = RequestReader(SMALL)
        for each in reads:
            reader.feed(each)

        assert (reader.fault and reader.fault.status) == status


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"5;" + b"x" * 400, id="chunk extension"),
        pytest.param(b"0\r\nT: " + b"x" * 400, id="trailer"),
        pytest.param(b"0\r\n" + b"T: x\r\n" * 80, id="trailers"),
    ],
)
def test_what_comes_with_chunks_is_bounded(endless):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = RequestReader(SMALL)

    for byte in head + endless:
        reader.feed(bytes([byte]))

    assert reader.fault is not None
    assert reader.fault.status == 400


@pytest.mark.parametrize("body", [b"", b"5\r\nhello\r\n"], ids=["no body", "a body"])
def test_trailers_that_came_at_once_are_bounded_too(body):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = RequestReader(SMALL)

    reader.feed(head + body + b"0\r\n" + b"T: x\r\n" * 150 + b"\r\n")

    assert reader.fault is not None
    assert reader.fault.status == 400


def test_a_body_is_not_bounded_here():
    reader = RequestReader(SMALL)
    reader.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n")

    for _ in range(50):
        reader.feed(b"x" * 100)

    assert len(b"".join(whole(reader).pieces)) == 5000


@given(st.binary(max_size=200), st.integers(0, 200))
@example(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 9)
def test_no_bytes_raise(data, cut):
    reader = RequestReader(SMALL)
    rest = reader.feed(data[:cut]) + data[cut:]
    while rest and reader.fault is None:
        rest = reader.feed(rest)
        if reader.complete:
            reader.next()
