"""What must hold of any bytes that a client says, wherever reads cut them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import h11

from activator.core.exchange import Exchange
from activator.core.framing import NONE
from activator.reading import Bounds, RequestReader

SMALL: Final = Bounds(head=1024, target=256)
_READ: Final = 1 << 16


class Asked(NamedTuple):
    """One request, as a parser took it."""

    method: bytes
    target: bytes
    host: bytes
    body: bytes


class Read(NamedTuple):
    """All that was said on one connection."""

    whole: list[Asked]
    status: int
    """What the rest is worth; 0: nothing is wrong with it."""
    partial: bool
    """A head was taken whose body did not come to its end."""


class DisagreementError(AssertionError):
    """What must hold did not."""


def check(data: bytes, cuts: list[int]) -> Read:
    """Raise unless all that must hold of *data* does; return what was read."""
    ends = sorted({cut for cut in cuts if 0 < cut < len(data)} | {len(data)})
    pieces = [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    read, sent = _read(pieces)
    at_once, _ = _read([data])
    if not _agree(read, at_once):
        raise DisagreementError(f"cut at {ends}: {read}; at once: {at_once}")
    for asked, upstream in zip(read.whole, sent, strict=True):
        seen, why, rest = by_h11(upstream)
        if why or rest or [_plain(each) for each in seen] != [asked]:
            raise DisagreementError(
                f"{asked} was sent on as {upstream!r}: {seen} {why} {rest!r}"
            )
    _compare(read, data)
    return read


def _agree(one: Read, other: Read) -> bool:
    """Say whether both took and both refused the same.

    With two faults in one head it depends on the reads which is found first: a line
    without a version, and a length of more than may be.
    """
    refused = (one.status > 0) == (other.status > 0)
    return refused and one[::2] == other[::2]


def _read(pieces: list[bytes]) -> tuple[Read, list[bytes]]:
    """Read on a connection as the activator does; return what goes upstream too."""
    reader = RequestReader(SMALL)
    whole, sent = [], []
    for piece in pieces:
        rest = piece
        while rest and reader.fault is None:
            rest = reader.feed(rest)
            _bounded(reader, len(piece))
            exchange = reader.exchange
            if not reader.complete or reader.fault is not None or exchange is None:
                continue
            body = b"".join(exchange.pieces)
            host = exchange.host or b"localhost"
            whole.append(Asked(exchange.method, exchange.target, host, body))
            sent.append(_sent(exchange))
            if not exchange.stays or exchange.upgrade:
                return Read(whole, 0, partial=False), sent
            reader.next()
    status = reader.fault.status if reader.fault is not None else 0
    partial = reader.exchange is not None and (not reader.complete or status > 0)
    reader.close()
    return Read(whole, status, partial), sent


def _sent(exchange: Exchange) -> bytes:
    head = exchange.request_head(exchange.target, b"192.0.2.1")
    body = b"" if exchange.length == NONE else exchange.upload()
    if exchange.length != NONE and exchange.upload():
        raise DisagreementError(f"{exchange.target!r} is sent twice")
    return head + body


def _bounded(reader: RequestReader, read: int) -> None:
    """Raise if what is kept of a head is more than may be, and one read."""
    fields = sum(len(name) + len(value) for name, value in reader._fields)
    kept = max(fields + len(reader._target), len(reader._said))
    if kept > SMALL.head + read or len(reader._tail) > 3 or reader._pieces:
        raise DisagreementError(f"{kept} bytes are kept after a read of {read}")


def by_h11(data: bytes) -> tuple[list[Asked], str, bytes]:
    """Return the whole requests in *data* by h11, why it went no further, the rest."""
    parser = _begin(data)
    whole = []
    try:
        while True:
            head = parser.next_event()
            if not isinstance(head, h11.Request):
                return whole, "", parser.trailing_data[0]
            body = b""
            while isinstance(part := parser.next_event(), h11.Data):
                body += part.data
            if not isinstance(part, h11.EndOfMessage):
                return whole, "it is not whole", b""
            host = dict(head.headers).get(b"host", b"localhost")
            whole.append(Asked(head.method, head.target, host, body))
            rest = parser.trailing_data[0]
            # As far as this is asked, every connection stays.
            parser = _begin(rest)
            if not rest:
                return whole, "", b""
    except h11.RemoteProtocolError as error:
        return whole, str(error), b""


def _begin(data: bytes) -> h11.Connection:
    """Return a parser that was given *data*, less the empty lines it knows nothing of."""
    while data.startswith(b"\r\n"):
        data = data[2:]
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ)
    parser.receive_data(data)
    return parser


_ABSOLUTE: Final = re.compile(rb"(?i)https?://([^/?]*)(/?)(.*)", re.DOTALL)


def _plain(asked: Asked) -> Asked:
    """Return *asked* with the host that an absolute target names."""
    found = _ABSOLUTE.fullmatch(asked.target)
    if found is None:
        return asked
    return asked._replace(host=found[1], target=b"/" + found[3])


def _compare(read: Read, data: bytes) -> None:
    """Raise if h11 takes *data* for anything else, where it takes it at all.

    It takes more than we do, so ours may end earlier.
    """
    seen, why, _ = by_h11(data)
    for number, asked in enumerate(read.whole):
        if number >= len(seen):
            if KNOWN.match(why):
                return
            raise DisagreementError(f"{asked} is nothing to h11: {why} {data!r}")
        if _plain(seen[number]) != asked:
            raise DisagreementError(f"{asked} is {seen[number]} to h11")


# Where it is h11 that refuses what is right: it has a bound on a size's zeros.
KNOWN: Final = re.compile(r"illegal chunk header: bytearray\(b'0[0-9A-Fa-f]{20,}")
