"""First lines that are none."""

from __future__ import annotations

from tests.activator.corpus.case import ask, refused, word

BAD = (
    b"", b" ", b"GET", b"GET ", b"/ HTTP/1.1", b" / HTTP/1.1",
    b"GET HTTP/1.1", b"GET  HTTP/1.1", b" GET / HTTP/1.1", b"\tGET / HTTP/1.1",
    b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET   /   HTTP/1.1", b"GET / HTTP/1.1 ",
    b"GET / HTTP/1.1\t", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET \t/ HTTP/1.1",
    b"GET /\t HTTP/1.1", b"GET / \tHTTP/1.1", b"GET\x0b/ HTTP/1.1",
    b"GET\xa0/ HTTP/1.1", b"GET /\xa0HTTP/1.1", b"GET/ HTTP/1.1",
    b"GET / / HTTP/1.1", b"GET / HTTP/1.1 x", b"GET / HTTP/1.1 HTTP/1.1",
    b"GET /a b HTTP/1.1", b"GET / HTTP/1.1,", b"GET / HTTP/1.1;", b"GET, / HTTP/1.1",
    b"GET; / HTTP/1.1", b"GET: / HTTP/1.1", b'"GET" / HTTP/1.1', b"(GET) / HTTP/1.1",
    b"GET GET / HTTP/1.1", b"GE T / HTTP/1.1", b"get / HTTP/1.1", b"Get / HTTP/1.1",
    b"gET / HTTP/1.1", b"post / HTTP/1.1", b"G\xc3\x8bT / HTTP/1.1",
    b"\xef\xbb\xbfGET / HTTP/1.1", b"G\xff / HTTP/1.1", b"GET\\ / HTTP/1.1",
    b"GET/1 / HTTP/1.1", b"G@T / HTTP/1.1", b"G[]T / HTTP/1.1", b"G{T / HTTP/1.1",
    b"FOO / HTTP/1.1", b"GETS / HTTP/1.1", b"GE / HTTP/1.1", b"G / HTTP/1.1",
    b"X / HTTP/1.1", b"XGET / HTTP/1.1", b"POSTED / HTTP/1.1", b"0 / HTTP/1.1",
    b"G" * 300 + b" / HTTP/1.1", b"CONNECT / HTTP/1.1", b"TRACE / HTTP/1.1",
    b"SOURCE / HTTP/1.1", b"PRI * HTTP/1.1", b"GET / HTTP", b"GET / HTTP/",
    b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/.1", b"GET / HTTP/11",
    b"GET / HTTP/1.10", b"GET / HTTP/1.11", b"GET / HTTP/1.01", b"GET / HTTP/01.1",
    b"GET / HTTP/1.1.1", b"GET / HTTP/1,1", b"GET / HTTP/1-1", b"GET / HTTP/1:1",
    b"GET / HTTP/a.b", b"GET / HTTP/1.x", b"GET / HTTP/-1.1", b"GET / HTTP/+1.1",
    b"GET / HTTP/1 .1", b"GET / HTTP/1. 1", b"GET / HTTP /1.1", b"GET / HTTP/ 1.1",
    b"GET / HTTP 1.1", b"GET / HTTP\\1.1", b"GET / HTTP//1.1", b"GET / http/1.1",
    b"GET / Http/1.1", b"GET / hTTP/1.1", b"GET / HTTPS/1.1", b"GET / HTP/1.1",
    b"GET / TTP/1.1", b"GET / XHTTP/1.1", b"GET / HTTPX/1.1", b"GET / H/1.1",
    b"GET / 1.1", b"GET / HTTP1.1", b"GET / RTSP/1.0", b"GET / RTSP/1.1",
    b"OPTIONS / RTSP/1.0", b"POST / RTSP/1.0", b"DESCRIBE / RTSP/1.0",
    b"PLAY / RTSP/1.0", b"GET / ICY/1.0", b"SOURCE / ICE/1.0", b"GET / ICE/1.0",
    b"GET / SIP/2.0", b"GET / HTTP/1.2", b"GET / HTTP/1.9", b"GET / HTTP/3.0",
    b"GET / HTTP/9.9", b"GET / HTTP/0.0", b"GET / HTTP/1.1\xc2\xa0",
    b"GET / HTTP/\xef\xbc\x91.1", b"HTTP/1.1 200 OK", b"HELO example", b"USER a",
    b"SSH-2.0-x", b"<policy-file-request/>", b"{}", b"{\"a\": 1}",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x80\x2e\x01\x00\x02",
    b"\x05\x01\x00", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2",
)  # fmt: skip

# What is HTTP, but not one that is spoken here.
OTHER = (b"GET /HTTP/1.1", b"GET / HTTP/0.9", b"GET / HTTP/2.0", b"POST / HTTP/2.0")

CASES = (
    *(refused(f"line {word(line[:40])}", ask(first=line)) for line in BAD),
    *(refused(f"line {word(line)}", ask(first=line), 505) for line in OTHER),
    refused("no version", ask(first=b"GET /"), 505),
    refused("a space for a line", ask(first=b" ")),
    refused("no first line", b"Host: iris-ns.localhost\r\n\r\n"),
    refused("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refused("a good request, then nonsense", ask() + b"nonsense\r\n\r\n", before=1),
    refused("a good request, then a byte", ask() + b"\x00", before=1),
    refused("a good request, then a bare LF", ask() + b"\n", before=1),
    refused("a good request, then a bare CR", ask() + b"\r", before=1),
    refused("a good request, then a space", ask() + b" ", before=1),
    refused(
        "two good requests, then LF and a request", ask() * 2 + b"\n" + ask(), before=2
    ),
    refused(
        "a good request, then another without Host", ask() + ask(host=None), before=1
    ),
    refused(
        "a good request, then lower case",
        ask() + ask(first=b"get / HTTP/1.1"),
        before=1,
    ),
)
