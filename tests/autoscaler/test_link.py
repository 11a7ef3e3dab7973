"""The link with real sockets: who is let in, what counts, and who leads."""

from __future__ import annotations

import random
from dataclasses import replace
from math import inf

import pytest

from autoscaler.core.domain import Entrance, RevisionKey, Route
from autoscaler.core.envelope import LARGEST
from autoscaler.core.frames import (
    Challenge,
    Lead,
    Leaving,
    Opened,
    Proof,
    Refused,
    Routing,
    Synced,
    Welcome,
)
from autoscaler.core.messages import Address, Gone, Sample, View, Wake
from tests.fakes.linked import (
    KEY,
    Front,
    House,
    front,
    house,
    knock,
    play,
    quiet,
    replicas,
    spec,
    until,
)
from tests.fakes.sharing import sample

OTHER = b"somebody else's secret"
WAKE = Wake(key=KEY, reporter="a", epoch=0, held=1)


def test_an_activator_gets_all_there_is_and_then_each_change():
    async def scene() -> None:
        async with house() as made:
            made.loop.configure(KEY, spec())
            made.link.reroute((Route(namespace="ns", service="iris"),))
            async with front("a", made.address) as a:
                await until(lambda: a.link.synced)
                assert set(a.views) == {KEY}
                assert a.routes == (Route(namespace="ns", service="iris"),)
                assert [each.name for each in made.all()] == ["a"]

                other = RevisionKey("ns", "llm")
                made.loop.configure(other, spec())
                await until(lambda: other in a.views)
                made.link.reroute(())
                await until(lambda: not a.routes)
                made.loop.remove(KEY)
                await until(lambda: KEY not in a.views)

    play(scene())


def test_what_an_activator_says_is_heard_with_the_fleets_own_version():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            made.loop.configure(KEY, spec(limit=2, replicas=1))
            made.loop.observed(KEY, replicas("r1"))
            await until(lambda: a.views.get(KEY) and a.views[KEY].addresses)

            a.link.tell(sample("a", a.views[KEY].version, r1=1))
            await until(lambda: any(isinstance(e, Sample) for e in made.heard))

            said = next(e for e in made.heard if isinstance(e, Sample))
            assert said.reporter == "a"
            assert said.version == made.loop.views()[0].version

    play(scene())


@pytest.mark.parametrize(
    ("theirs", "ours", "let_in"),
    [
        pytest.param((OTHER,), (b"a new secret, long enough",), False, id="another's"),
        pytest.param((OTHER,), (b"a new secret, long enough", OTHER), True, id="old"),
    ],
)
def test_who_does_not_know_the_secret_is_told_nothing(theirs, ours, let_in):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            made.known = ours
            stranger = await connect()

            last = await stranger.greet(known=theirs)

            assert isinstance(last, Welcome if let_in else Challenge)
            assert bool(made.all()) == let_in

    play(scene())


def test_a_wrong_proof_is_refused_and_counted():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            await stranger.greet(known=(OTHER,))

            await stranger.say(Proof(proof="0" * 64))

            last = await stranger.hear()
            assert isinstance(last, Refused)
            assert "does not know this autoscaler's secret" in last.reason
            assert made.metric("secret") == 1
            assert await stranger.closed()
            assert not made.all()

    play(scene())


def test_a_handshake_that_was_overheard_opens_nothing():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            first, second = await connect(), await connect()
            said: list[str] = []
            send = first.socket.send_str

            async def overheard(text: str) -> None:
                said.append(text)
                await send(text)

            first.socket.send_str = overheard
            assert isinstance(await first.greet(), Welcome)
            await first.send(WAKE)

            await second.socket.send_str(said[0])
            assert isinstance(await second.hear(), Challenge)
            await second.socket.send_str(said[1])

            assert isinstance(await second.hear(), Refused)
            assert made.metric("secret") == 1
            # Nor does a frame that was overheard, on the very same link.
            await until(lambda: WAKE in made.heard)
            await first.socket.send_str(said[2])
            assert await first.closed()
            assert made.heard.count(WAKE) == 1

    play(scene())


def test_a_secret_that_changes_counts_at_once_and_links_that_are_made_stay():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            await until(lambda: a.link.synced)
            made.known = (OTHER,)
            async with front("b", made.address, known=(OTHER,)) as b:
                await until(lambda: b.link.synced)
                assert made.here("a")

    play(scene())


def test_a_secret_that_cannot_be_read_lets_nobody_in(caplog):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:

            def missing():
                raise FileNotFoundError("no such file")

            made.link._greeter._known = missing
            last = await (await connect()).greet()

            assert isinstance(last, Refused)
            assert last.reason == "this autoscaler cannot read its secret"
            assert "no such file" in caplog.text

    play(scene())


@pytest.mark.parametrize(
    ("oldest", "newest", "version"),
    [
        pytest.param(1, 9, 1, id="a newer activator that knows the old version"),
        pytest.param(0, 1, 1, id="an older one that knows the new version"),
        pytest.param(2, 9, None, id="one that has forgotten it"),
        pytest.param(0, 0, None, id="one that has never heard of it"),
    ],
)
def test_the_version_that_both_speak_is_spoken_or_else_it_is_said_why_not(
    oldest: int, newest: int, version: int | None
):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            last = await (await connect()).greet(oldest=oldest, newest=newest)

            if version is None:
                assert isinstance(last, Refused)
                assert f"versions {oldest} to {newest}" in last.reason
                assert "this autoscaler 1 to 1" in last.reason
                assert made.metric("version") == 1
            else:
                assert isinstance(last, Welcome)

    play(scene())


def test_what_a_newer_activator_says_beyond_is_counted_and_the_rest_is_heard():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            await stranger.greet()

            await stranger.raw(
                '{"v":1,"more":7,"messages":[{"type":"Hum","loud":true},'
                '{"type":"Wake","key":["ns","iris"],"reporter":"a","epoch":0,"held":1,'
                '"colour":"blue"}]}'
            )

            await until(lambda: WAKE in made.heard)
            assert made.metric("unknown") == 1

    play(scene())


@pytest.mark.parametrize(
    "lie",
    [
        WAKE,
        sample("a", 0, held=3),
        Leaving(reporter="a"),
        Opened(key=KEY, reporter="a", version=1, ports=(1,)),
    ],
    ids=lambda lie: type(lie).__name__,
)
def test_an_activators_word_counts_only_for_itself(lie):
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            await until(lambda: a.link.synced)
            async with knock(made.address) as connect:
                stranger = await connect()
                await stranger.greet("b")
                heard, told = list(made.heard), [*made.told]
                own = replace(WAKE, reporter="b")

                await stranger.send(lie, own)

                await until(lambda: own in made.heard)
                assert [each for each in made.heard[len(heard) :] if each == lie] == []
                assert made.told == told
                assert made.link.opened("a", KEY) is None
                assert made.metric("forged") == 1

    play(scene())


@pytest.mark.parametrize(
    "odd",
    [
        replace(sample("a", 0), span_s=0.0),
        replace(sample("a", 0), concurrency=inf),
        replace(sample("a", 0), held=-1),
        replace(WAKE, held=-1),
    ],
)
def test_what_cannot_be_so_is_refused(odd):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            await stranger.greet()

            await stranger.send(odd, WAKE)

            await until(lambda: WAKE in made.heard)
            assert odd not in made.heard
            assert made.metric("garbled") == 1

    play(scene())


def test_garbage_of_any_bytes_ends_its_own_link_and_no_other(caplog):
    chance = random.Random(7)

    async def scene() -> None:
        async with house() as made, front("good", made.address) as good:
            await until(lambda: good.link.synced)
            async with knock(made.address) as connect:
                for number in range(60):
                    stranger = await connect(f"127.0.0.{number % 9 + 2}")
                    late = number % 2
                    if late:
                        await stranger.greet(f"bad-{number}")
                    data = chance.randbytes(chance.randint(0, 3000))
                    match number % 5:
                        case 0:
                            await stranger.socket.send_bytes(data)
                        case 1:
                            await stranger.socket.send_str(data.decode("latin-1"))
                        case 2:
                            await stranger.socket.send_str(
                                chance.choice(["", "{}", "[" * 900, '{"messages":[]}'])
                            )
                        case 3:
                            transport = stranger.socket._conn.transport
                            transport.write(data)
                            transport.close()
                        case 4:
                            await stranger.socket.ping(data[:125])
                            await stranger.socket.send_str("\0")
                    assert await stranger.closed()
            good.link.tell(replace(WAKE, reporter="good"))
            await until(lambda: replace(WAKE, reporter="good") in made.heard)
            assert made.told.count(("connected", "good")) == 1
            words = [each for each in made.heard if hasattr(each, "reporter")]
            assert {each.reporter for each in words} == {"good"}
            assert made.metric("garbled") > 0
        assert quiet(caplog) == []

    play(scene())


@pytest.mark.parametrize("late", [False, True], ids=["before", "after the greeting"])
def test_a_frame_that_is_too_large_is_not_read(late: bool):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            if late:
                await stranger.greet()

            try:
                await stranger.socket.send_str("x" * (LARGEST + 1))
                assert await stranger.closed()
            except ConnectionError:
                pass  # It did not even wait for the end.
            await until(lambda: made.metric("garbled") == 1)

    play(scene())


def test_who_says_more_than_it_may_waits_and_nobody_else_does():
    async def scene() -> None:
        async with house(rate=2.0) as made, front("good", made.address) as good:
            await until(lambda: good.link.synced)
            async with knock(made.address) as connect:
                stranger = await connect()
                await stranger.greet("loud")
                wakes = [replace(WAKE, reporter="loud", epoch=n) for n in range(50)]
                await stranger.send(*wakes)
                await until(lambda: made.metric("throttled"))
                await stranger.send(replace(WAKE, reporter="loud", epoch=77))

                good.link.tell(replace(WAKE, reporter="good"))
                await until(lambda: replace(WAKE, reporter="good") in made.heard)
                assert wakes[-1] in made.heard
                assert replace(WAKE, reporter="loud", epoch=77) not in made.heard

    play(scene())


def test_the_same_name_again_replaces_the_older_link():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            first, second = await connect(), await connect()
            await first.greet("a")
            await second.greet("a")

            assert await first.closed()
            await second.send(WAKE)
            await until(lambda: WAKE in made.heard)
            assert made.here("a")
            assert made.metric("replaced") == 1

    play(scene())


def test_an_activator_that_is_out_of_touch_stays_until_its_process_has_ended():
    async def scene() -> None:
        async with house() as made:
            async with front("a", made.address) as a:
                await until(lambda: a.link.synced)
            await until(lambda: not made.here("a"))
            assert [each.name for each in made.all()] == ["a"]
            assert made.told == [("connected", "a"), ("disconnected", "a")]

            made.link.ended("a")
            made.link.ended("a")

            assert made.all() == ()

    play(scene())


def test_the_slots_of_one_that_ended_rest_and_then_are_given_to_others():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            made.loop.configure(KEY, spec(limit=2, replicas=1))
            made.loop.observed(KEY, replicas("r1"))
            async with front("b", made.address) as b:
                await until(lambda: a.link.synced and b.link.synced)
                told = a.views[KEY].version
                a.link.tell(sample("a", told, r1=0))
                await until(lambda: slots(a) + slots(b) == 2 and slots(b) == 1)
            made.link.ended("b")
            assert slots(a) == 1

            await until(lambda: slots(a) == 2)

    play(scene())


def test_a_process_that_was_started_again_is_not_taken_for_the_one_before():
    async def scene() -> None:
        async with house() as made:
            made.loop.configure(KEY, spec(limit=2, replicas=1))
            made.loop.observed(KEY, replicas("r1"))
            async with knock(made.address) as connect:
                stranger = await connect()
                await stranger.greet("a", instance="one")
                assert (await views(stranger))[KEY].addresses[0].slots == 2
                again = await connect()
                await again.greet("a", instance="two")

                assert (await views(again))[KEY].addresses[0].slots == 0
                assert await stranger.closed()

    play(scene())


def test_one_that_is_expected_keeps_what_it_may_have():
    async def scene() -> None:
        async with house(term=None) as made:
            made.link.expect("b")
            made.link.expect("b")
            made.loop.configure(KEY, spec(limit=2, replicas=1))
            made.loop.observed(KEY, replicas("r1"))
            async with front("a", made.address) as a:
                await until(lambda: made.here("a"))
                made.lead(term=4)
                await until(lambda: a.link.synced)
                a.link.tell(know(a, had=0))
                await until(lambda: not grant(made, "a").kept)
                assert grant(made, "a").slots == 0, "b may have both"
                async with front("b", made.address) as b:
                    await until(lambda: b.link.synced)
                    assert grant(made, "b").kept
                    assert [each.name for each in made.all()] == ["a", "b"]
                    b.link.tell(know(b, had=1))
                    await until(lambda: slots(a) == 1)

    play(scene())


def test_an_activator_is_told_that_it_is_out_and_again_if_it_comes_again():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            await until(lambda: a.link.synced)
            made.link.out("a")
            made.link.out("nobody")
            a.link.leaving()
            await until(lambda: ("leaving", "a") in made.told)
            assert made.all()[0].leaving
            made.cut("a")
            await a.link.out.wait()
            await until(lambda: made.told.count(("leaving", "a")) == 2)

    play(scene())


def test_where_an_activator_listens_is_known_until_the_revision_is_gone():
    async def scene() -> None:
        async with house() as made, front("a", made.address) as a:
            made.loop.configure(KEY, spec(entrances=(Entrance(port=7001),)))
            await until(lambda: KEY in a.views)
            a.link.opened(KEY, a.views[KEY].version, "")
            await until(lambda: made.link.opened("a", KEY))

            said = made.link.opened("a", KEY)
            assert said is not None
            assert (said.ports, said.refused) == ((7001,), "")
            assert made.told[-1] == ("opened", "a", "ns/iris")

            made.loop.remove(KEY)
            assert made.link.opened("a", KEY) is None
            assert made.link.opened("nobody", KEY) is None

    play(scene())


def test_a_snapshot_is_cut_into_frames_with_lead_first_and_synced_last():
    async def scene() -> None:
        async with house(term=3) as made, knock(made.address) as connect:
            for number in range(1000):
                made.loop.configure(RevisionKey("ns", f"model-{number}"), spec())
            routes = tuple(Route(namespace="ns", service=f"m-{n}") for n in range(1000))
            made.link.reroute(routes)
            stranger = await connect()
            await stranger.greet()

            frames = []
            while not (frames and isinstance(frames[-1][-1], Synced)):
                frames.append(await stranger.read())

            told = [message for frame in frames for message in frame]
            assert told[0] == Lead(term=3, leading=True)
            assert len([each for each in told if isinstance(each, View)]) == 1000
            parts = [each for each in told if isinstance(each, Routing)]
            assert [(each.part, each.parts) for each in parts] == [
                (number, len(parts)) for number in range(len(parts))
            ]
            assert tuple(route for each in parts for route in each.routes) == routes
            assert len(frames) > 1

    play(scene())


def test_a_reader_that_is_slow_gets_the_newest_of_each_and_no_heap():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            made.loop.configure(KEY, spec())
            stranger = await connect()
            await stranger.greet()
            while Synced() not in await stranger.read():
                pass
            # In one turn of the event loop, in which nothing can be sent.
            for limit in range(1, 200):
                made.loop.configure(KEY, spec(limit))
            made.loop.remove(KEY)
            made.loop.configure(KEY, spec(7))

            told = await stranger.read()

            assert told[0] == Gone(key=KEY)
            assert isinstance(told[1], View)
            assert told[1].gate.container_concurrency == 7
            assert len(told) == 2

    play(scene())


def test_a_name_that_is_not_its_own_gets_no_link_and_takes_nobodys_place():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            made.loop.configure(KEY, spec())
            honest = await connect()
            await honest.greet()
            await until(lambda: made.here("a"))
            made.strangers.add("a")

            thief = await connect()
            await thief.greet()

            assert await thief.closed()
            assert made.here("a")
            assert made.metric("stranger") == 1

    play(scene())


# Who leads.


def test_a_follower_says_that_it_follows_and_nothing_else_but_it_listens():
    async def scene() -> None:
        async with house(term=None) as made, knock(made.address) as connect:
            made.loop.configure(KEY, spec())
            stranger = await connect()
            await stranger.greet()
            assert await stranger.read() == [Lead(term=0, leading=False)]

            await stranger.send(sample("a", 17, held=1))
            await until(lambda: any(isinstance(e, Sample) for e in made.heard))
            said = next(each for each in made.heard if isinstance(each, Sample))
            assert said.version == -1

            made.link.out("a")
            made.lead(leading=False, term=8)
            assert await stranger.read() == [Lead(term=8, leading=False)]

    play(scene())


def test_a_follower_that_begins_to_lead_is_followed_and_keeps_all_at_work():
    async def scene() -> None:
        async with house(term=1) as one, house(term=None) as two:
            for each in (one, two):
                each.loop.configure(KEY, spec(limit=2, replicas=1))
                each.loop.observed(KEY, replicas("r1"))
            async with front("a", one.address, two.address) as a:
                await until(lambda: a.link.synced and two.here("a"))
                assert slots(a) == 2
                before = a.views[KEY].version
                one.lead(leading=False, term=1)
                two.lead(term=2)

                await until(lambda: a.views[KEY].version > before)

                view = a.views[KEY]
                assert (view.addresses[0].slots, view.addresses[0].kept) == (2, True)
                a.link.tell(know(a, had=2))
                await until(lambda: not grant(two, "a").kept)
                assert slots(a) == 2

    play(scene())


def slots(at: Front) -> int:
    return at.views[KEY].addresses[0].slots


def grant(at: House, name: str) -> Address:
    """Return what that activator is to have of the replica."""
    shares = at.link._shares
    assert shares is not None
    return shares.personal(at.link._seats[name].id, KEY).addresses[0]


def know(at: Front, had: int) -> Sample:
    said = sample(at.link.name, at.views[KEY].version, r1=0)
    loads = tuple(replace(each, slots=had) for each in said.replicas)
    return replace(said, replicas=loads)


async def views(stranger) -> dict[RevisionKey, View]:
    told: list[object] = []
    while Synced() not in told:
        told += await stranger.read()
    return {each.key: each for each in told if isinstance(each, View)}
