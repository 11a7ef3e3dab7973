"""Nothing of one request reaches another, whatever breaks and in whichever order.

Every request names itself in all that it says, and every answer in all that it says;
each byte that comes out is then compared with what was meant for it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.server import ActivatorSettings
from autoscaler.core.domain import GateSpec, RevisionKey, Route
from tests.activator.rig import Peer, Rig, play, post, replica, rig

OK = b"HTTP/1.1 200 OK\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Name: poison\r\n\r\npoison"
SERVICES = ("iris", "rose")
KEYS = {name: RevisionKey("ns", f"{name}-predictor-00001") for name in SERVICES}
ROUTES = tuple(
    Route(
        namespace="ns",
        service=name,
        hosts=(f"{name}-ns.localhost",),
        backends=((KEYS[name], 100.0),),
    )
    for name in SERVICES
)
GATE = GateSpec(container_concurrency=2)
BREAKING = ("cut", "reset", "early")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and what its replica does when it gets it."""

    name: str
    service: str
    method: str
    size: int
    chunked: bool
    framing: str
    mood: str
    at: int
    """Where the answer breaks off, in its bytes, where it does."""

    @property
    def body(self) -> bytes:
        if self.method != "POST":
            return b""
        said = b"<%b>" % self.name.encode()
        return said * (1 + self.size // len(said))

    @property
    def answer_body(self) -> bytes:
        said = b"[%b]" % self.name.encode()
        return said * (1 + self.size // len(said))

    @property
    def asked(self) -> bytes:
        framing, sent = b"", b""
        if self.method == "POST" and self.chunked:
            middle = len(self.body) // 3 + 1
            framing = b"Transfer-Encoding: chunked\r\n"
            sent = chunks(self.body[:middle], self.body[middle:])
        elif self.method == "POST":
            framing, sent = b"Content-Length: %d\r\n" % len(self.body), self.body
        head = (
            f"{self.method} /{self.name} HTTP/1.1\r\nHost: {self.service}-ns.localhost"
        )
        return b"%b\r\nX-Name: %b\r\n%b\r\n%b" % (
            head.encode(), self.name.encode(), framing, sent,
        )  # fmt: skip

    @property
    def answer(self) -> bytes:
        head = OK + b"X-Name: %b\r\n" % self.name.encode()
        body = b"" if self.method == "HEAD" else self.answer_body
        if self.framing == "chunks":
            sent = b"" if self.method == "HEAD" else chunks(body[:7], body[7:])
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + sent
        if self.framing == "close":
            return head + b"Connection: close\r\n\r\n" + body
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(self.answer_body), body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One connection of a client: all its requests at once, cut into pieces."""

    asks: tuple[Ask, ...]
    cuts: tuple[int, ...]
    leaves: int
    """After so many pieces the client is gone; more than there are: it stays."""

    @property
    def pieces(self) -> list[bytes]:
        data = b"".join(ask.asked for ask in self.asks)
        # The last answer ends the connection, so that what is too much shows.
        last = self.asks[-1].asked
        data = data.removesuffix(last) + last.replace(
            b"\r\nX-Name", b"\r\nConnection: close\r\nX-Name", 1
        )
        ends = sorted({cut % len(data) for cut in self.cuts} | {len(data)})
        return [data[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]

    @property
    def is_smooth(self) -> bool:
        stays = self.leaves >= len(self.pieces)
        return stays and all(ask.mood not in BREAKING for ask in self.asks)


def chunks(*pieces: bytes) -> bytes:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p)
    return sent + b"0\r\n\r\n"


@st.composite
def visits(draw: st.DrawFn) -> list[Visit]:
    made = []
    for client in range(draw(st.integers(1, 6))):
        asks = []
        for number in range(draw(st.integers(1, 4))):
            mood = draw(
                st.sampled_from(["well", "well", "well", "stale", "more", *BREAKING])
            )
            framing = draw(st.sampled_from(["length", "chunks", "close"]))
            if mood in ("cut", "more") and framing == "close":
                framing = "length"  # Its end is wherever the connection's is.
            # What is too much comes in one piece with what is not.
            sizes = [0, 100, 5000] if mood == "more" else [0, 100, 5000, 150_000]
            asks.append(
                Ask(
                    name=f"{client}.{number}",
                    service=draw(st.sampled_from(SERVICES)),
                    method=draw(st.sampled_from(["POST", "POST", "GET", "HEAD"])),
                    size=draw(st.sampled_from(sizes)),
                    chunked=draw(st.booleans()),
                    framing=framing,
                    mood=mood,
                    at=draw(st.integers(0, 160_000)),
                )
            )
        cuts = draw(st.lists(st.integers(0, 200_000), max_size=4))
        leaves = draw(st.just(99) | st.integers(0, 4))
        made.append(Visit(asks=tuple(asks), cuts=tuple(cuts), leaves=leaves))
    return made


def reset(peer: Peer) -> None:
    """Break a connection off so that the other side is told of it by a reset."""
    sock = peer.writer.get_extra_info("socket")
    linger = struct.pack("ii", 1, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.abort()


def served(
    service: str, asks: dict[bytes, Ask], delivered: Counter[str]
) -> Callable[[Peer], Awaitable[None]]:
    """Return a replica that knows what to expect, and does to each as it wants."""

    async def serve(peer: Peer) -> None:
        while True:
            head = await peer.head()
            fields = head.split(b"\r\n")
            names = [f[8:] for f in fields if f.lower().startswith(b"x-name: ")]
            ask = asks[fields[0].split(b" ")[1]]
            assert names == [ask.name.encode()]
            assert ask.service == service
            assert fields[0].startswith(ask.method.encode() + b" ")
            delivered[ask.name] += 1
            if ask.mood == "early":
                await peer.send(ask.answer)
            body = b""
            if b"Transfer-Encoding: chunked" in fields:
                while chunk := await peer.chunk():
                    body += chunk
            elif ask.method == "POST":
                body = await peer.exactly(len(ask.body))
            assert body == ask.body
            if ask.mood == "cut" or ask.mood == "reset":
                await peer.send(ask.answer[: ask.at % len(ask.answer)])
                return reset(peer) if ask.mood == "reset" else peer.close()
            if ask.mood == "more":
                await peer.send(ask.answer + POISON)
            elif ask.mood != "early":
                await peer.send(ask.answer)
            if ask.mood == "stale" or ask.framing == "close":
                return peer.close()

    return serve


async def everything(peer: Peer) -> bytes:
    """Return all that comes until the connection ends, however it does."""
    got = []
    try:
        while data := await peer.reader.read(1 << 20):
            got.append(data)
    except ConnectionError:
        pass
    return b"".join(got)


def check(asks: tuple[Ask, ...], got: bytes, *, smooth: bool) -> None:
    """Compare all that a client got with what each of its requests was to get."""
    assert b"poison" not in got
    for ask in asks:
        if not smooth and b"\r\n\r\n" not in got:
            break
        head, _, got = got.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        if lines[0] != OK.strip():
            assert not smooth, head
            assert lines[0].startswith(b"HTTP/1.1 50"), head
            assert b"X-Name" not in fields
            if ask.method != "HEAD":
                size = int(fields[b"Content-Length"])
                body, got = got[:size], got[size:]
                assert "error" in json.loads(body)
            continue
        assert fields[b"X-Name"] == ask.name.encode()
        if ask.method == "HEAD":
            continue
        wanted = ask.answer_body
        if b"Content-Length" in fields:
            assert int(fields[b"Content-Length"]) == len(wanted)
            whole, body, got = (
                len(got) >= len(wanted),
                got[: len(wanted)],
                got[len(wanted) :],
            )
        else:
            whole, body, got = unchunked(got)
        assert body == wanted if whole else wanted.startswith(body)
        assert whole or not smooth
        if not whole:
            assert not got
            break
    if smooth:
        assert got == b""


def unchunked(data: bytes) -> tuple[bool, bytes, bytes]:
    """Return whether a body came to its end, the body, and what follows it."""
    body = b""
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return False, body, b""
        size = int(line, 16)
        if size == 0:
            assert b"\r\n".startswith(rest[:2])
            return rest[:2] == b"\r\n", body, rest[2:]
        body += rest[:size]
        if len(rest) < size + 2:
            return False, body, b""
        assert rest[size : size + 2] == b"\r\n"
        data = rest[size + 2 :]


async def say(made: Rig, plan: list[Visit], order: list[int], half: Callable[[], None]):
    """Send all pieces, interleaved by *order*; call *half* in the middle of it."""
    clients = [await made.client() for _ in plan]
    left = [visit.pieces for visit in plan]
    sent = [0] * len(plan)
    total, turn = sum(map(len, left)), 0
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(everything(client)) for client in clients]
        while any(left):
            busy = [number for number, pieces in enumerate(left) if pieces]
            who = busy[(order[turn % len(order)] if order else 0) % len(busy)]
            if sent[who] == plan[who].leaves:
                clients[who].abort()
                left[who].clear()
            elif clients[who].writer.is_closing():
                left[who].clear()  # A broken answer has ended the connection.
            else:
                clients[who].writer.write(left[who].pop(0))
                sent[who] += 1
            turn += 1
            if turn == max(1, total // 2):
                half()
            await asyncio.sleep(0)
        if turn < max(1, total // 2):
            half()
    return [task.result() for task in reading]


@given(
    plan=visits(),
    order=st.lists(st.integers(0, 5), max_size=20),
    asleep=st.booleans(),
)
def test_interleaved_requests_never_share_a_byte(plan, order, asleep):
    asks = {f"/{ask.name}".encode(): ask for visit in plan for ask in visit.asks}
    delivered: Counter[str] = Counter()

    async def scene() -> None:
        settings = ActivatorSettings(seed=1, drain_s=1.0)
        async with (
            rig(settings, ROUTES) as made,
            replica(served("iris", asks, delivered)) as one,
            replica(served("iris", asks, delivered)) as two,
            replica(served("rose", asks, delivered)) as three,
        ):

            def wake() -> None:
                made.see(one, two, key=KEYS["iris"], gate=GATE, slots=2)
                made.see(three, key=KEYS["rose"], gate=GATE, slots=2)

            for key in KEYS.values():
                made.see(key=key, gate=GATE)
            if not asleep:
                wake()

            got = await say(made, plan, order, wake)

            for visit, data in zip(plan, got, strict=True):
                check(visit.asks, data, smooth=visit.is_smooth)
            for ask in asks.values():
                # A reset says that it was not read: kernels send one where it was not.
                most = 2 if ask.mood == "reset" else 1
                assert delivered[ask.name] <= most or ask.method != "POST"
            for key in KEYS.values():
                await made.until(lambda key=key: made.board_level(key) == 0)
                gate = made.activator._plane.board.gate(key)
                assert gate is not None
                assert all(each.in_flight == 0 for each in gate.endpoints.values())

    play(scene())


@pytest.mark.parametrize("by", ["an end", "a reset"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"Content-Length: 9\r\n\r\n[no more]", id="a length"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"[no ", b"more]"),
            id="chunks",
        ),
    ],
)
def test_an_answer_that_breaks_off_at_any_byte_is_never_taken_for_whole(answer, by):
    head = answer.index(b"\r\n\r\n") + 4

    async def serve(peer: Peer) -> None:
        _, body = await peer.message()
        await peer.send(answer[: int(body)])
        if by == "a reset":
            reset(peer)
        else:
            peer.close()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            made.see(port)
            for at in range(len(answer)):
                client = await made.client()
                await client.send(
                    post(b"%d" % at, more=b"Connection: close\r\nX-Name: a\r\n")
                )

                got = await everything(client)

                start, _, body = got.partition(b"\r\n\r\n")
                if at < head:
                    assert start.startswith(b"HTTP/1.1 502 "), (at, got)
                    continue
                # A reset may overtake what was sent before it.
                if by == "a reset" and start.startswith(b"HTTP/1.1 502 "):
                    continue
                assert start.startswith(OK.strip()), (at, got)
                whole, said, _ = unchunked(body)
                if b"Content-Length" in start:
                    whole, said = len(body) >= 9, body
                assert not whole, (at, got)
                assert b"[no more]".startswith(said), (at, got)

            assert made.board_level() == 0

    play(scene())
