"""Expect, Upgrade, Connection and limits: what is understood and not done."""

from __future__ import annotations

from tests.activator.corpus.case import ask, post, refused, unfinished, word

EXPECTED = (
    b"", b"100", b"continue", b"101-continue", b"100-continued", b"x100-continue",
    b"100-continue, 100-continue", b"100-continue, x", b"x, 100-continue",
    b"100-continue;q=1", b"100 continue", b"100_continue", b'"100-continue"', b"wonders",
    b"100-continue\xa0", b"200-ok",
)  # fmt: skip

BODY = post(b"Content-Length: 5")
CHUNKS = post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")

CASES = (
    *(
        refused(
            f"expect {word(value)}",
            post(b"Content-Length: 5", b"Expect: " + value),
            417,
        )
        for value in EXPECTED
    ),
    refused(
        "two expectations",
        post(b"Content-Length: 5", b"Expect: 100-continue", b"Expect: x"),
        417,
    ),
    refused("a long value", ask(b"A: " + b"a" * 80_000), 431),
    refused("a long name", ask(b"A" * 80_000 + b": b"), 431),
    refused("many fields", ask(*[b"A: b"] * 20_000), 431),
    refused(
        "long trailers",
        post(
            b"Transfer-Encoding: chunked", body=b"0\r\nA: %b\r\n\r\n" % (b"a" * 80_000)
        ),
    ),
    *(
        unfinished(f"gone after {at} bytes of a body's request", BODY[:at])
        for at in range(1, len(BODY), 4)
    ),
    *(
        unfinished(f"gone after {at} bytes of chunks", CHUNKS[:at])
        for at in range(CHUNKS.index(b"Transfer"), len(CHUNKS), 3)
    ),
    unfinished(
        "gone in an endless chunk",
        post(
            b"Transfer-Encoding: chunked",
            body=b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
    ),
    unfinished("gone before a long body's end", post(b"Content-Length: 4294967301")),
    unfinished(
        "gone before it was asked to go on",
        post(b"Content-Length: 5", b"Expect: 100-continue", body=b""),
    ),
)
