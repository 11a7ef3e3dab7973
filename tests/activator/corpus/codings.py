"""Transfer-Encoding that is not plainly chunked, or not alone."""

from __future__ import annotations

from tests.activator.corpus.case import ask, post, refused, word

BODY = b"5\r\nhello\r\n0\r\n\r\n"

VALUES = (
    b"", b" ", b",", b"xchunked", b"chunkedx", b"chunke", b"hunked", b"x-chunked",
    b"chunked-", b"_chunked", b'"chunked"', b"'chunked'", b"`chunked`", b"(chunked)",
    b"<chunked>", b"[chunked]", b"chunked,", b"chunked ,", b",chunked", b", chunked",
    b",,chunked", b"chunked,,", b"chunked, chunked", b"chunked,chunked",
    b"chunked, identity", b"identity, chunked", b"identity", b"chunked, gzip",
    b"gzip, chunked", b"gzip", b"deflate", b"compress, chunked", b"br, chunked",
    b"chunked, deflate", b"trailers, chunked", b"chunked;q=1", b"chunked;q=0",
    b"chunked; a=b", b"chunked;", b";chunked", b"chunked gzip", b"gzip chunked",
    b"chunked chunked", b"chun ked", b"chun\tked", b"chunked\t", b"\x0bchunked",
    b"chunked\x0b", b"\x0cchunked", b"chunked\x0c", b"\x00chunked", b"chunked\x00",
    b"chun\x00ked", b"\x01chunked", b"chunked\x7f", b"chunked\x1f", b"\x85chunked",
    b"\xa0chunked", b"chunked\xa0", b"\xc2\xa0chunked", b"c\xc2\xadhunked",
    b"\xef\xbb\xbfchunked", b"\xef\xbd\x83hunked", b"chun\xe2\x84\xaaed",
    b"c\xc4\xa5unked", b"%63hunked", b"chunked%20", b"ch=unked", b"chunked=1",
    b"chunked/1.0", b"chunked:", b"*", b"cow", b"null", b"chunked\\", b"\\chunked",
    b"identity\x00, chunked", b"chunked" * 40,
)  # fmt: skip

LINES = (
    ("twice", (b"Transfer-Encoding: chunked",) * 2),
    ("identity first", (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked")),
    ("identity last", (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")),
    ("gzip first", (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked")),
    ("an empty one first", (b"Transfer-Encoding:", b"Transfer-Encoding: chunked")),
    ("an empty one last", (b"Transfer-Encoding: chunked", b"Transfer-Encoding:")),
    ("in two cases", (b"transfer-encoding: chunked", b"TRANSFER-ENCODING: chunked")),
    ("apart", (b"Transfer-Encoding: chunked", b"A: b", b"Transfer-Encoding: x")),
    ("a length last", (b"Transfer-Encoding: chunked", b"Content-Length: 15")),
    ("a length first", (b"Content-Length: 15", b"Transfer-Encoding: chunked")),
    ("a length of 0", (b"Content-Length: 0", b"Transfer-Encoding: chunked")),
    ("a length of 0 last", (b"Transfer-Encoding: chunked", b"Content-Length: 0")),
    ("a length apart", (b"Content-Length: 5", b"A: b", b"Transfer-Encoding: chunked")),
    ("an empty coding and a length", (b"Content-Length: 5", b"Transfer-Encoding:")),
    ("an unknown one and a length", (b"Content-Length: 5", b"Transfer-Encoding: x")),
    ("identity and a length", (b"Content-Length: 5", b"Transfer-Encoding: identity")),
    ("quoted and a length", (b"Content-Length: 5", b'Transfer-Encoding: "chunked"')),
    ("a bad length too", (b"Transfer-Encoding: chunked", b"Content-Length: x")),
    ("space before the colon", (b"Transfer-Encoding : chunked",)),
    ("tab before the colon", (b"Transfer-Encoding\t: chunked",)),
    ("space, and a length", (b"Content-Length: 5", b"Transfer-Encoding : chunked")),
    ("a space in front", (b" Transfer-Encoding: chunked",)),
    ("a tab in front", (b"\tTransfer-Encoding: chunked",)),
    ("a space in front of it, not first", (b"A: b", b" Transfer-Encoding: chunked")),
    ("folded value", (b"Transfer-Encoding:", b" chunked")),
    ("folded by a tab", (b"Transfer-Encoding:", b"\tchunked")),
    ("folded to a list", (b"Transfer-Encoding: chunked", b" , identity")),
    ("folded to nothing", (b"Transfer-Encoding: chunked", b" ")),
    ("folded before the colon", (b"Transfer-Encoding", b" : chunked")),
    ("no colon", (b"Transfer-Encoding chunked",)),
    ("an equals sign", (b"Transfer-Encoding=chunked",)),
    ("two colons", (b"Transfer-Encoding:: chunked",)),
    ("quoted name", (b'"Transfer-Encoding": chunked',)),
    ("a space for the hyphen", (b"Transfer Encoding: chunked",)),
    ("a hyphen that is none", (b"Transfer\xe2\x80\x90Encoding: chunked",)),
    ("vertical tab before the colon", (b"Transfer-Encoding\x0b: chunked",)),
    ("NUL before the colon", (b"Transfer-Encoding\x00: chunked",)),
    ("CR before the colon", (b"Transfer-Encoding\r: chunked",)),
    ("LF before the colon", (b"Transfer-Encoding\n: chunked",)),
    ("bare LF in front of it", (b"A: b\nTransfer-Encoding: chunked",)),
    ("bare CR in front of it", (b"A: b\rTransfer-Encoding: chunked",)),
    ("NUL in front of it", (b"A: b\x00Transfer-Encoding: chunked",)),
    ("bare LF after it", (b"Transfer-Encoding: chunked\nA: b",)),
    ("bare CR after it", (b"Transfer-Encoding: chunked\rA: b",)),
)

OLD = b"POST / HTTP/1.0"

CASES = (
    *(
        refused(
            f"coding {word(value[:30])}",
            post(b"Transfer-Encoding: " + value, body=BODY),
        )
        for value in VALUES
    ),
    *(refused(f"codings: {name}", post(*lines, body=BODY)) for name, lines in LINES),
    refused(
        "chunks in HTTP/1.0",
        post(b"Transfer-Encoding: chunked", body=BODY, first=OLD),
    ),
    refused(
        "chunks in HTTP/1.0 that would stay",
        post(
            b"Connection: keep-alive",
            b"Transfer-Encoding: chunked",
            body=BODY,
            first=OLD,
        ),
    ),
    refused(
        "chunks in HTTP/1.0 with a length",
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=BODY, first=OLD),
    ),
    refused("a coding of a GET that is not chunked", ask(b"Transfer-Encoding: gzip")),
    refused(
        "both framings under Connection",
        post(
            b"Connection: Transfer-Encoding",
            b"Transfer-Encoding: chunked",
            b"Content-Length: 5",
            body=BODY,
        ),
    ),
)
