"""Whatever a client says, all who read it agree on what it was.

Each case of tests/activator/corpus goes through two activators on real sockets, one
before nginx and one before h11. After a case that is well another request follows, which
is taken for what it is only if the case ended where it should; after one that is not, a
request follows that nobody may ever see.
"""

from __future__ import annotations

import pytest

from activator.reading import Bounds, RequestReader
from tests.activator.corpus.case import HOST, SMUGGLED, Case, ask
from tests.activator.corpus.index import CASES
from tests.activator.corpus.oracle import Said, Sides, sender
from tests.activator.corpus.oracle import ask as ask_all
from tests.activator.recorders import Seen, statuses
from tests.activator.rig import play

pytestmark = pytest.mark.slow

LAST = Seen(host=HOST, target=b"/last")
NUMBERS = {name: number for number, name in enumerate(CASES)}
BAD = [case for case in CASES.values() if case.status or case.ends]
MORE = ask(b"Connection: close", first=b"GET /last HTTP/1.1")
POISON = ask(first=b"GET %b HTTP/1.1" % SMUGGLED)


def follow(case: Case) -> bytes:
    if case.ends or not case.stays:
        return b""
    return POISON if case.status else MORE


def said(case: Case, cuts: int) -> Said:
    data = case.sent + follow(case)
    size = len(data) // cuts + 1
    pieces = tuple(data[at : at + size] for at in range(0, len(data), size))
    return Said(pieces=pieces, ends_after=0 if case.ends else None)


@pytest.fixture(scope="module", params=[1, 3], ids=["at once", "in pieces"])
def sides(request, tmp_path_factory) -> Sides:
    """All cases, asked once."""
    found = []

    async def scene() -> None:
        folder = tmp_path_factory.mktemp("nginx")
        every = [said(case, request.param) for case in CASES.values()]
        found.append(await ask_all(every, folder))

    play(scene(), limit_s=120.0)
    return found[0]


def test_there_are_enough_of_them():
    assert len(BAD) >= 500
    assert len(CASES) - len(BAD) >= 200


@pytest.mark.parametrize("name", CASES)
def test_both_see_what_was_said_and_nothing_else(sides, name):
    case, number = CASES[name], NUMBERS[name]
    who = sender(number).encode()
    goes_on = case.stays and not case.status and not case.ends
    for side, got, record in sides:
        takes = case.nginx or side != "nginx"
        wanted = list(case.seen) if takes else []
        answers = [204 if takes else 400] * len(case.seen)
        if goes_on:
            wanted.append(LAST)
            answers.append(204)
        if case.status:
            answers.append(case.status)

        assert record.whole.get(who, []) == wanted, side
        assert statuses(got[number]) == answers, side
        assert all(each.target != SMUGGLED for each in record.partial.get(who, []))
        if case.status and not case.ends:
            assert b"Connection: close\r\n" in got[number]
    if case.fields is not None:
        names = {name for name, _ in case.fields}
        [fields, *_] = sides.records[1].fields[who]
        assert tuple(field for field in fields if field[0] in names) == case.fields


def test_neither_was_given_what_it_could_not_read(sides):
    odd = sum(not case.nginx for case in CASES.values())
    nginx, h11 = sides.records

    assert len(nginx.refused) == odd, nginx.refused
    assert h11.refused == []


def test_each_request_ended_in_one_way(sides):
    assert sides.left == (0, 0)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_same_however_it_comes(name):
    case = CASES[name]
    data = case.sent + follow(case)

    at_once = read([data])

    assert at_once == read([bytes([byte]) for byte in data])
    if case.status:
        assert at_once[1] == case.status


def read(pieces: list[bytes]) -> tuple[list[tuple[bytes, ...]], int]:
    """Return the requests, and the status that the rest is worth."""
    reader, found = RequestReader(Bounds()), []
    for piece in pieces:
        rest = piece
        while rest and reader.fault is None:
            rest = reader.feed(rest)
            exchange = reader.exchange
            if reader.complete and reader.fault is None and exchange is not None:
                body = b"".join(exchange.pieces)
                found.append((exchange.method, exchange.target, exchange.host, body))
                if not exchange.stays:
                    return found, 0
                reader.next()
    return found, reader.fault.status if reader.fault else 0
