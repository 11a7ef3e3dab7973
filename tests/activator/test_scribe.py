"""One line for each request that ended, whatever became of it, on real sockets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activator.access_log import AccessLog
from activator.core.exchange import Exchange
from activator.scribe import Scribe
from activator.server import ActivatorSettings
from autoscaler.clock import monotonic, wall
from autoscaler.core.domain import GateSpec
from tests.activator.rig import HOST, KEY, Peer, Rig, get, play, post, replica, rig

UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


@dataclass
class Kept:
    """A sink that keeps all."""

    data: bytes = b""
    reopened: int = field(default=0)

    def put(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        pass

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


def journal() -> tuple[Kept, AccessLog]:
    kept = Kept()
    return kept, AccessLog(kept, monotonic, wall, json=True)


async def serve(peer: Peer) -> None:
    """Answer as the target says."""
    while True:
        head, body = await peer.message()
        target = head.split(b" ")[1]
        if target == b"/break":
            return
        if target == b"/half":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            return
        if target == b"/never":
            await peer.rest()
        elif target == b"/stream":
            await peer.send(
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(3):
                await peer.send(b"2\r\nab\r\n")
                await asyncio.sleep(0)
            await peer.send(b"0\r\n\r\n")
        elif target == b"/tunnel":
            await peer.send(
                b"HTTP/1.1 101 Switching Protocols\r\n%b\r\nhello" % UPGRADE
            )
            await peer.exactly(4)
            await peer.send(b"bye")
            return
        else:
            await peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )


async def ended(peer: Peer, *pieces: bytes) -> None:
    """Say *pieces*, and read until the end."""
    for piece in pieces:
        await peer.send(piece)
    await peer.rest()


async def one(made: Rig, what: str) -> None:
    """Have one request end as *what* says."""
    peer = await made.client()
    close = b"Connection: close\r\n"
    match what:
        case "kept":
            await peer.ask(post(b"abc"))
        case "streamed":
            await ended(peer, get(b"/stream", close))
        case "upgraded":
            await peer.send(get(b"/tunnel", UPGRADE))
            await peer.head()
            await peer.exactly(5)
            await ended(peer, b"ping")
        case "broken":
            await ended(peer, post(b"x", b"/break", close))
        case "half":
            await ended(peer, get(b"/half"))
        case "left":
            await peer.send(get(b"/never"))
            before = made.board_level()
            await made.until(lambda: made.board_level() >= min(1, before))
            peer.close()
        case "nobody":
            await ended(peer, b"GET /x HTTP/1.1\r\nHost: nobody\r\n" + close + b"\r\n")
        case "check":
            await ended(peer, get(b"/v2/health/ready", close))
        case "malformed":
            await ended(peer, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        case "long":
            await ended(peer, b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20_000))
        case "no host":
            await ended(peer, b"GET / HTTP/1.1\r\n\r\n")
        case "bad body":
            await peer.send(
                b"POST /never HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
                % HOST.encode()
            )
            await ended(peer, b"zz\r\n")
        case "begun":
            await peer.send(b"GET /begun HT")
            await made.until(
                lambda: any(client.active for client in made.activator._plane.clients)
            )
            peer.close()
        case "silent":
            peer.close()
        case "pipelined":
            await peer.send(post(b"a") + post(b"b") + get(b"/c", close))
            await peer.rest()


LINES = {
    "kept": 1, "streamed": 1, "upgraded": 1, "broken": 1, "half": 1, "left": 1,
    "nobody": 1, "check": 1, "malformed": 1, "long": 1, "no host": 1, "bad body": 1,
    "begun": 1, "silent": 0, "pipelined": 3,
}  # fmt: skip


@settings(max_examples=12)
@given(st.lists(st.sampled_from(sorted(LINES)), min_size=1, max_size=12))
def test_there_are_as_many_lines_as_requests_that_ended(whats):
    kept, log = journal()

    async def scene() -> None:
        async with rig(log=log) as made, replica(serve) as port:
            await made.awake(port)
            await asyncio.gather(*(one(made, what) for what in whats))

            def all_gone() -> bool:
                plane = made.activator._plane
                return made.board_level() == 0 and not any(
                    client.active for client in plane.clients
                )

            for client in made.clients:
                client.close()
            await made.until(all_gone)

    play(scene())
    log.close()
    lines = kept.lines()
    assert len(lines) == sum(LINES[what] for what in whats)
    assert log.dropped == 0


def told(*whats: str, bounds: ActivatorSettings | None = None) -> list[dict[str, Any]]:
    """Return the lines of requests that end one after another."""
    kept, log = journal()

    async def scene() -> None:
        async with rig(bounds, log=log) as made, replica(serve) as port:
            await made.awake(port)
            for what in whats:
                await one(made, what)

    play(scene())
    log.close()
    return kept.lines()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("kept", {"status": 200, "outcome": "ok", "bytes_sent": 3, "bytes_received": 3,
                  "revision": KEY.name, "namespace": "ns", "retries": 0}),
        ("streamed", {"status": 200, "outcome": "ok", "bytes_sent": 26}),
        ("upgraded", {"status": 101, "outcome": "ok", "bytes_sent": 8, "bytes_received": 4}),
        ("broken", {"status": 502, "outcome": "failed", "first_byte_s": None}),
        ("half", {"status": 200, "outcome": "failed", "bytes_sent": 4}),
        ("left", {"status": 499, "outcome": "left", "target": "/never"}),
        ("nobody", {"status": 404, "outcome": "ok", "host": "nobody", "replica": "",
                    "revision": ""}),
        ("malformed", {"status": 400, "outcome": "left", "method": "GET", "target": "/"}),
        ("long", {"status": 414, "outcome": "left", "method": "GET"}),
        ("no host", {"status": 400, "outcome": "left", "protocol": "HTTP/1.1"}),
        ("bad body", {"status": 400, "outcome": "left", "method": "POST"}),
        ("begun", {"status": 499, "outcome": "left", "target": "/begun"}),
    ],
)  # fmt: skip
def test_a_line_says_what_became_of_it(what, said):
    (line,) = told(what)

    assert line.items() >= said.items()
    assert line["client"] == "127.0.0.1"


def test_requests_on_one_connection_are_told_apart():
    first, second, third = told("pipelined")

    assert [line["target"] for line in (first, second)] == [
        "/v1/models/iris:predict"
    ] * 2
    assert third["target"] == "/c"
    assert [line["bytes_sent"] for line in (first, second, third)] == [1, 1, 0]


def test_phases_of_a_held_request_are_in_its_line_and_refused_ones_have_one():
    kept, log = journal()

    async def scene() -> None:
        async with rig(log=log) as made, replica(serve) as port:
            made.see(gate=GateSpec(max_held=1))
            client, other = await made.client(), await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            head, _ = await other.ask(post(b"y"))
            assert head.startswith(b"HTTP/1.1 429 ")
            made.see(port)
            await client.message()

    play(scene())
    log.close()
    refused, held = kept.lines()
    assert (refused["status"], refused["outcome"]) == (429, "failed")
    assert (refused["revision"], refused["replica"]) == (KEY.name, "")
    assert held["status"] == 200
    assert held["hold_s"] > 0.0
    assert 0.0 < held["connect_s"] <= held["first_byte_s"] <= held["duration_s"]
    assert held["hold_s"] + held["first_byte_s"] <= held["duration_s"] + 0.000_01


def test_who_is_too_many_has_a_line():
    kept, log = journal()

    async def scene() -> None:
        async with rig(ActivatorSettings(max_connections=1), log=log) as made:
            made.see()
            await (await made.client()).ask(get(b"/v2/health/ready"))
            await ended(await made.client(), get(b"/late"))

    play(scene())
    log.close()
    _, late = kept.lines()
    assert (late["status"], late["outcome"], late["target"]) == (503, "failed", "/late")


@given(
    st.integers(0, 3),
    st.binary(max_size=40),
    st.lists(st.binary(max_size=9), max_size=4),
)
def test_only_what_follows_the_answers_head_is_its_body(interim, body, more):
    _, log = journal()
    wrote: list[bytes] = []
    scribe = Scribe(log, b"::1", wrote.append)
    early = b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * interim
    said = [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        early + b"HTTP/1.1 200 OK\r\n\r\n" + body,
        *more,
    ]

    for data in said:
        scribe.write(data)

    assert wrote == said
    assert scribe._sent == len(body) + sum(map(len, more))


def test_a_request_that_went_nowhere_is_noted():
    kept, log = journal()

    Scribe(log, b"::1", print).refused(Exchange(b"GET", b"/a"), 400, monotonic())
    log.close()

    (line,) = kept.lines()
    assert (line["client"], line["target"], line["status"]) == ("::1", "/a", 400)
