"""Bodies, fields and connections that are rare and right."""

from __future__ import annotations

from dataclasses import replace

from tests.activator.corpus.case import (
    SEEN,
    Case,
    ask,
    chunked,
    passes,
    post,
    word,
)

POST = replace(SEEN, method=b"POST")
HELLO = replace(POST, body=b"hello")
OLD = b"GET / HTTP/1.0"
BYTES = bytes(range(256))

LENGTHS = (b"5", b"05", b"0000000000005", b" 5", b"5 ", b"\t5\t", b"   5   ")

CODINGS = (b"chunked", b"Chunked", b"CHUNKED", b"cHuNkEd", b" chunked", b"chunked ",
           b"\tchunked", b"   chunked   ")  # fmt: skip

CHUNKS = (
    ("one chunk", b"5\r\nhello\r\n0\r\n\r\n"),
    ("a byte a chunk", b"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
    ("zeros before a size", b"0005\r\nhello\r\n0\r\n\r\n"),
    ("many zeros before a size", b"%b5\r\nhello\r\n0\r\n\r\n" % (b"0" * 40)),
    ("many zeros for the last", b"5\r\nhello\r\n%b\r\n\r\n" % (b"0" * 40)),
    ("an extension", b"5;a\r\nhello\r\n0\r\n\r\n"),
    ("an extension with a value", b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    ("an extension with a quoted value", b'5;a="b"\r\nhello\r\n0\r\n\r\n'),
    ("a semicolon quoted", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    ("a quote quoted", b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n'),
    ("a size quoted", b'5;a="0 0"\r\nhello\r\n0\r\n\r\n'),
    ("two extensions", b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n"),
    ("an extension of the last", b"5\r\nhello\r\n0;a=b\r\n\r\n"),
    ("an extension of each", b"2;a\r\nhe\r\n3;b\r\nllo\r\n0;c\r\n\r\n"),
    # Nothing can be read otherwise in these, though no grammar has them.
    ("an extension without a name", b"5;=b\r\nhello\r\n0\r\n\r\n"),
    ("an extension without its value", b"5;a=\r\nhello\r\n0\r\n\r\n"),
    ("a trailer", b"5\r\nhello\r\n0\r\nChecksum: x\r\n\r\n"),
    ("two trailers", b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
    ("an empty trailer", b"5\r\nhello\r\n0\r\nA:\r\n\r\n"),
    ("a trailer that would be a host", b"5\r\nhello\r\n0\r\nHost: other\r\n\r\n"),
    ("a trailer that would upgrade", b"5\r\nhello\r\n0\r\nUpgrade: websocket\r\n\r\n"),
    ("a trailer that would expect", b"5\r\nhello\r\n0\r\nExpect: x\r\n\r\n"),
    (
        "a trailer that would be trusted",
        b"5\r\nhello\r\n0\r\nX-Forwarded-For: 1\r\n\r\n",
    ),
    ("a trailer that would be odd", b"5\r\nhello\r\n0\r\nCookie: a\r\n\r\n"),
)

BODIES = (
    ("a request", b"GET /smuggled HTTP/1.1\r\nHost: iris-ns.localhost\r\n\r\n"),
    ("half a request", b"GET /smuggled HTTP/1.1\r\nHost: "),
    ("empty lines", b"\r\n\r\n\r\n\r\n"),
    ("a last chunk", b"0\r\n\r\n"),
    ("an empty line at its end", b"a\r\n\r\n"),
    ("bare LFs", b"\n\n\n"),
    ("all bytes", BYTES),
    ("NULs", b"\x00" * 100),
    ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a size", b"5\r\nhello\r\n"),
    ("CRs", b"\r" * 7),
    ("one byte", b"x"),
    ("100 KB", b"0123456789" * 10_000),
)

TOKEN = b"!#$%&'*+-.^_`|~09AZaz"

VALUES = (
    (b"", b""), (b" ", b""), (b"\t", b""), (b"  a  ", b"a"), (b"\ta\t", b"a"),
    (b"a\tb", b"a\tb"), (b"a  b", b"a  b"), (b"a, b", b"a, b"), (b",", b","),
    (b'"a"', b'"a"'), (b'"a, b"', b'"a, b"'), (b'"\\""', b'"\\""'), (b"a:b", b"a:b"),
    (b": a", b": a"), (b":", b":"), (b"a; b=c", b"a; b=c"), (b"(a (b))", b"(a (b))"),
    (b"<a>", b"<a>"), (b"{a}", b"{a}"), (b"\\", b"\\"), (b"a\\", b"a\\"),
    (b"\x80", b"\x80"), (b"\xe9", b"\xe9"), (b"\xc3\xa9", b"\xc3\xa9"),
    (b"\xa0a\xa0", b"\xa0a\xa0"), (b"\xff\xfe", b"\xff\xfe"), (b"\x85", b"\x85"),
    (b"\xef\xbb\xbfa", b"\xef\xbb\xbfa"), (b"%0d%0aA: b", b"%0d%0aA: b"),
    (b"GET / HTTP/1.1", b"GET / HTTP/1.1"), (b"0", b"0"), (b"a" * 8_000, b"a" * 8_000),
)  # fmt: skip

HOPS = (
    ("keep-alive", (b"Connection: keep-alive",)),
    ("keep-alive in other letters", (b"Connection: KEEP-alive",)),
    ("nothing named", (b"Connection:",)),
    ("commas named", (b"Connection: , ,",)),
    ("a field named", (b"Connection: x-gone", b"X-Gone: a")),
    ("a field named that is not there", (b"Connection: x-gone",)),
    ("a field and keep-alive", (b"Connection: keep-alive, X-Gone", b"X-Gone: a")),
    ("a field named in a second line", (b"Connection: keep-alive", b"Connection: x-gone")),
    ("the host named", (b"Connection: host",)),
    ("itself named", (b"Connection: connection",)),
    ("Via's end named", (b"Connection: x-forwarded-for",)),
    ("Keep-Alive", (b"Keep-Alive: timeout=5",)),
    ("Proxy-Connection", (b"Proxy-Connection: keep-alive",)),
    ("TE", (b"Connection: TE", b"TE: trailers")),
    ("TE without Connection", (b"TE: trailers, deflate",)),
    ("Upgrade without Connection", (b"Upgrade: h2c",)),
    ("Upgrade to h2c", (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
    ("Upgrade to what nobody knows", (b"Connection: Upgrade", b"Upgrade: x/1")),
    ("Connection: Upgrade alone", (b"Connection: Upgrade",)),
    ("Trailer", (b"Trailer: Checksum",)),
    ("Max-Forwards", (b"Max-Forwards: 0",)),
    ("Via", (b"Via: 1.0 a, 1.1 b",)),
    ("X-Forwarded-For", (b"X-Forwarded-For: 192.0.2.1, unknown",)),
    ("X-Forwarded-For of no address", (b"X-Forwarded-For: a b\xe9",)),
    ("X-Forwarded-Host", (b"X-Forwarded-Host: other",)),
    ("Forwarded", (b'Forwarded: for="[::1]"',)),
    ("a length with an underscore", (b"Content_Length: 5",)),
    ("a coding with an underscore", (b"Transfer_Encoding: chunked",)),
    ("a Content-Encoding", (b"Content-Encoding: chunked",)),
    ("an X-Transfer-Encoding", (b"X-Transfer-Encoding: chunked",)),
    ("a Range", (b"Range: bytes=0-0",)),
    ("an If-Match", (b"If-Match: *",)),
)  # fmt: skip


def old(name: str, sent: bytes, *seen: object, **more: object) -> Case:
    return passes(f"HTTP/1.0: {name}", sent, *seen, **more)  # type: ignore[arg-type]


CASES = (
    *(passes(f"length {word(value)}", post(b"Content-Length:" + value), HELLO) for value in LENGTHS),
    passes("length of none", post(b"Content-Length: 0", body=b""), POST),
    passes("length of none of a GET", ask(b"Content-Length: 0"), SEEN),
    passes("length in lower case", post(b"content-length: 5"), HELLO),
    passes("length in upper case", post(b"CONTENT-LENGTH: 5"), HELLO),
    passes("length under Connection", post(b"Connection: Content-Length", b"Content-Length: 5"), HELLO),
    *(passes(f"coding {word(value)}", post(b"Transfer-Encoding:" + value, body=CHUNKS[0][1]), HELLO) for value in CODINGS),
    passes("coding in upper case", post(b"TRANSFER-ENCODING: chunked", body=CHUNKS[0][1]), HELLO),
    passes("coding under Connection", post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked", body=CHUNKS[0][1]), HELLO),
    passes("no chunk but the last", chunked(b"0\r\n\r\n"), POST),
    passes("no chunk of a GET", ask(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", SEEN),
    passes("chunks of a GET", post(b"Transfer-Encoding: chunked", first=b"GET / HTTP/1.1", body=CHUNKS[0][1]), replace(SEEN, body=b"hello")),
    *(passes(f"chunks: {name}", chunked(sent), HELLO) for name, sent in CHUNKS),
    *(passes(f"body: {name}", post(b"Content-Length: %d" % len(body), body=body), replace(POST, body=body)) for name, body in BODIES),
    *(passes(f"body in a chunk: {name}", chunked(b"%X\r\n%b\r\n0\r\n\r\n" % (len(body), body)), replace(POST, body=body)) for name, body in BODIES),
    *(passes(f"a name with {chr(byte)}", ask(b"X-%c: a" % byte), SEEN, fields=((b"x-%c" % bytes([byte]).lower(), b"a"),)) for byte in TOKEN),
    *(passes(f"value {word(said[:30])}", ask(b"X-Odd:" + said), replace(SEEN, odd=meant)) for said, meant in VALUES),
    passes("a field twice", ask(b"Accept: a", b"Accept: b"), SEEN, fields=((b"accept", b"a"), (b"accept", b"b"))),
    passes("a list and a field", ask(b"Accept: a, b", b"X-Other: c", b"Accept: d"), SEEN, fields=((b"accept", b"a, b"), (b"accept", b"d"))),
    passes("two cookies", ask(b"Cookie: a=b", b"Cookie: c=d"), SEEN, fields=((b"cookie", b"a=b"), (b"cookie", b"c=d"))),
    passes("a field in three cases", ask(b"x-a: 1", b"X-A: 2", b"X-a: 3"), SEEN, fields=((b"x-a", b"1"), (b"x-a", b"2"), (b"x-a", b"3"))),
    passes("many fields", ask(*[b"X-Many: %d" % n for n in range(500)]), SEEN, fields=tuple((b"x-many", b"%d" % n) for n in range(500))),
    passes("a long name", ask(b"X-%b: b" % (b"a" * 2_000)), SEEN),
    *(passes(f"hop: {name}", ask(*lines), SEEN) for name, lines in HOPS),
    *(passes(f"hop of a body: {name}", post(*lines, b"Content-Length: 5"), HELLO) for name, lines in HOPS),
    *(passes(f"hop of chunks: {name}", chunked(CHUNKS[0][1], *lines), HELLO) for name, lines in HOPS if "Upgrade" in name),
    # The parser takes it at its word: nothing may follow.
    passes("a trailer that closes", chunked(b"5\r\nhello\r\n0\r\nConnection: close\r\n\r\n"), HELLO, status=400),
    passes("what it names is gone", ask(b"Connection: x-odd", b"X-Odd: a"), SEEN),
    passes("close", ask(b"Connection: close"), SEEN, stays=False),
    passes("close in other letters", ask(b"Connection: CLOSE"), SEEN, stays=False),
    passes("close among others", ask(b"Connection: x-gone, close"), SEEN, stays=False),
    passes("an expectation", post(b"Content-Length: 5", b"Expect: 100-continue"), HELLO),
    passes("an expectation in other letters", post(b"Content-Length: 5", b"Expect: 100-CONTINUE"), HELLO),
    passes("an expectation of chunks", chunked(CHUNKS[0][1], b"Expect: 100-continue"), HELLO),
    passes("an expectation of nothing", ask(b"Expect: 100-continue"), SEEN),
    old("closes", ask(first=OLD), SEEN, stays=False),
    old("stays if it asks", ask(b"Connection: keep-alive", first=OLD), SEEN),
    old("stays in other letters", ask(b"Connection: Keep-Alive", first=OLD), SEEN),
    old("a body", post(b"Content-Length: 5", first=b"POST / HTTP/1.0"), HELLO, stays=False),
    old("a body, and stays", post(b"Connection: keep-alive", b"Content-Length: 5", first=b"POST / HTTP/1.0"), HELLO),
    old("an absolute target", ask(first=b"GET http://iris-ns.localhost/ HTTP/1.0"), SEEN, stays=False),
    old("an absolute target, no Host", ask(first=b"GET http://iris-ns.localhost/ HTTP/1.0", host=None), SEEN, stays=False),
    old("no Host, but a service", ask(b"Kserve-Isvc-Name: iris", b"Kserve-Isvc-Namespace: ns", first=OLD, host=None), replace(SEEN, host=b"localhost"), stays=False),
    old("an expectation", post(b"Content-Length: 5", b"Expect: 100-continue", first=b"POST / HTTP/1.0"), HELLO, stays=False),
    old("an upgrade", ask(b"Connection: Upgrade", b"Upgrade: websocket", first=OLD), SEEN, stays=False),
    passes("an empty line before", b"\r\n" + ask(), SEEN),
    passes("three empty lines before", b"\r\n" * 3 + ask(), SEEN),
    passes("an empty line between", ask() + b"\r\n" + ask(), SEEN, SEEN),
    passes("an empty line after a body", post(b"Content-Length: 5") + b"\r\n" + ask(), HELLO, SEEN),
    passes("an empty line after chunks", chunked(CHUNKS[0][1]) + b"\r\n" + ask(), HELLO, SEEN),
    passes("two", ask() * 2, *[SEEN] * 2),
    passes("fifty", ask() * 50, *[SEEN] * 50),
    passes("two bodies", post(b"Content-Length: 5") * 2, HELLO, HELLO),
    passes("two bodies in chunks", chunked(CHUNKS[0][1]) * 2, HELLO, HELLO),
    passes("a body, then chunks", post(b"Content-Length: 5") + chunked(CHUNKS[0][1]), HELLO, HELLO),
    passes("chunks, then a body", chunked(CHUNKS[0][1]) + post(b"Content-Length: 5"), HELLO, HELLO),
    passes("chunks with trailers, then a request", chunked(b"0\r\nA: b\r\n\r\n") + ask(), POST, SEEN),
    passes("HEAD, then GET", ask(first=b"HEAD / HTTP/1.1") + ask(), replace(SEEN, method=b"HEAD"), SEEN),
    passes("a GET with a body, then a GET", post(b"Content-Length: 5", first=b"GET / HTTP/1.1") + ask(), replace(SEEN, body=b"hello"), SEEN),
    passes("two hosts, one after the other", ask() + ask(host=b"[::1]"), SEEN, replace(SEEN, host=b"[::1]")),
    passes("an old one that stays, then a new one", ask(b"Connection: keep-alive", first=OLD) + ask(), SEEN, SEEN),
    passes("an upgrade that is not done, then a request", ask(b"Connection: Upgrade", b"Upgrade: h2c") + ask(), SEEN, SEEN),
    passes("an upgrade with a body, then a request", post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5") + ask(), HELLO, SEEN),
    passes("a body that is a request, then a request", post(b"Content-Length: %d" % len(ask()), body=ask()) + ask(), replace(POST, body=ask()), SEEN),
    passes("all that is in a header of a browser", ask(
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)", b"Accept: text/html,*/*;q=0.8",
        b"Accept-Language: de-DE,de;q=0.9", b"DNT: 1", b'Sec-CH-UA: "A";v="1"',
        b"Cookie: a=b; c=\"d\"", b"If-None-Match: W/\"x\"", b"Origin: null",
    ), SEEN),
)  # fmt: skip
