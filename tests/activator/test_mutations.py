"""What nobody thought of: requests with bytes put in, left out, and spliced.

Nobody knows what these are; but nginx and h11, each behind an activator, must have seen
the same requests, and both clients must have got the same answers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activator.reading import RequestReader
from tests.activator.corpus import bodies, unusual
from tests.activator.corpus.case import ask, chunked, post
from tests.activator.corpus.index import CASES
from tests.activator.corpus.oracle import SETTINGS, Said, Sides, sender
from tests.activator.corpus.oracle import ask as ask_all
from tests.activator.recorders import Seen, codes
from tests.activator.rig import play

pytestmark = pytest.mark.slow

SHORT = 1_500
GOOD = [c.sent for c in (*unusual.CASES, *bodies.CASES) if len(c.sent) < SHORT]
BAD = [c.sent for c in CASES.values() if c.status and len(c.sent) < SHORT]
PIECES = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\xff", b":",
    b";", b",", b"=", b'"', b"0", b"5", b"0\r\n\r\n", b"5\r\nhello\r\n", b"hello",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\n",
    b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"Host: iris-ns.localhost\r\n",
    b"GET / HTTP/1.1\r\n", b"HTTP/1.0", b"chunked", b"A: b\r\n", b" x\r\n", b"%00", b"/../",
)  # fmt: skip
LAST = ask(b"Connection: close", first=b"GET /last HTTP/1.1")


@st.composite
def messages(draw: st.DrawFn) -> Said:
    parts = st.sampled_from(GOOD) | st.sampled_from(GOOD) | st.sampled_from(BAD)
    data = b"".join(draw(st.lists(parts, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from((0, 0, 1, 1, 2, 7)))
        piece = draw(
            st.sampled_from(PIECES)
            | st.binary(min_size=1, max_size=1)
            | st.sampled_from((b"", data[at : at + 20]))
        )
        data = data[:at] + piece + data[at + size :]
    data += LAST
    cuts = draw(st.lists(st.integers(1, len(data)), max_size=3))
    return said(data, cuts)


def said(data: bytes, cuts: list[int]) -> Said:
    ends = sorted({*cuts, len(data)})
    pieces = zip([0, *ends], ends, strict=False)
    return Said(
        pieces=tuple(data[a:b] for a, b in pieces if a < b), ends_after=unanswered(data)
    )


def unanswered(data: bytes) -> int | None:
    """Return after how many answers nothing will come of *data*; None: it ends itself.

    A client that had gone earlier would be seen as one that does not want them.
    """
    reader, whole = RequestReader(SETTINGS.bounds), 0
    while data:
        data = reader.feed(data)
        if reader.fault is not None:
            return None
        if reader.complete:
            whole += 1
            if reader.exchange is not None and not reader.exchange.stays:
                return None
            reader.next()
    return whole


def of_nginx(target: bytes) -> bool:
    """Say whether nginx takes a target: a path that is none it refuses itself."""
    path = target.partition(b"?")[0]
    plain = unquote_to_bytes(path)
    if re.search(rb"%(?![0-9A-Fa-f]{2})", path) or b"\x00" in plain or path == b"*":
        return False
    depth = 0
    for part in plain.split(b"/"):
        depth += 0 if part in (b"", b".") else -1 if part == b".." else 1
        if depth < 0:
            return False
    return True


def plain(seen: list[Seen]) -> list[Seen]:
    return [replace(each, odd=b"") for each in seen]


def same(said: list[Said], sides: Sides) -> None:
    """Compare what the two saw and answered."""
    nginx, h11 = sides.records
    refused = 0
    assert h11.refused == []
    for number, each in enumerate(said):
        who = sender(number).encode()
        seen = h11.whole.get(who, [])
        taken = [one for one in seen if of_nginx(one.target)]
        refused += len(seen) - len(taken)
        assert plain(nginx.whole.get(who, [])) == plain(taken), each
        for mine, other in zip(nginx.whole.get(who, []), taken, strict=True):
            assert other.odd.startswith(mine.odd)
        left, right = (codes(got[number]) for got in sides.got)
        # Those that nginx refused are the only ones that were answered otherwise.
        assert len(left) == len(right), each
        differ = [pair for pair in zip(left, right, strict=True) if pair[0] != pair[1]]
        assert differ == [(400, 204)] * (len(seen) - len(taken)), each
    heads = [*h11.partial.values()]
    refused += sum(not of_nginx(one.target) for seen in heads for one in seen)
    assert len(nginx.refused) <= refused, nginx.refused
    assert sides.left == (0, 0)


def compare(said: list[Said]) -> None:
    async def scene() -> None:
        with TemporaryDirectory() as folder:
            same(said, await ask_all(said, Path(folder)))

    play(scene(), limit_s=60.0)


@settings(settings(), max_examples=settings().max_examples // 4)
@given(st.lists(messages(), min_size=20, max_size=40))
def test_both_see_the_same_in_what_was_garbled(said):
    compare(said)


CUT = (
    ask(),
    post(b"Content-Length: 5"),
    chunked(b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n"),
    post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5"),
    post(b"Content-Length: 5", b"Expect: 100-continue", first=b"PUT / HTTP/1.1"),
    ask(first=b"HEAD http://iris-ns.localhost/a HTTP/1.1") + b"\r\n" + ask(),
    post(b"Content-Length: 5", b"Content-Length: 5"),
    chunked(b"2\r\nhel\r\n0\r\n\r\n"),
)


def test_a_cut_at_any_byte_changes_nothing():
    every = []
    for data in CUT:
        whole = data + LAST
        every += [said(whole, [at]) for at in range(1, len(whole))]

    compare(every)
