"""Methods, first lines, targets and hosts that are rare and right."""

from __future__ import annotations

from dataclasses import replace

from tests.activator.corpus.case import (
    HOST,
    HOSTS,
    OTHER,
    SEEN,
    Case,
    ask,
    passes,
    post,
    word,
)
from tests.activator.recorders import Seen

METHODS = (
    b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT", b"POST", b"PATCH", b"QUERY", b"COPY",
    b"LOCK", b"MKCOL", b"MOVE", b"PROPFIND", b"PROPPATCH", b"SEARCH", b"UNLOCK", b"BIND",
    b"REBIND", b"UNBIND", b"ACL", b"REPORT", b"MKACTIVITY", b"CHECKOUT", b"MERGE",
    b"M-SEARCH", b"NOTIFY", b"SUBSCRIBE", b"UNSUBSCRIBE", b"PURGE", b"MKCALENDAR",
    b"LINK", b"UNLINK",
)  # fmt: skip

TARGETS = (
    b"//", b"//a", b"/a//b", b"/a/", b"/./a", b"/a/../b", b"/a/.", b"/a/..", b"/...",
    b"/?", b"/?a", b"/?a=b&c=d", b"/??", b"/?/?", b"/a?b?c", b"/?a=http://b/c", b"/;a=b",
    b"/a;b/c;d", b"/:a", b"/a:b", b"/v1/models/iris:predict", b"/@", b"/a@b", b"/~a",
    b"/-", b"/_", b"/!", b"/$", b"/&", b"/'", b"/(a)", b"/*", b"/+", b"/a,b", b"/=",
    b"/%20", b"/%41", b"/%7e", b"/%7E", b"/%2F", b"/%2e", b"/%25",
    b"/%2525", b"/%3F", b"/%23", b"/%0d%0a", b"/%09", b"/%80%ff", b"/%c3%a9",
    b"/?%00", b"/?%zz", b"/?%", b"/?[]", b"/?a[]=1", b"/?a|b", b"/?{}", b"/\\", b"/a\\b",
    b'/?"', b"/?<>", b"/^", b"/`", b"/?a=b;c", b"/http://a/b", b"/a=b&c", b"/0",
    b"/" + b"a" * 4_000, b"/" + b"a/" * 500, b"/?" + b"a=b&" * 500,
)  # fmt: skip

# nginx looks into a path, finds that it leads out of the root or is not one, and says no.
NOT_OF_NGINX = (
    b"/%2f..%2f",
    b"/..",
    b"/../a",
    b"/a/../../b",
    b"/%00",
    b"/%zz",
    b"/%",
    b"/%2",
)

NAMES = (
    (HOST, b"iris-ns.localhost"),
    (HOST, b"iris-ns.localhost:80"),
    (HOST, b"iris-ns.localhost:"),
    (HOST, b"iris-ns.localhost:65535"),
    (HOST, b"iris-ns.localhost:0"),
    (HOST, b"IRIS-NS.localhost"),
    (HOST, b"Iris-Ns.LocalHost:8080"),
    *((host, host) for host in HOSTS[1:]),
    *((host, host + b":8080") for host in HOSTS[1:]),
)


def absolute(target: bytes, seen: Seen, host: bytes = HOST) -> Case:
    first = b"GET %b HTTP/1.1" % target
    name = f"absolute target {word(target)} beside {word(host)}"
    return passes(name, ask(first=first, host=host), seen)


CASES = (
    *(
        passes(
            f"method {word(method)}",
            ask(first=b"%b / HTTP/1.1" % method),
            replace(SEEN, method=method),
        )
        for method in METHODS
    ),
    *(
        passes(
            f"method {word(method)} with a body",
            post(b"Content-Length: 5", first=b"%b / HTTP/1.1" % method),
            replace(SEEN, method=method, body=b"hello"),
        )
        for method in METHODS
    ),
    *(
        passes(
            f"target {word(target[:40])}",
            ask(first=b"GET %b HTTP/1.1" % target),
            replace(SEEN, target=target),
        )
        for target in TARGETS
    ),
    *(
        passes(
            f"target {word(target)}",
            ask(first=b"GET %b HTTP/1.1" % target),
            replace(SEEN, target=target),
            nginx=False,
        )
        for target in NOT_OF_NGINX
    ),
    *(
        passes(f"host {word(said)}", ask(host=said), Seen(host=said))
        for _, said in NAMES
    ),
    passes("spaces around a host", ask(host=b"  %b \t" % HOST), SEEN),
    passes("no space before a host", ask(b"Host:" + HOST, host=None), SEEN),
    passes("host in lower case", ask(b"host: " + HOST, host=None), SEEN),
    passes("host in upper case", ask(b"HOST: " + HOST, host=None), SEEN),
    passes("host last", ask(b"A: b", b"Host: " + HOST, host=None), SEEN),
    absolute(b"http://iris-ns.localhost/", SEEN),
    absolute(b"http://iris-ns.localhost", SEEN),
    absolute(b"HTTP://iris-ns.localhost/", SEEN),
    absolute(b"https://iris-ns.localhost/a?b", replace(SEEN, target=b"/a?b")),
    absolute(b"hTtPs://iris-ns.localhost", SEEN),
    absolute(b"http://iris-ns.localhost?a", replace(SEEN, target=b"/?a")),
    absolute(b"http://iris-ns.localhost//a", replace(SEEN, target=b"//a")),
    absolute(b"http://iris-ns.localhost:8080/", Seen(host=b"iris-ns.localhost:8080")),
    absolute(b"http://iris-ns.localhost:/", Seen(host=b"iris-ns.localhost:")),
    absolute(
        b"http://iris-ns.localhost/?a=http://b", replace(SEEN, target=b"/?a=http://b")
    ),
    absolute(b"http://[::1]/a", Seen(host=OTHER, target=b"/a"), OTHER),
    absolute(b"http://[::1]:80/", Seen(host=b"[::1]:80"), OTHER),
    # RFC 9112 §3.2.2: what the target says counts.
    absolute(b"http://iris-ns.localhost/", SEEN, b"other.example"),
    absolute(b"http://[::1]/", Seen(host=OTHER), HOST),
    passes(
        "absolute target of OPTIONS",
        ask(first=b"OPTIONS http://iris-ns.localhost/a HTTP/1.1"),
        replace(SEEN, method=b"OPTIONS", target=b"/a"),
    ),
    passes(
        "absolute target of POST",
        post(b"Content-Length: 5", first=b"POST http://iris-ns.localhost/a HTTP/1.1"),
        replace(SEEN, method=b"POST", target=b"/a", body=b"hello"),
    ),
    passes(
        "* of OPTIONS",
        ask(first=b"OPTIONS * HTTP/1.1"),
        replace(SEEN, method=b"OPTIONS", target=b"*"),
        nginx=False,
    ),
)
