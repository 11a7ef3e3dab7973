"""Who knocks and how: what is said in the handshake, and what is refused."""

from __future__ import annotations

import pytest

from autoscaler.core.frames import Challenge, Hello, Proof, Refused, Synced, Welcome
from tests.fakes.linked import house, knock, play, until


def test_who_knows_the_secret_is_let_in():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            assert isinstance(await (await connect()).greet("a-1"), Welcome)
            await until(lambda: made.here("a-1"))

    play(scene())


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 254], ids=["no", "odd", "long"])
def test_a_name_that_nobody_has_is_refused(name: str, caplog):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            await stranger.say(
                Hello(name=name, instance="", nonce="", oldest=1, newest=1)
            )

            assert await stranger.closed()
            assert made.metric("garbled") == 1
            assert not made.all()

    play(scene())
    assert "must be 1 to 253 letters" in caplog.text
    assert "\n" not in caplog.records[-1].getMessage()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param(Proof(proof="x"), "has Proof, must be Hello", id="too early"),
        pytest.param(Synced(), "must be one message", id="not of the handshake"),
        pytest.param(
            Hello(name="a", instance="x" * 4096, nonce="", oldest=1, newest=1),
            "at most 4096",
            id="long",
        ),
    ],
)
def test_what_is_no_greeting_is_refused(word: object, said: str, caplog):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            stranger = await connect()
            await stranger.say(word)

            assert await stranger.closed()
            assert made.metric("garbled") == 1

    play(scene())
    assert said in caplog.text


def test_who_does_not_end_the_greeting_is_not_waited_for(caplog):
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            made.link._greeter._patience_s = 0.05
            silent, halfway = await connect(), await connect()
            hello = Hello(name="a", instance="x", nonce="n", oldest=1, newest=1)
            await halfway.say(hello)
            assert isinstance(await halfway.hear(), Challenge)

            assert await silent.closed()
            assert await halfway.closed()
            assert made.metric("late") == 2
            assert not made.all()

    play(scene())
    assert "did not end its greeting within 0.05 s" in caplog.text


def test_no_more_strangers_are_greeted_at_one_time_than_there_is_room_for():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            made.link._greeter._patience_s = 0.2
            waiting = [await connect(f"127.0.0.{n // 8 + 2}") for n in range(64)]

            with pytest.raises(Exception, match="503"):
                await connect()

            assert made.metric("crowded") == 1
            for each in waiting:
                await each.closed()
            assert isinstance(await (await connect()).greet(), Welcome)

    play(scene())


def test_an_address_that_fails_again_and_again_is_greeted_no_more_but_others_are():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            for _ in range(16):
                stranger = await connect("127.0.0.2")
                await stranger.say(Synced())
                assert await stranger.closed()

            with pytest.raises(Exception, match="503"):
                await connect("127.0.0.2")

            assert made.metric("crowded") == 1
            assert made.metric("garbled") == 16
            for number in range(30):
                stranger = await connect("127.0.0.3")
                assert isinstance(await stranger.greet(f"a-{number}"), Welcome)

    play(scene())


def test_a_refusal_says_why():
    async def scene() -> None:
        async with house() as made, knock(made.address) as connect:
            last = await (await connect()).greet("a-1", oldest=5, newest=6)

            assert last == Refused(
                reason="activator a-1 speaks versions 5 to 6 of the link, this "
                "autoscaler 1 to 1"
            )

    play(scene())
