"""An activator's links: to everybody, and whose word counts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from activator.line import Line
from activator.link import Link, look_up, split
from autoscaler.core.domain import Entrance, GateSpec, Probe, RevisionKey, Route
from autoscaler.core.frames import Lead, Leaving, Opened, Out, Routing, Synced
from autoscaler.core.messages import Gone, Sample, View, Wake
from tests.fakes.linked import (
    HOST,
    KEY,
    Front,
    House,
    front,
    house,
    play,
    replicas,
    spec,
    until,
)
from tests.fakes.sharing import sample

LLM = RevisionKey("ns", "llm")
IRIS_ROUTE = Route(namespace="ns", service="iris")
WAKE = Wake(key=KEY, reporter="a", epoch=0, held=1)


def view(key: RevisionKey = KEY, version: int = 1, *ports: int) -> View:
    return View(
        key=key,
        version=version,
        epoch=0,
        gate=GateSpec(),
        probe=Probe(),
        entrances=tuple(Entrance(port=each) for each in ports),
    )


def made() -> Front:
    return Front("a", known=())


def line(at: Front) -> Line:
    """Return a line that is there without a socket."""
    alone = Line(HOST, 1, at.link._badge, at.link)
    alone.connected = True
    at.link._lines[HOST, len(at.link._lines)] = alone
    return alone


def said(on: Line) -> list[object]:
    """Return what waits to go out."""
    messages: list[object] = []
    while (message := on._outbox.take()) is not None:
        messages.append(message)
    return messages


def say(at: Front, by: Line, *messages: object) -> None:
    for each in messages:
        at.link.heard(by, each)


# Whose word counts.


def test_nothing_counts_before_somebody_leads():
    a = made()
    one = line(a)

    say(a, one, view(), Synced())
    say(a, one, Lead(term=5, leading=False), view(), Routing(routes=()), Synced())

    assert not a.downs
    assert not a.link.synced
    assert a.metric("stale") == 5


def test_the_leader_of_the_highest_term_counts_and_an_older_one_no_more():
    a = made()
    one, two = line(a), line(a)
    say(a, one, Lead(term=1, leading=True), view(version=1), Synced())

    say(a, two, Lead(term=2, leading=True), view(version=9), Synced())
    say(a, one, view(version=10), Gone(key=KEY), Routing(routes=(IRIS_ROUTE,)))
    say(a, one, Lead(term=1, leading=True), Synced(), Out())

    assert a.views[KEY].version == 9
    assert a.routes == ()
    assert a.link.term == 2


def test_when_the_leader_is_away_what_was_last_heard_stands():
    a = made()
    one, two = line(a), line(a)
    say(a, one, Lead(term=1, leading=True), view(), Synced())

    one._part()
    say(a, two, Lead(term=1, leading=False))

    assert set(a.views) == {KEY}
    assert a.link.synced


def test_a_revision_that_is_not_in_a_whole_snapshot_is_no_more():
    a = made()
    one, two = line(a), line(a)
    say(a, one, Lead(term=1, leading=True), view(), view(LLM), Synced())

    say(a, two, Lead(term=2, leading=True), view(LLM, 2))
    assert set(a.views) == {KEY, LLM}, "it is not whole yet"
    say(a, two, Synced(), view(KEY, 3), Synced())

    assert a.downs[-2] == Gone(key=KEY)
    assert set(a.views) == {KEY, LLM}


def test_an_empty_snapshot_is_one_too():
    a = made()
    one = line(a)
    say(a, one, Lead(term=1, leading=True), view(), Synced())

    say(a, one, Lead(term=1, leading=True), Synced())

    assert not a.views


def test_a_snapshot_that_broke_off_takes_nothing_away():
    a = made()
    one = line(a)
    say(a, one, Lead(term=1, leading=True), view(), view(LLM), Synced())
    say(a, one, Lead(term=1, leading=True), view())

    one._part()

    assert set(a.views) == {KEY, LLM}


def test_routes_in_parts_count_as_a_whole_and_in_order():
    a = made()
    one = line(a)
    first, second = (Route(namespace="ns", service=name) for name in ("a", "b"))
    say(a, one, Lead(term=1, leading=True))

    say(a, one, Routing(routes=(first,), part=0, parts=2))
    assert a.routes == ()
    # Replaced by newer ones before it was all told.
    say(a, one, Routing(routes=(second,), part=0, parts=2))
    say(a, one, Routing(routes=(second,), part=2, parts=3))
    say(a, one, Routing(routes=(first,), part=1, parts=2))

    assert a.routes == (second, first)


def test_out_counts_only_for_one_that_wants_to_leave():
    a = made()
    one = line(a)
    say(a, one, Lead(term=1, leading=True), Out())
    assert not a.link.out.is_set()

    a.link.leaving()
    assert said(one) == [Leaving(reporter="a")]
    say(a, one, Out())

    assert a.link.out.is_set()


# What it says.


def test_it_tells_everybody():
    a = made()
    one, two = line(a), line(a)
    two.connected = False
    three = line(a)

    a.link.tell(WAKE)
    a.link.tell(sample("a", 1))

    assert said(one) == said(three) == [WAKE, sample("a", 1)]
    assert said(two) == []


def test_where_it_listens_is_said_once_and_again_on_each_new_line():
    a = made()
    one = line(a)
    say(a, one, Lead(term=1, leading=True), view(KEY, 4, 7002, 7001))

    a.link.opened(KEY, 3, "")  # Of a view before.
    a.link.opened(KEY, 4, "")
    a.link.opened(KEY, 4, "")
    now = Opened(key=KEY, reporter="a", version=4, ports=(7001, 7002))
    assert said(one) == [now]

    a.link.opened(KEY, 4, "port 7001 is taken")
    [refused] = said(one)
    assert isinstance(refused, Opened)
    assert refused.refused == "port 7001 is taken"

    a.link.leaving()
    said(one)
    two = line(a)
    a.link.met(two)
    assert said(two) == [refused, Leaving(reporter="a")]

    say(a, one, Gone(key=KEY))
    a.link.opened(KEY, 4, "")
    three = line(a)
    a.link.met(three)
    assert said(three) == [Leaving(reporter="a")]


# With real sockets.


def test_every_autoscaler_of_a_name_is_linked_to_and_new_ones_too():
    there: list[House] = []
    known = True

    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        assert (host, port) == ("autoscaler.fromzero", 9443)
        if not known:
            raise OSError("no resolver")
        return [(HOST, each.port) for each in there]

    async def scene() -> None:
        nonlocal known
        async with AsyncExitStack() as stack:
            there.append(await stack.enter_async_context(house(1)))
            a = await stack.enter_async_context(
                front("a", "autoscaler.fromzero:9443", resolve=resolve, look_s=0.001)
            )
            await until(lambda: a.links == 1)
            there.append(await stack.enter_async_context(house(None)))
            await until(lambda: a.links == 2)

            a.link.tell(WAKE)
            await until(lambda: all(WAKE in each.heard for each in there))

            known = False
            there[0].cut("a")
            await until(lambda: there[0].told.count(("connected", "a")) == 2)
            known = True
            gone = there.pop()
            gone.cut("a")
            await until(lambda: len(a.link._lines) == 1)
            assert not gone.here("a")

    play(scene())


def test_what_it_says_is_heard_while_it_is_linked_and_is_not_kept_for_later():
    async def scene() -> None:
        async with house() as one, front("a", one.address) as a:
            await until(lambda: a.link.synced)
            one.cut("a")
            await until(lambda: not a.links)
            a.link.tell(sample("a", 1, held=9))
            await until(lambda: a.links)
            a.link.tell(sample("a", 1, held=2))

            await until(lambda: any(isinstance(e, Sample) for e in one.heard))
            assert [e.held for e in one.heard if isinstance(e, Sample)] == [2]

    play(scene())


def test_leaders_take_turns_and_the_activator_is_always_led_by_the_one_that_does():
    async def scene() -> None:
        async with house(1) as one, house(None) as two:
            for each in (one, two):
                each.loop.configure(KEY, spec(limit=3, replicas=1))
                each.loop.observed(KEY, replicas("r"))
            async with front("a", one.address, two.address) as a:
                leader, other = one, two
                for term in range(2, 8):
                    await until(
                        lambda term=term: a.link.synced and a.link.term == term - 1
                    )
                    leader.lead(leading=False, term=term - 1)
                    other.lead(term=term)
                    leader, other = other, leader
                    await until(lambda term=term: a.link.term == term)
                    route = Route(namespace="ns", service=f"of-{term}")
                    leader.link.reroute((route,))
                    await until(lambda route=route: a.routes == (route,))
                    assert a.views[KEY].version >> 64 == term

    play(scene())


def test_it_ends_with_everything_it_began():
    async def scene() -> None:
        before = asyncio.all_tasks()
        async with house() as one, front("a", one.address) as a:
            await until(lambda: a.link.synced)
        assert asyncio.all_tasks() == before

    play(scene())


def test_a_name_is_looked_up():
    async def scene() -> None:
        assert (HOST, 80) in await look_up("127.0.0.1", 80)

    play(scene())


@pytest.mark.parametrize("address", ["autoscaler", ":80", "a:b", "a:", ""])
def test_an_address_is_a_host_and_a_port(address: str):
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        split(address)


def test_the_link_is_what_an_activator_is_wired_to():
    assert isinstance(made().link, Link)
