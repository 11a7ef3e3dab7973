"""Chunks whose size or end two could read differently, and trailers that are none."""

from __future__ import annotations

from tests.activator.corpus.case import chunked, refused, word

END = b"\r\nhello\r\n0\r\n\r\n"

SIZES = (
    b"", b" ", b" 5", b"\t5", b"5 ", b"5\t", b"5  ", b"+5", b"-5", b"-0", b"0x5",
    b"0X5", b"x5", b"5x", b"5h", b"h", b"g", b"5g", b"_5", b"5_", b"0_5", b"5.0",
    b".5", b"5,", b"5,5", b",5", b"5 5", b'"5"', b"(5)", b"#5", b"$5", b"%35", b"5%",
    b"5:", b"5=", b"=5", b"5/", b"5\\", b"5#c", b"5&a", b"5!", b"@5", b"G5", b"\xb5",
    b"\xd9\xa5", b"\xef\xbc\x95", b"\xc2\xb2", b"5\xa0", b"\xa05", b"5\x00", b"\x005",
    b"5\x0b", b"\x0b5", b"5\x0c", b"\x0c5", b"5\x7f", b"5\x1b", b"5\r", b"\r5",
    b"5\r\r", b"\n5", b"5\n", b"five", b"NaN", b"1" * 17, b"f" * 17, b"f" * 40,
    b"10000000000000005", b"100000000000000000000000000000005",
)  # fmt: skip

EXTENSIONS = (
    b";", b";;", b"; ", b";a;", b"; a", b"; a=b", b" ;a", b" ; a=b",
    b"\t;a=b", b";a =b", b";a= b", b";a b", b";a=b c", b";a,b", b";a=b=c", b";a=(b)",
    b";a=b,c", b';a="b', b';a=b"', b';a="b"c', b';a="b\\', b';a="b\x00"', b';a="b\n"',
    b';a="b\r"', b';a="b\r\nc"', b';a="\x7f"', b";a\x00", b";a=\x00", b";a=\x0b",
    b";\x80=b", b";a=\x80", b";a\x0b", b";a\rb", b";a\nb", b";a=b\r;c", b";a=b\n;c",
    b";a\x7f", b";a=[b]", b";a/b", b";a@b", b";a?b", b";a{b}",
)  # fmt: skip

ENDS = (
    ("LF after a size", b"5\nhello\r\n0\r\n\r\n"),
    ("CR after a size", b"5\rhello\r\n0\r\n\r\n"),
    ("LF CR after a size", b"5\n\rhello\r\n0\r\n\r\n"),
    ("LF after a chunk", b"5\r\nhello\n0\r\n\r\n"),
    ("CR after a chunk", b"5\r\nhello\r0\r\n\r\n"),
    ("LF CR after a chunk", b"5\r\nhello\n\r0\r\n\r\n"),
    ("nothing after a chunk", b"5\r\nhello0\r\n\r\n"),
    ("a space after a chunk", b"5\r\nhello \r\n0\r\n\r\n"),
    ("CR too much after a chunk", b"5\r\nhello\r\r\n0\r\n\r\n"),
    ("an empty line after a chunk", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("a chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"),
    ("a chunk shorter than its size", b"6\r\nhello\r\n0\r\n\r\n"),
    ("a chunk shorter by two", b"7\r\nhello\r\n0\r\n\r\n"),
    ("any two bytes after a chunk", b"5\r\nhelloXX0\r\n\r\n"),
    ("LF after the last size", b"5\r\nhello\r\n0\n\r\n"),
    ("LF LF at the end", b"5\r\nhello\r\n0\n\n"),
    ("LF for the last line", b"5\r\nhello\r\n0\r\n\n"),
    ("CR CR LF after the last size", b"5\r\nhello\r\n0\r\r\n\r\n"),
    ("CR CR LF at the end", b"5\r\nhello\r\n0\r\n\r\r\n"),
    ("a sign of the last size", b"5\r\nhello\r\n-0\r\n\r\n"),
    ("0x for the last size", b"5\r\nhello\r\n0x0\r\n\r\n"),
    ("a space after the last size", b"5\r\nhello\r\n0 \r\n\r\n"),
    ("a NUL for the last size", b"5\r\nhello\r\n\x00\r\n\r\n"),
    ("no size at all", b"hello\r\n\r\n"),
    ("a request for a chunk", b"GET / HTTP/1.1\r\n\r\n"),
    ("an empty line first", b"\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("LF first", b"\n5\r\nhello\r\n0\r\n\r\n"),
)

TRAILERS = (
    ("a length", b"Content-Length: 5"),
    ("two lengths", b"Content-Length: 5\r\nContent-Length: 6"),
    ("a length that is none", b"Content-Length: x"),
    ("a coding", b"Transfer-Encoding: chunked"),
    ("a coding that is none", b"Transfer-Encoding: x"),
    ("no colon", b"A"),
    ("no name", b": b"),
    ("a space before the colon", b"A : b"),
    ("a tab before the colon", b"A\t: b"),
    ("a space in front", b" A: b"),
    ("a tab in front", b"\tA: b"),
    ("a folded value", b"A: b\r\n c"),
    ("a value folded by a tab", b"A: b\r\n\tc"),
    ("a name folded", b"A\r\n : b"),
    ("a NUL in a value", b"A: b\x00"),
    ("a NUL in a name", b"A\x00: b"),
    ("a bell in a value", b"A: \x07"),
    ("a DEL in a value", b"A: \x7f"),
    ("a bare CR in a value", b"A: b\rc"),
    ("a bare LF in a value", b"A: b\nc"),
    ("a bare LF after it", b"A: b\nB: c"),
    ("parentheses in a name", b"A(b): c"),
    ("a quoted name", b'"A": b'),
    ("a name that is not ASCII", b"\xe9: b"),
    ("a space in a name", b"A b: c"),
    ("a request line", b"GET / HTTP/1.1"),
)

CASES = (
    *(refused(f"chunk size {word(size)}", chunked(size + END)) for size in SIZES),
    *(
        refused(f"extension {word(ext)}", chunked(b"5" + ext + END))
        for ext in EXTENSIONS
    ),
    *(refused(f"chunks: {name}", chunked(body)) for name, body in ENDS),
    *(
        refused(f"trailer: {name}", chunked(b"5\r\nhello\r\n0\r\n%b\r\n\r\n" % trailer))
        for name, trailer in TRAILERS
    ),
)
