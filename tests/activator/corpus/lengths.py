"""Content-Length that is not one plain number of bytes."""

from __future__ import annotations

from tests.activator.corpus.case import post, refused, word

VALUES = (
    b"+5", b"-5", b"-0", b"--5", b"5-", b"5+", b"0x5", b"0X5", b"x5", b"5h", b"0b101",
    b"0o5", b"5.", b"5.0", b".5", b"5e0", b"5E0", b"50e-1", b"1_0", b"_5", b"5_",
    b"5,", b",5", b"5,5", b"5, 5", b"5 , 5", b"5,6", b"5;5", b"5;q=1", b"5 5", b"5\t5",
    b"5 bytes", b'"5"', b"'5'", b"(5)", b"5%", b"%35", b"&#53;", b"five", b"NaN",
    b"inf", b"null", b"true", b"*", b"?", b"5/5", b"0-4", b"5:5", b"5=5", b"$5", b"#5",
    b"[5]", b"{5}", b"5!", b"5\\", b"\\5", b"5\xa0", b"\xa05", b"\xc2\xa05",
    b"\xef\xbb\xbf5", b"\xd9\xa5", b"\xef\xbc\x95", b"\xc2\xb2", b"\xe2\x81\xb5",
    b"\xe0\xa5\xab", b"5\xad", b"5\x00", b"\x005", b"5\x0b", b"\x0b5", b"5\x0c",
    b"\x0c5", b"5\x1f", b"\x7f5", b"5\x085", b"", b" ", b"\t", b"9" * 19,
    b"18446744073709551615", b"18446744073709551616", b"18446744073709551621",
    b"9223372036854775808", b"0" * 30 + b"5", b"9" * 400,
)  # fmt: skip

LINES = (
    ("the same twice", (b"Content-Length: 5", b"Content-Length: 5")),
    ("a smaller first", (b"Content-Length: 4", b"Content-Length: 5")),
    ("a larger first", (b"Content-Length: 6", b"Content-Length: 5")),
    ("none first", (b"Content-Length: 0", b"Content-Length: 5")),
    ("none last", (b"Content-Length: 5", b"Content-Length: 0")),
    ("in two cases", (b"Content-Length: 5", b"content-length: 5")),
    ("apart", (b"Content-Length: 5", b"A: b", b"Content-Length: 6")),
    ("three", (b"Content-Length: 5",) * 3),
    ("an empty one first", (b"Content-Length:", b"Content-Length: 5")),
    ("an empty one last", (b"Content-Length: 5", b"Content-Length:")),
    ("a list last", (b"Content-Length: 5", b"Content-Length: 5, 5")),
    ("a word last", (b"Content-Length: 5", b"Content-Length: x")),
    ("a signed one last", (b"Content-Length: 5", b"Content-Length: +5")),
    ("with zeros last", (b"Content-Length: 5", b"Content-Length: 05")),
    ("space before the colon", (b"Content-Length : 5",)),
    ("tab before the colon", (b"Content-Length\t: 5",)),
    ("one good, one with a space", (b"Content-Length: 5", b"Content-Length : 6")),
    ("two colons", (b"Content-Length:: 5",)),
    ("no colon", (b"Content-Length 5",)),
    ("an equals sign", (b"Content-Length=5",)),
    ("a space in front", (b" Content-Length: 5",)),
    ("a tab in front", (b"\tContent-Length: 5",)),
    ("folded value", (b"Content-Length:", b" 5")),
    ("folded after the value", (b"Content-Length: 5", b" ")),
    ("folded longer", (b"Content-Length: 5", b" 0")),
    ("folded by a tab", (b"Content-Length: 5", b"\t0")),
    ("folded before the colon", (b"Content-Length", b" : 5")),
    ("hidden behind a bare LF", (b"A: b\nContent-Length: 5",)),
    ("hidden behind a bare CR", (b"A: b\rContent-Length: 5",)),
    ("hidden behind a NUL", (b"A: b\x00Content-Length: 5",)),
    ("a hyphen that is none", (b"Content\xe2\x80\x90Length: 5",)),
    ("a soft hyphen in it", (b"Content\xad-Length: 5",)),
    ("a space for the hyphen", (b"Content Length: 5",)),
    ("quoted name", (b'"Content-Length": 5',)),
    ("with a NUL in the name", (b"Content-\x00Length: 5",)),
    ("with a BOM before the name", (b"\xef\xbb\xbfContent-Length: 5",)),
)

CASES = (
    *(
        refused(f"length {word(value[:30])}", post(b"Content-Length: " + value))
        for value in VALUES
    ),
    *(refused(f"lengths: {name}", post(*lines)) for name, lines in LINES),
)
