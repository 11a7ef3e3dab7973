"""Field names that are none, and lines that are no field."""

from __future__ import annotations

from tests.activator.corpus.case import ask, post, refused, word

# No token has one of these (RFC 9110 §5.6.2).
SEPARATORS = (b'"', b"(", b")", b",", b"/", b";", b"<", b"=", b">", b"?", b"@", b"[",
              b"\\", b"]", b"{", b"}", b" ")  # fmt: skip
NOT_ASCII = (b"\x80", b"\x85", b"\xa0", b"\xad", b"\xc3\xa9", b"\xe2\x80\x8b", b"\xff")

LINES = (
    ("no name", b": b"),
    ("no name and no value", b":"),
    ("only a space for a name", b" : b"),
    ("only a tab for a name", b"\t: b"),
    ("no colon", b"field"),
    ("no colon but a space", b"field value"),
    ("a space before the colon", b"A : b"),
    ("spaces before the colon", b"A   : b"),
    ("a tab before the colon", b"A\t: b"),
    ("a space and a tab before the colon", b"A \t: b"),
    ("a space in front", b" A: b"),
    ("a tab in front", b"\tA: b"),
    ("only a space", b" "),
    ("only a tab", b"\t"),
    ("a fold", b"A: b\r\n c"),
    ("a fold by a tab", b"A: b\r\n\tc"),
    ("a fold of an empty value", b"A:\r\n b"),
    ("a fold to nothing", b"A: b\r\n "),
    ("two folds", b"A: b\r\n c\r\n d"),
    ("a fold that looks like a field", b"A: b\r\n Content-Length: 5"),
    ("a fold that looks like a request", b"A: b\r\n GET / HTTP/1.1"),
    ("a fold of a name", b"A\r\n : b"),
    ("a folded Connection", b"Connection:\r\n close"),
    ("a folded Expect", b"Expect:\r\n 100-continue"),
    ("a second request line", b"GET /other HTTP/1.1"),
    ("an answer's line", b"HTTP/1.1 200 OK"),
)

CASES = (
    *(refused(f"{word(b)} in a name", ask(b"A%bB: c" % b)) for b in SEPARATORS),
    *(refused(f"{word(b)} before a name", ask(b"%bA: c" % b)) for b in SEPARATORS),
    *(refused(f"{word(b)} after a name", ask(b"A%b: c" % b)) for b in SEPARATORS),
    *(refused(f"{word(b)} in a name", ask(b"A%bB: c" % b)) for b in NOT_ASCII),
    *(refused(f"a line: {name}", ask(line)) for name, line in LINES),
    *(
        refused(
            f"a first line: {name}", ask(line, b"Host: iris-ns.localhost", host=None)
        )
        for name, line in LINES
    ),
    refused(
        "a space before the first field", ask(host=None).replace(b"\r\n", b"\r\n ", 1)
    ),
    refused(
        "a fold under a length",
        post(b"Content-Length: 5", b" GET / HTTP/1.1"),
    ),
)
