"""Requests that have a key in common meet the same replica."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.core.exchange import Exchange
from activator.core.framing import CHUNKED, NONE
from activator.core.rendezvous import pick_of
from activator.keys import LOOK, keyed
from autoscaler.core.affinity import Affinity
from autoscaler.core.domain import GateSpec
from tests.activator.rig import KEY, Peer, Rig, get, play, post, replica, rig

CHANCE = 0.25


def sent(
    *pieces: bytes, complete: bool = True, fields: Sequence[tuple[bytes, bytes]] = ()
) -> Exchange:
    exchange = Exchange(b"POST", b"/v1/chat/completions")
    assert exchange.ask([(b"Host", b"h"), *fields], True, lambda: "1.1") is None
    exchange.length = CHUNKED if pieces or not complete else NONE
    for piece in pieces:
        exchange.body(piece)
    exchange.complete = complete
    return exchange


def key_of(body: bytes, size: int) -> float | None:
    return keyed(Affinity(prompt=size), sent(body), CHANCE)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ([(b"X-Session-Id", b"a")], b"a"),
        ([(b"x-session-ID", b" a ")], b"a"),
        ([(b"X-Session-Id", b"a:b"), (b"X-Session-Id", b"c")], b"a:b"),
        ([(b"X-Session", b"a"), (b"X-Session-Id-2", b"b")], b""),
        ([(b"X-Session-Id", b"")], b""),
        ([(b"X-Session-Id", b"a"), (b"Connection", b"x-session-id")], b""),
    ],
)
def test_a_field_is_the_key_if_it_says_something_and_is_passed_on(fields, key):
    found = keyed(Affinity(header="x-session-id"), sent(fields=fields), CHANCE)

    assert found == (pick_of(key) if key else CHANCE)


def test_a_field_needs_nothing_of_the_body():
    fields = [(b"a", b"b")]
    begun = sent(complete=False, fields=fields)

    assert keyed(Affinity(header="a"), begun, CHANCE) == pick_of(b"b")


@pytest.mark.parametrize("body", [[], [b""]])
def test_what_has_no_body_has_no_prompt(body):
    assert keyed(Affinity(prompt=9), sent(*body), CHANCE) == CHANCE


@pytest.mark.parametrize("name", ["prompt", "messages", "input"])
def test_what_stands_before_the_prompt_does_not_count(name):
    said = [{"role": "system", "content": "Be brief and kind."}]
    plain = json.dumps({name: said}).encode()
    more = {"metadata": {"prompt": "no", "a": ["messages"]}, "seed": 7, "x": "input"}

    assert key_of(json.dumps({**more, name: said}).encode(), 40) == key_of(plain, 40)


def test_prompts_with_one_beginning_have_one_key():
    shared = "You are a helpful assistant. "
    one, other = (json.dumps({"prompt": shared + more}).encode() for more in "ab")

    assert key_of(one, 30) == key_of(other, 30)
    assert key_of(one, 31) != key_of(other, 31)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"instances": [[1, 2]]}', id="another API"),
        pytest.param(b'{"x": "' + b"y" * LOOK + b'", "prompt": "a"}', id="too late"),
        pytest.param(b"\x00\xff{[", id="no JSON"),
        pytest.param(b'{"prompt"', id="a prompt that never comes"),
    ],
)
def test_of_what_has_no_prompt_the_body_itself_counts(body):
    assert key_of(body, 12) == pick_of(body[:12])


@given(
    st.binary(max_size=200) | st.just(b'{"model": "m", "prompt": "' + b"abcdefg" * 40),
    st.integers(1, 64),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_the_key_is_the_same_however_reads_cut_the_body(body, size, cuts):
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    pieces = [body[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    found = keyed(Affinity(prompt=size), sent(*pieces), CHANCE)

    assert found == (key_of(body, size) if body else CHANCE)


@given(st.integers(1, 70), st.binary(max_size=2 * LOOK))
def test_no_more_is_waited_for_than_is_looked_at_and_that_decides(size, body):
    affinity = Affinity(prompt=size)
    enough = size + LOOK

    found = keyed(affinity, sent(body, complete=False), CHANCE)

    assert (found is None) is (len(body) < enough)
    if found is not None:
        assert found == keyed(affinity, sent(body, b"and what comes"), CHANCE)


# Through an activator.


def said_by(name: bytes):
    """Return a replica that answers with its name."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)

    return serve


def through(balance: str, scene) -> None:
    """Run *scene* with an activator before three replicas."""

    async def whole() -> None:
        async with rig() as made, AsyncExitStack() as stack:
            ports = [
                await stack.enter_async_context(replica(said_by(b"%d" % name)))
                for name in range(3)
            ]
            await made.awake(*ports, gate=GateSpec(balance=balance))
            await scene(made)

    play(whole())


def test_each_session_stays_with_its_replica():
    async def scene(made: Rig) -> None:
        client = await made.client()
        told: dict[int, set[bytes]] = {}
        for turn in range(90):
            session = turn % 30
            more = b"X-Session-Id: %d\r\n" % session
            asked = post(b"{}", more=more) if turn % 2 else get(more=more)
            told.setdefault(session, set()).add((await client.ask(asked))[1])
        assert all(len(names) == 1 for names in told.values())
        assert len(set.union(*told.values())) == 3

    through("header:x-session-id", scene)


def prompt(number: int, more: str = "") -> bytes:
    said = f"You are assistant number {number:03}."
    return json.dumps({"model": "iris", "prompt": said + more}).encode()


def test_each_prompt_stays_with_its_replica_and_a_slow_body_is_waited_for():
    async def scene(made: Rig) -> None:
        client = await made.client()
        for number in range(12):
            at_once = (await client.ask(post(prompt(number, " Hi."))))[1]
            asked = post(prompt(number, " Go " + "on" * 4000))
            for start in range(0, len(asked), 1500):
                await client.send(asked[start : start + 1500])
                await asyncio.sleep(0)
            assert (await client.message())[1] == at_once

    through("prompt:30", scene)


def test_who_is_asked_for_more_of_its_body_sends_it():
    async def scene(made: Rig) -> None:
        client = await made.client()
        body = prompt(1)
        head, _, _ = post(body, more=b"Expect: 100-continue\r\n").partition(body)
        await client.send(head)
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(body))[0].startswith(b"HTTP/1.1 200 OK\r\n")

    through("prompt:30", scene)


def test_who_leaves_before_its_prompt_is_here_leaves_nothing():
    async def scene(made: Rig) -> None:
        one, other = await made.client(), await made.client()
        body = prompt(1)
        await one.send(post(body)[: -len(body)])
        await other.ask(post(body))
        one.abort()
        plane = made.activator._plane
        await made.until(lambda: len(plane.clients) == 1)
        assert made.board_level() == 0

    through("prompt:30", scene)


def test_a_revision_that_goes_before_the_prompt_is_here_is_503():
    async def scene(made: Rig) -> None:
        client = await made.client()
        body = prompt(1)
        await client.send(post(body)[: -len(body)])
        await made.until(lambda: bool(next(iter(made.activator._plane.clients)).active))
        made.activator._plane.board.remove(KEY, 0.0)
        assert (await client.ask(body))[0].startswith(b"HTTP/1.1 503 ")

    through("prompt:30", scene)
