"""As much of HTTP/2 as is understood of what else is passed on unread (RFC 9113)."""

from __future__ import annotations

from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client begins."""
HEAD: Final = 9
"""Bytes before a frame's payload."""

HEADERS: Final = 1
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7

ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame.

    >>> frame(SETTINGS, flags=ACK)
    b'\\x00\\x00\\x00\\x04\\x01\\x00\\x00\\x00\\x00'
    """
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


def length(head: bytes) -> int:
    """Return how long the payload is of a frame that begins with *head*."""
    return int.from_bytes(head[:3], "big")


def field(name: bytes, value: bytes) -> bytes:
    """Return a field that nobody keeps, as HPACK has it (RFC 7541, 6.2.2)."""
    return b"\0" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    """Return a string with its length, which is a number of 7 bits or more (5.1).

    >>> _text(b"ab"), _text(b"a" * 300)[:3]
    (b'\\x02ab', b'\\x7f\\xad\\x01')
    """
    length = len(text)
    if length < 127:
        return bytes((length,)) + text
    length -= 127
    said = b"\x7f"
    while length >= 128:
        said += bytes((length % 128 + 128,))
        length //= 128
    return said + bytes((length,)) + text
