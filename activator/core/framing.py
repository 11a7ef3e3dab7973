"""Where a message ends, and what its first line may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import AddressValueError, IPv6Address
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message cannot be passed on, and the status that says so."""

    status: int
    reason: str


NONE: Final = -1
"""Length of a message without a body."""
CHUNKED: Final = -2
UNTIL_CLOSE: Final = -3
"""Length of an answer that ends when its connection does."""

REPEATABLE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""Methods whose request may be sent twice (RFC 9110 §9.2.2)."""

_SLASH: Final = ord("/")
_HASH: Final = ord("#")
_REFUSED_METHODS: Final = frozenset({b"CONNECT", b"TRACE", b"SOURCE", b"PRI"})
_HOST: Final = re.compile(
    # RFC 3986 §3.2.2 but for the comma, which others may take for a list's, and for
    # empty labels, which name nothing.
    rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[\w~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+"
    rb"(?:\.(?:[\w~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)*\.?)(?::([0-9]{0,5}))?"
)
_LAST_PORT: Final = 65535
# Hosts in the wild are as many as there are services, and answers of a model have few
# lengths; the bounds are against a peer that invents a new one each time.
_REMEMBERED: Final = 4096
_LENGTHS: Final[dict[bytes, int]] = {}
_LONGEST: Final = 64
# What 64 bits can hold, with no thought of overflow.
_MOST_DIGITS: Final = 18

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """Return the first line; a status without a name of its own has none.

    >>> status_line(204), status_line(599)
    (b'HTTP/1.1 204 No Content\\r\\n', b'HTTP/1.1 599 \\r\\n')
    """
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def length_of(value: bytes) -> int | None:
    """Return the number of bytes that a Content-Length names.

    >>> length_of(b"12 "), length_of(b"+12"), length_of(b"1,2"), length_of(b"")
    (12, None, None, None)
    """
    known = _LENGTHS.get(value)
    if known is not None:
        return known
    digits = value.strip(b" \t")
    if len(digits) > _MOST_DIGITS or not digits.isdigit():
        return None
    length = int(digits)
    if len(_LENGTHS) < _REMEMBERED and value == digits:
        _LENGTHS[value] = length
    return length


def is_chunked(value: bytes) -> bool:
    """Say whether a Transfer-Encoding is the one that is spoken here.

    >>> is_chunked(b"Chunked"), is_chunked(b"gzip, chunked"), is_chunked(b"")
    (True, False, False)
    """
    return value.strip(b" \t").lower() == b"chunked"


def is_plain(method: bytes, target: bytes, host: bytes) -> bool:
    """Say whether `address` would change nothing and refuse nothing: almost always.

    >>> is_plain(b"GET", b"/a", b"b:80"), is_plain(b"GET", b"http://b/a", b"b")
    (True, False)
    """
    return (
        target[0] == _SLASH
        and _HASH not in target
        and method not in _REFUSED_METHODS
        and _HOSTS[host]
    )


def address(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes] | Fault:
    """Return host and path; the authority of an absolute target is the host.

    >>> address(b"GET", b"http://b/c?d", b"a")
    (b'b', b'/c?d')
    >>> address(b"GET", b"*", b"a").reason
    'the target * is for OPTIONS only'
    """
    if method in _REFUSED_METHODS:
        return Fault(400, f"{method.decode()} is not served")
    if host and not _HOSTS[host]:
        return Fault(400, "Host is not a host and a port")
    if not target.startswith(b"/") and target != b"*":
        scheme, mark, rest = target.partition(b"://")
        if not mark or scheme.lower() not in (b"http", b"https"):
            return Fault(400, "the target is neither a path nor an http URL")
        start = min(
            at for at in (rest.find(b"/"), rest.find(b"?"), len(rest)) if at + 1
        )
        host, target = rest[:start], rest[start:]
        if not _HOSTS[host]:
            return Fault(400, "the target's host is not a host and a port")
        if not target.startswith(b"/"):
            target = b"/" + target
    if target == b"*" and method != b"OPTIONS":
        return Fault(400, "the target * is for OPTIONS only")
    if _HASH in target:
        return Fault(400, "the target has a fragment")
    return host, target


class Hosts(dict[bytes, bool]):
    """Remember of each host whether it is one, so that one look-up is enough.

    >>> hosts = Hosts()
    >>> hosts[b"a.b:80"], hosts[b"[::1]"], hosts[b"a,b"], hosts[b"a:b"], hosts[b""]
    (True, True, False, False, False)
    """

    def __missing__(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host)
        valid = found is not None and _fits(found[1], found[2])
        if len(self) < _REMEMBERED and len(host) <= _LONGEST:
            self[host] = valid
        return valid


def _fits(literal: bytes | None, port: bytes | None) -> bool:
    if port and int(port) > _LAST_PORT:
        return False
    if literal is not None:
        try:
            IPv6Address(literal.decode())
        except AddressValueError:
            return False
    return True


_HOSTS: Final = Hosts()
