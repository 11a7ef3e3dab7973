"""Header field names: which ones a proxy must read, drop or pass on untouched."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Final

Field = tuple[bytes, bytes]
"""Name and value as received, without the colon and the space before the value."""

PASS: Final = 0
DROP: Final = 1
HOST: Final = 2
LENGTH: Final = 3
CODING: Final = 4
CONNECTION: Final = 5
EXPECT: Final = 6
UPGRADE: Final = 7
FORWARDED_FOR: Final = 8
FORWARDED_PROTO: Final = 9
FORWARDED_HOST: Final = 10
ISVC: Final = 11
NAMESPACE: Final = 12
REPEATABLE: Final = 13
AGENT: Final = 14
CHAIN: Final = 15

# Names of messages in the wild are a few hundred; the bounds are against a peer that
# invents a new one each time.
_REMEMBERED: Final = 4096
_LONGEST: Final = 64
_SPACE_AT_END: Final = re.compile(rb"[ \t]+\r\n")


class Kinds(dict[bytes, int]):
    """Remember the kind of each spelling of a name, so that one look-up is enough.

    A name that a gateway-interface server would take for a special one is dropped.

    >>> kinds = Kinds({b"content-length": LENGTH})
    >>> kinds[b"Content-Length"] == LENGTH, kinds[b"Content_Length"] == DROP
    (True, True)
    >>> kinds[b"Accept"] == PASS
    True
    """

    def __init__(self, table: Mapping[bytes, int]) -> None:
        super().__init__()
        self.table = table

    def __missing__(self, name: bytes) -> int:
        lower = name.lower()
        kind = self.table.get(lower, PASS)
        if kind == PASS and lower.replace(b"_", b"-") in self.table:
            kind = DROP
        if len(self) < _REMEMBERED and len(name) <= _LONGEST:
            self[name] = kind
        return kind


_HOP_BY_HOP: Final = {
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"keep-alive": DROP,
    b"proxy-connection": DROP,
}

CHAINED: Final = frozenset(
    {
        b"forwarded",
        b"x-real-ip",
        b"x-forwarded-by",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
    }
)
"""What proxies say of their clients, beside the three that are said anew."""

REQUEST: Final = Kinds(
    {
        **_HOP_BY_HOP,
        b"host": HOST,
        b"te": DROP,
        b"http2-settings": DROP,
        b"expect": EXPECT,
        b"upgrade": UPGRADE,
        b"x-forwarded-for": FORWARDED_FOR,
        b"x-forwarded-proto": FORWARDED_PROTO,
        b"x-forwarded-host": FORWARDED_HOST,
        **dict.fromkeys(CHAINED, CHAIN),
        b"kserve-isvc-name": ISVC,
        b"kserve-isvc-namespace": NAMESPACE,
        b"idempotency-key": REPEATABLE,
        b"x-idempotency-key": REPEATABLE,
        b"user-agent": AGENT,
    }
)

ANSWER: Final = Kinds({**_HOP_BY_HOP, b"upgrade": DROP})

# What decides before a body is read must not be said, or changed, after it (RFC 9110
# §6.5.1): who merges trailers into the fields would decide otherwise than we did.
_NEVER_LAST: Final = (
    "authorization proxy-authorization www-authenticate proxy-authenticate "
    "authentication-info proxy-authentication-info cookie set-cookie "
    "content-encoding content-type content-range content-location trailer "
    "cache-control max-forwards range if-match if-none-match if-modified-since "
    "if-unmodified-since if-range pragma age date expires location retry-after vary "
    "forwarded via x-real-ip x-http-method-override"
)

TRAILER: Final = Kinds(
    {
        **REQUEST.table,
        **dict.fromkeys(_NEVER_LAST.encode().split(), DROP),
    }
)


def tokens(value: bytes) -> tuple[bytes, ...]:
    """Return the members of a comma-separated list, in lower case.

    >>> tokens(b"Keep-Alive, , X-Trace")
    (b'keep-alive', b'x-trace')
    """
    return tuple(part for raw in value.split(b",") if (part := raw.strip().lower()))


def trimmed(head: bytes) -> bytes:
    """Return *head* with no tabs at the ends of its lines.

    llhttp leaves tabs at the end of a value; some take them for a part of it.

    >>> trimmed(b"A: 1\\t\\r\\nB: 2\\r\\n")
    b'A: 1\\r\\nB: 2\\r\\n'
    """
    # `in` tries its left side as a number first: ten times what a look takes.
    return head if head.find(b"\t\r\n") < 0 else _SPACE_AT_END.sub(b"\r\n", head)


def lines(fields: Iterable[Field], kinds: Kinds) -> bytes:
    """Write those of *fields* that mean nothing to a proxy: a trailer, for one.

    >>> lines([(b"A", b"1"), (b"Connection", b"x"), (b"B", b"2")], ANSWER)
    b'A: 1\\r\\nB: 2\\r\\n'
    """
    return b"".join(
        b"%b: %b\r\n" % (name, value) for name, value in fields if kinds[name] == PASS
    )


def without(written: Iterable[bytes], names: Container[bytes]) -> list[bytes]:
    """Return the lines of *written* less those of the fields named.

    >>> without([b"A: 1", b"B: 2"], [b"a"])
    [b'B: 2']
    """
    return [line for line in written if line.partition(b":")[0].lower() not in names]
