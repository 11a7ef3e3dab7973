"""Control bytes, in every position of a request where a byte can be."""

from __future__ import annotations

from tests.activator.corpus.case import HOST, ask, chunked, post, refused

CONTROLS = (*range(32), 127)
LINE_ENDS = b"\r\n"

PLACES = (
    ("before a method", lambda byte: byte + ask()),
    ("in a method", lambda byte: ask(first=b"G%bET / HTTP/1.1" % byte)),
    ("after a method", lambda byte: ask(first=b"GET%b/ HTTP/1.1" % byte)),
    ("in a target", lambda byte: ask(first=b"GET /a%bb HTTP/1.1" % byte)),
    ("after a target", lambda byte: ask(first=b"GET /%bHTTP/1.1" % byte)),
    ("in a version", lambda byte: ask(first=b"GET / HTTP/1%b.1" % byte)),
    ("after a version", lambda byte: ask(first=b"GET / HTTP/1.1%b" % byte)),
    ("before a name", lambda byte: ask(b"%bA: b" % byte)),
    ("in a name", lambda byte: ask(b"A%bB: c" % byte)),
    ("after a name", lambda byte: ask(b"A%b: b" % byte)),
    ("in a value", lambda byte: ask(b"A: b%bc" % byte)),
    ("in a host", lambda byte: ask(host=b"iris%b-ns.localhost" % byte)),
    ("after a length", lambda byte: post(b"Content-Length: 5%b" % byte)),
    ("after a coding", lambda byte: post(b"Transfer-Encoding: chunked%b" % byte)),
    ("after a chunk's size", lambda byte: chunked(b"5%b\r\nhello\r\n0\r\n\r\n" % byte)),
    ("after a chunk", lambda byte: chunked(b"5\r\nhello%b\r\n0\r\n\r\n" % byte)),
    ("in an extension", lambda byte: chunked(b"5;a%bb\r\nhello\r\n0\r\n\r\n" % byte)),
    ("in a trailer", lambda byte: chunked(b"0\r\nA: b%bc\r\n\r\n" % byte)),
    ("before the last line", lambda byte: ask(b"A: b\r\n%b" % byte)),
)  # fmt: skip

# A tab may be in a value and after one; a space would be in `lines` and `names`.
TAB_IS_FINE = ("in a value", "after a length", "in a trailer")

CASES = (
    *(
        refused(f"{byte:#04x} {place}", make(bytes([byte])))
        for place, make in PLACES
        for byte in CONTROLS
        if not (byte == 9 and place in TAB_IS_FINE)
    ),
    refused("only bare LFs", ask(b"A: b").replace(b"\r\n", b"\n")),
    refused("only bare CRs", ask(b"A: b").replace(b"\r\n", b"\r") + b"\r\n\r\n"),
    refused("LF CR for each CR LF", ask(b"A: b").replace(b"\r\n", b"\n\r")),
    refused("CR CR LF for each CR LF", ask(b"A: b").replace(b"\r\n", b"\r\r\n")),
    refused("LF at the end", ask()[:-2] + b"\n"),
    refused("LF LF at the end", ask()[:-4] + b"\n\n"),
    refused("CR LF CR at the end", ask()[:-1] + b"X"),
    refused("LF after the first line", ask().replace(b"1.1\r\n", b"1.1\n")),
    refused("LF after the last field", ask()[:-4] + b"\n\r\n"),
    refused("two NULs for the last line", ask()[:-2] + b"\x00\x00" + b"\r\n\r\n"),
    refused("a NUL for a host", ask(host=b"\x00")),
    refused("a NUL behind a host", ask(host=HOST + b"\x00")),
)
