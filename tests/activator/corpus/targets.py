"""Request targets that are none, or that are not for us."""

from __future__ import annotations

from tests.activator.corpus.case import HOST, ask, refused, word

BAD = (
    b"*", b"**", b"*/", b"a", b"a/b", b"?", b"?a=b", b"#", b"#a", b"/a#b", b"/#",
    b"/a?b#c", b"/a%23#", b".", b"..", b"./a", b"../a", b"~", b"\\", b"\\a", b"\\\\h\\a",
    b"@", b":", b":80", b"h:80", b"iris-ns.localhost", b"iris-ns.localhost:80",
    b"[::1]:80", b"http:", b"http:/", b"http:/a", b"http://", b"http:///", b"http:///a",
    b"http://?a", b"http:a", b"http//h/", b"http:\\\\h\\", b"http://h\\a", b"://h/",
    b"ftp://h/", b"ws://h/", b"wss://h/", b"file:///a", b"data:,a",
    b"javascript:1", b"mailto:a@b", b"httpx://h/", b"xhttp://h/", b"http+unix://h/",
    b"http://user@h/", b"http://user:word@h/", b"http://@h/", b"http://h@/",
    b"http://iris-ns.localhost@other/", b"http://other@iris-ns.localhost/",
    b"http://a,b/", b"http://a b/", b"http://h:x/", b"http://h:-1/", b"http://h:65536/",
    b"http://h:80:80/", b"http://h:80x/", b"http://:80/", b"http://[::1/", b"http://::1/",
    b"http://[]/", b"http://[::g]/", b"http://[h]/", b"http://[::1]x/", b"http://h]/",
    b"http://.h/", b"http://a..b/", b"http://h%/", b"http://h%zz/", b"http://h#a",
    b"http://h/#a", b"http://h?a#b", b"http://h<b>/", b'http://"h"/', b"http://h|/",
    b"http://h^/", b"http://{h}/", b"http://`h`/", b"http://h\xe9/", b"/\x80", b"/\xe9",
    b"/\xc3\xa9", b"/?\xff", b"/a\xa0b", b"\xef\xbc\x8f", b"/\xe2\x80\x8b", b"/a\xadb",
)  # fmt: skip
CASES = (
    *(
        refused(f"target {word(target)}", ask(first=b"GET %b HTTP/1.1" % target))
        for target in BAD
    ),
    refused("* of POST", ask(first=b"POST * HTTP/1.1")),
    refused("* of HEAD", ask(first=b"HEAD * HTTP/1.1")),
    refused("*a of OPTIONS", ask(first=b"OPTIONS *a HTTP/1.1")),
    refused("** of OPTIONS", ask(first=b"OPTIONS ** HTTP/1.1")),
    refused("a host of OPTIONS", ask(first=b"OPTIONS h:80 HTTP/1.1")),
    refused("a tunnel", ask(first=b"CONNECT h:443 HTTP/1.1")),
    refused("a tunnel to us", ask(first=b"CONNECT %b:80 HTTP/1.1" % HOST)),
    refused("a tunnel to nowhere", ask(first=b"CONNECT * HTTP/1.1")),
    refused("a tunnel by a URL", ask(first=b"CONNECT http://h/ HTTP/1.1")),
    refused(
        "an absolute target, a bad Host",
        ask(first=b"GET http://%b/ HTTP/1.1" % HOST, host=b"a b"),
    ),
    refused(
        "an absolute target, no Host",
        ask(first=b"GET http://%b/ HTTP/1.1" % HOST, host=None),
    ),
    refused(
        "an absolute target, two Hosts",
        ask(b"Host: " + HOST, first=b"GET http://%b/ HTTP/1.1" % HOST),
    ),
    refused(
        "an absolute target, an empty Host",
        ask(first=b"GET http://%b/ HTTP/1.1" % HOST, host=b""),
    ),
    refused("a long target", ask(first=b"GET /%b HTTP/1.1" % (b"a" * 20_000)), 414),
    refused(
        "a target longer than a head",
        ask(first=b"GET /%b HTTP/1.1" % (b"a" * 90_000)),
        414,
    ),
)
