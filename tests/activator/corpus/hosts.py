"""Host that is missing, there twice, or none."""

from __future__ import annotations

from tests.activator.corpus.case import HOST, ask, post, refused, word

BAD = (
    b"", b" ", b"\t", b",", b"a,b", b"a, b", b"iris-ns.localhost,iris-ns.localhost",
    b"iris-ns.localhost, other", b"iris-ns.localhost other", b"iris-ns.localhost\tother",
    b"iris ns.localhost", b"iris-ns.localhost/", b"iris-ns.localhost/a", b"/", b"/a",
    b"iris-ns.localhost?a", b"iris-ns.localhost#a", b"iris-ns.localhost\\", b"a\\b",
    b"http://iris-ns.localhost", b"http://iris-ns.localhost/", b"//iris-ns.localhost",
    b"user@iris-ns.localhost", b"user:word@iris-ns.localhost", b"@iris-ns.localhost",
    b"iris-ns.localhost@", b"iris-ns.localhost:80@other", b":", b":80", b"@", b"a:b",
    b"iris-ns.localhost:x", b"iris-ns.localhost:-1", b"iris-ns.localhost:+80",
    b"iris-ns.localhost:80,81", b"iris-ns.localhost:80:80", b"iris-ns.localhost::80",
    b"iris-ns.localhost:80x", b"iris-ns.localhost:0x50", b"iris-ns.localhost:65536",
    b"iris-ns.localhost:99999", b"iris-ns.localhost:000000080", b"iris-ns.localhost: 80",
    b"iris-ns.localhost :80", b"iris-ns.localhost:8 0", b"iris-ns.localhost:\xd9\xa8",
    b".", b"..", b".iris-ns.localhost", b"iris-ns..localhost", b"iris-ns.localhost..",
    b"[", b"]", b"[]", b"[]:80", b"[::1", b"::1]", b"::1", b"::1:80", b"[::1]x",
    b"[::1]80", b"[::1]:x", b"x[::1]", b"[::1][::1]", b"[:::1]", b"[::g]", b"[1]",
    b"[127.0.0.1]", b"[iris-ns.localhost]", b"[::1%eth0]", b"[1:2:3:4:5:6:7:8:9]",
    b"[v1.a]", b"[ ::1]", b"a%", b"a%2", b"a%zz", b"a%%20", b'"iris-ns.localhost"',
    b"<iris-ns.localhost>", b"(a b)", b"{a}", b"a|b", b"a^b", b"a`b", b"a\xe9",
    b"\xc3\xa9.example", b"iris-ns\xe3\x80\x82localhost", b"\xef\xbb\xbfiris-ns.localhost",
    b"iris-ns.localhost\xa0", b"iris-ns\xadlocalhost", b"iris-ns.localhost\xff",
)  # fmt: skip

LINES = (
    ("twice the same", (b"Host: iris-ns.localhost",)),
    ("and another", (b"Host: other",)),
    ("and an empty one", (b"Host:",)),
    ("and one in lower case", (b"host: other",)),
    ("and one in upper case", (b"HOST: other",)),
    ("and one apart", (b"A: b", b"C: d", b"Host: other")),
    ("and two more", (b"Host: a", b"Host: b")),
    ("and a bad one", (b"Host: a b",)),
    ("and one with a space before the colon", (b"Host : other",)),
    ("and one behind a space", (b" Host: other",)),
    ("and one behind a tab", (b"\tHost: other",)),
    ("and one behind a bare LF", (b"A: b\nHost: other",)),
    ("and one behind a bare CR", (b"A: b\rHost: other",)),
)

CASES = (
    *(refused(f"host {word(host)}", ask(host=host)) for host in BAD),
    *(refused(f"a host {name}", ask(*lines)) for name, lines in LINES),
    refused("no host", ask(host=None)),
    refused("no host, but other fields", ask(b"A: b", b"X-Host: h", host=None)),
    refused(
        "no host but X-Forwarded-Host", ask(b"X-Forwarded-Host: " + HOST, host=None)
    ),
    refused("no host but :authority", ask(b":authority: " + HOST, host=None)),
    refused(
        "no host of a POST", post(b"Content-Length: 5").replace(b"Host", b"X-Ghost")
    ),
    refused("no colon after Host", ask(b"Host " + HOST, host=None)),
    refused("a space before Host", ask(b" Host: " + HOST, host=None)),
    refused("a space after Host", ask(b"Host : " + HOST, host=None)),
    refused("a tab after Host", ask(b"Host\t: " + HOST, host=None)),
    refused("a folded Host", ask(b"Host:", b" " + HOST, host=None)),
    refused("a Host that goes on", ask(b" .example")),
    refused("two hosts in HTTP/1.0", ask(b"Host: other", first=b"GET / HTTP/1.0")),
    refused("a bad host in HTTP/1.0", ask(first=b"GET / HTTP/1.0", host=b"a b")),
    refused("an empty host in HTTP/1.0", ask(first=b"GET / HTTP/1.0", host=b"")),
)
