"""One request's way: routes, holds, retries, limits, upgrades, refusals."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from activator.core.ticket import Outcome
from activator.server import ActivatorSettings
from autoscaler.core.domain import GateSpec, RevisionKey, Route
from autoscaler.core.messages import Refusal, Wake
from tests.activator.rig import (
    HOST,
    KEY,
    ROUTE,
    Peer,
    echo,
    get,
    play,
    post,
    replica,
    rig,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHAT = b"/v1/chat/completions"


def at(host: bytes, path: bytes, body: bytes = b"", more: bytes = b"") -> bytes:
    method = b"POST" if body else b"GET"
    return b"%b %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        method, path, host, len(body), more, body,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        pytest.param(at(b"iris-ns.localhost", b"/a"), b"/a", id="host"),
        pytest.param(at(b"IRIS-ns.LocalHost:8080", b"/a"), b"/a", id="host and port"),
        pytest.param(
            at(b"x", b"/a", more=b"KServe-Isvc-Name: iris\r\nKServe-Isvc-Namespace: ns\r\n"),
            b"/a", id="fields",
        ),
        pytest.param(at(b"x", b"/serving/ns/iris/a?b=c"), b"/a?b=c", id="path"),
        pytest.param(at(b"x", CHAT, b'{"model": "iris"}'), b'{"model": "iris"}', id="model"),
        pytest.param(
            at(b"x", b"/openai/v1/embeddings", b'{"input": "a", "model":"iris"}'),
            b'{"input": "a", "model":"iris"}', id="model, later",
        ),
    ],
)  # fmt: skip
def test_a_request_finds_its_service(asked, seen):
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            await made.awake(port)
            client = await made.client()
            assert (await client.ask(asked))[1] == seen

    play(scene())


@pytest.mark.parametrize("cut", [1, 30, 5000])
def test_a_model_is_found_wherever_reads_cut_the_body(cut):
    body = json.dumps({"messages": ["x" * 9000], "model": "iris"}).encode()

    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            await made.awake(port)
            client = await made.client()
            asked = at(b"x", CHAT, body)
            step = max(cut, len(asked) // 40)
            for start in range(0, len(asked), step):
                await client.send(asked[start : start + step])
                await asyncio.sleep(0)
            assert (await client.message())[1] == body

    play(scene())


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        pytest.param(at(b"x", b"/v1/models/a:predict", b"{}"), 404, "ns/iris", id="V1"),
        pytest.param(at(b"x", b"/v2/models/a/infer", b"{}"), 404, "host x", id="V2"),
        pytest.param(at(b"x", b"/serving/ns/no/a"), 404, "ns/no", id="path"),
        pytest.param(
            at(b"x", CHAT, b'{"model": "no"}'), 404, "no model 'no'", id="model"
        ),
        pytest.param(
            at(b"x", CHAT, b'{"a": 1}'), 404, "no field `model`", id="no model"
        ),
        pytest.param(
            at(b"x", CHAT, b'{"a": "' + b"x" * (2 << 20)), 413, "first", id="too late"
        ),
    ],
)
def test_a_request_for_nobody_is_told_who_is_here(asked, status, said):
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()

            client.writer.write(asked)
            head, body = await client.message()

            assert head.startswith(b"HTTP/1.1 %d " % status)
            error = json.loads(body)["error"]
            words = error["message"] if CHAT in asked else error
            assert said in words

    play(scene())


def test_lists_and_health_are_the_activators_own_where_nobody_is_named():
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            for path, what in (
                (b"/v1/models", {"object": "list", "models": ["iris"]}),
                (b"/v2", {"name": "fromzero", "models": ["iris"]}),
                (b"/v2/health/live", {"live": True}),
                (b"/v2/health/ready", {"ready": True}),
                (b"/healthz", {"status": "ok"}),
            ):
                head, body = await client.ask(at(b"localhost", path))
                assert head.startswith(OK)
                assert json.loads(body).items() >= what.items()

            assert not made.said

    play(scene())


@pytest.mark.parametrize(
    ("path", "agent"),
    [
        (b"/v2/health/ready", b""),
        (b"/v2/models/iris/ready", b""),
        (b"/v1/models/iris", b""),
        (b"/metrics", b"Prometheus/2.53"),
        (b"/anything", b"kube-probe/1.31"),
        (b"/", b"ELB-HealthChecker/2.0"),
        (b"/", b"GoogleHC/1.0"),
    ],
)
def test_a_check_neither_wakes_nor_counts(path, agent):
    asked = get(path, b"User-Agent: %b\r\n" % agent if agent else b"")

    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            head, _ = await client.ask(asked)
            assert head.startswith(OK)
            assert not made.said

            await made.awake(port)
            made.said.clear()
            assert (await client.ask(asked))[1] == path
            gate = made.activator._plane.board.gate(KEY)
            assert gate.meter.arrived == 0
            assert gate.endpoints[f"r{port}"].in_flight == 0

    play(scene())


def test_a_held_request_wakes_once_and_its_body_goes_on_in_order():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            clients = [await made.client() for _ in range(20)]
            for number, client in enumerate(clients):
                await client.send(post(b"%d" % number * 1000))
            await made.until(lambda: made.board_level() == 20)
            assert [m for m in made.said if isinstance(m, Wake)] == made.said
            assert len(made.said) == 1
            assert made.metric(
                "fromzero_activator_held_requests",
                namespace="ns", revision=KEY.name,
            ) == 20  # fmt: skip

            made.see(port)
            for number, client in enumerate(clients):
                head, body = await client.message()
                assert body == b"%d" % number * 1000
                assert re.search(rb"X-Fromzero-Cold-Start: \d+\.\d{3}\r\n", head)

            assert made.watch.cold == [KEY] * 20
            assert made.watch.begun == [KEY]
            assert {end.outcome for end in made.watch.ended} == {Outcome.OK}

    play(scene())


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (b"/v1/models/iris:predict", lambda e: e["error"]),
        (b"/v2/models/iris/infer", lambda e: e["error"]),
        (CHAT, lambda e: e["error"]["message"]),
    ],
)
def test_refusals_speak_the_protocol_that_was_asked_for(path, shape):
    async def scene() -> None:
        async with rig() as made:
            refusal = Refusal(reason="exit status 1: no module", retry_after_s=7.2)
            made.see(refusal=refusal)
            client = await made.client()

            head, body = await client.ask(post(b"{}", path))

            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 8\r\n" in head
            assert "exit status 1: no module" in shape(json.loads(body))
            # The connection is as good as before.
            assert (await client.ask(post(b"{}", path)))[0].startswith(b"HTTP/1.1 503 ")

    play(scene())


def test_a_start_that_fails_ends_the_holds_at_once():
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)

            made.see(refusal=Refusal(reason="exit status 3", retry_after_s=1.0))

            head, body = await client.message()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"Server-Timing: hold;dur=" in head
            assert b"exit status 3" in body

    play(scene())


def test_a_hold_ends_at_its_limit():
    async def scene() -> None:
        async with rig() as made:
            made.see(gate=GateSpec(hold_limit_s=0.2))
            client = await made.client()

            head, _ = await client.ask(post(b"x"))

            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: " in head
            assert made.board_level() == 0

    play(scene())


def test_more_than_may_be_held_is_turned_away():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            gate = GateSpec(max_held=2)
            made.see(gate=gate)
            first, second, third = [await made.client() for _ in range(3)]
            await first.send(post(b"1"))
            await second.send(post(b"2"))
            await made.until(lambda: made.board_level() == 2)

            head, _ = await third.ask(post(b"3"))
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nRetry-After: " in head

            made.see(port, gate=gate)
            assert (await first.message())[1] == b"1"
            assert (await second.message())[1] == b"2"

    play(scene())


def test_a_held_body_is_read_as_far_as_may_be_held_and_no_further():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            gate = GateSpec(max_held_bytes=1 << 20)
            made.see(gate=gate)
            client = await made.client()
            body = b"x" * (32 << 20)
            await client.send(post(body)[: -len(body)] + b"x")
            await made.until(lambda: made.board_level() == 1)
            client.writer.write(body[1:])
            held = made.activator._plane.board.gate(KEY)
            await made.until(lambda: held.bytes > 1 << 19)
            for _ in range(50):
                await asyncio.sleep(0.002)
                # One read of the transport may be too much.
                assert held.bytes <= (1 << 20) + (256 << 10)

            made.see(port, gate=gate)
            assert (await client.message())[1] == body

    play(scene())


def test_a_client_that_leaves_while_held_is_forgotten():
    async def scene() -> None:
        async with rig() as made:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)

            client.close()

            await made.until(lambda: made.board_level() == 0)
            assert made.watch.ended[0].outcome is Outcome.LEFT
            assert made.watch.ended[0].service_s is None

    play(scene())


def test_a_client_that_leaves_is_noticed_by_the_replica():
    left = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Content-Length: 9\r\n\r\nx")
        await peer.rest()
        left.set()

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(get())
            await client.head()
            client.close()

            await left.wait()
            await made.until(lambda: made.board_level() == 0)
            assert made.watch.ended[0].outcome is Outcome.LEFT

    play(scene())


def test_a_connection_that_the_replica_closed_is_never_a_502():
    """Each answer is the last on its connection, and nothing says so."""
    served = 0

    async def serve(peer: Peer) -> None:
        nonlocal served
        _, body = await peer.message()
        served += 1
        await peer.send(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for number in range(30):
                asked = post(b"%d" % number) if number % 2 else get()
                head, body = await client.ask(asked)
                assert head.startswith(OK), (number, head, body)
            assert served == 30

    play(scene())


def test_a_repeatable_request_survives_a_connection_that_breaks_under_it():
    served = 0

    async def serve(peer: Peer) -> None:
        nonlocal served
        await peer.message()
        served += 1
        await peer.send(OK + b"Content-Length: 2\r\n\r\nhi")
        await peer.message()  # And then it does not answer.

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            for _ in range(10):
                assert (await client.ask(get()))[1] == b"hi"
            keyed = post(b"x", more=b"Idempotency-Key: 1\r\n")
            for _ in range(10):
                assert (await client.ask(keyed))[1] == b"hi"
            assert served == 20
            assert made.metric(
                "fromzero_activator_retries_total", namespace="ns", revision=KEY.name
            )

    play(scene())


def test_a_request_that_was_delivered_is_not_sent_twice():
    served = 0

    async def serve(peer: Peer) -> None:
        nonlocal served
        await peer.message()
        served += 1

    async def scene() -> None:
        async with rig() as made, replica(serve) as one, replica(serve) as other:
            await made.awake(one, other)
            client = await made.client()

            head, body = await client.ask(post(b"x"))

            assert head.startswith(b"HTTP/1.1 502 ")
            assert served == 1
            assert b"broke the request off" in body
            assert made.watch.ended[0].outcome is Outcome.FAILED

    play(scene())


def test_a_safe_request_is_sent_to_another_replica():
    async def breaks(peer: Peer) -> None:
        await peer.message()

    async def scene() -> None:
        async with rig() as made, replica(breaks) as bad, replica(echo) as good:
            await made.awake(bad, good)
            client = await made.client()
            for number in range(20):
                path = b"/%d" % number
                assert (await client.ask(get(path)))[1] == path

    play(scene())


def test_a_replica_that_cannot_be_connected_to_is_lost_and_its_requests_are_not():
    async def scene() -> None:
        async with rig() as made, replica(echo) as good:
            async with replica(echo) as gone:
                await made.awake(gone, good)
            client = await made.client()
            for number in range(20):
                assert (await client.ask(post(b"%d" % number)))[1] == b"%d" % number

            assert [m.replica for m in made.said if type(m).__name__ == "Lost"] == [
                f"r{gone}"
            ]

    play(scene())


def test_a_request_whose_only_replica_is_gone_waits_for_the_next():
    async def scene() -> None:
        async with rig() as made, replica(echo) as next_one:
            async with replica(echo) as gone:
                await made.awake(gone)
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: len(made.said) >= 2)

            made.see(next_one)

            assert (await client.message())[1] == b"x"

    play(scene())


def test_a_request_takes_no_longer_than_its_timeout():
    async def never(peer: Peer) -> None:
        await peer.message()
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(never) as port:
            await made.awake(port, gate=GateSpec(timeout_s=0.3))
            client = await made.client()

            head, body = await client.ask(post(b"x"))

            assert head.startswith(b"HTTP/1.1 504 ")
            assert made.board_level() == 0
            assert b"longer" in body

    play(scene())


def test_an_answer_that_goes_on_after_the_timeout_is_broken_off():
    async def forever(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(forever) as port:
            await made.awake(port, gate=GateSpec(timeout_s=0.3))
            client = await made.client()
            await client.send(post(b"x"))
            await client.head()

            assert await client.rest() == b"1\r\na\r\n"

    play(scene())


def test_a_body_is_invited_when_it_is_known_where_it_goes():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            head = post(b"hello", more=b"Expect: 100-continue\r\n")[:-5]
            await client.send(head)
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hello")
            made.see(port)
            assert (await client.message())[1] == b"hello"

            await client.send(head)
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"again")
            assert (await client.message())[1] == b"again"

            made.see(refusal=Refusal(reason="no", retry_after_s=1.0))
            await client.send(head)
            assert (await client.message())[0].startswith(b"HTTP/1.1 503 ")
            assert await client.rest() == b""

    play(scene())


def test_an_answer_before_the_body_has_come_ends_the_connection():
    async def refuse(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.rest()

    async def scene() -> None:
        async with rig() as made, replica(refuse) as port:
            await made.awake(port)
            client = await made.client()
            await client.send(post(b"x" * 100)[:-50])

            head, body = await client.message()

            assert head.startswith(b"HTTP/1.1 413 ")
            assert b"Connection: close\r\n" in head
            assert body == b"no"
            assert await client.rest() == b""

    play(scene())


def test_a_websocket_passes_both_ways_until_either_side_ends_it():
    async def serve(peer: Peer) -> None:
        head = await peer.head()
        assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in head
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello"
        )
        for _ in range(3):
            await peer.send(b"<" + await peer.exactly(4) + b">")

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            made.see()
            client = await made.client()
            asked = get(more=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
            await client.send(asked + b"one!")
            await made.until(lambda: made.board_level() == 1)
            made.see(port)
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            assert await client.exactly(11) == b"hello<one!>"
            await client.send(b"two!")
            assert await client.exactly(6) == b"<two!>"
            assert made.board_level() == 1
            await client.send(b"last")

            assert await client.rest() == b"<last>"
            await made.until(lambda: made.board_level() == 0)

    play(scene())


def test_a_replica_never_has_more_than_its_slots():
    now = most = 0
    go = asyncio.Event()

    async def serve(peer: Peer) -> None:
        nonlocal now, most
        while True:
            await peer.message()
            now += 1
            most = max(most, now)
            await go.wait()
            now -= 1
            await peer.send(OK + b"Content-Length: 0\r\n\r\n")

    async def scene() -> None:
        async with rig() as made, replica(serve) as port:
            gate = GateSpec(container_concurrency=3)
            made.see(port, gate=gate, slots=3)
            clients = [await made.client() for _ in range(12)]
            for client in clients:
                await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 12 and now == 3)
            go.set()
            for client in clients:
                assert (await client.message())[0].startswith(OK)
            assert most == 3

    play(scene())


def test_a_canary_gets_its_share_and_a_seed_makes_it_the_same():
    new = RevisionKey("ns", "iris-predictor-00002")
    route = Route(
        namespace="ns",
        service="iris",
        hosts=(HOST,),
        backends=((KEY, 80.0), (new, 20.0)),
    )

    def serves(name: bytes):
        async def serve(peer: Peer) -> None:
            while True:
                await peer.message()
                await peer.send(OK + b"Content-Length: 1\r\n\r\n" + name)

        return serve

    runs: list[bytes] = []

    async def scene() -> None:
        async with (
            rig(ActivatorSettings(seed=7, drain_s=1.0), (route,)) as made,
            replica(serves(b"1")) as one,
            replica(serves(b"2")) as two,
        ):
            made.see(one)
            made.see(two, key=new)
            client = await made.client()
            runs.append(
                b"".join([(await client.ask(post(b"x")))[1] for _ in range(200)])
            )

    play(scene())
    play(scene())

    assert 24 <= runs[0].count(b"2") <= 56
    assert runs[0] == runs[1]


def test_token_counts_are_told_of_who_ended():
    usage = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":14}}'

    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
            half = len(usage) // 2
            for part in (usage[:half], usage[half:]):
                await peer.send(b"%x\r\n%b\r\n" % (len(part), part))
                await asyncio.sleep(0)
            await peer.send(b"0\r\n\r\n")

    async def scene() -> None:
        settings = ActivatorSettings(want_tail=True, drain_s=1.0)
        async with rig(settings) as made, replica(serve) as port:
            await made.awake(port)
            client = await made.client()
            await client.ask(post(b"{}", CHAT))

            (ended,) = made.watch.ended
            assert ended.tokens == (3, 14)
            assert ended.key == KEY
            assert ended.service == "ns/iris"
            assert ended.status == 200
            assert ended.arrived <= ended.dispatched <= ended.ended

    play(scene())


def test_a_revision_that_is_not_known_yet_is_503():
    async def scene() -> None:
        async with rig() as made:
            client = await made.client()
            head, body = await client.ask(post(b"x"))
            assert head.startswith(b"HTTP/1.1 503 ")
            assert KEY.name.encode() in body

    play(scene())


def test_routes_change_while_requests_are_under_way():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            made.activator.reroute(())
            made.see(port)
            assert (await client.message())[1] == b"x"
            assert (await client.ask(post(b"x")))[0].startswith(b"HTTP/1.1 404 ")
            made.activator.reroute((ROUTE,))
            assert (await client.ask(post(b"y")))[1] == b"y"

    play(scene())


def test_each_phase_is_timed_once_and_connecting_only_where_it_was_done():
    async def scene() -> None:
        async with rig() as made, replica(echo) as port:
            made.see()
            client = await made.client()
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)
            made.see(port)
            await client.message()
            await client.ask(get())
            await client.ask(get(b"/v2/health/ready"))
            await client.ask(at(b"x", b"/"))

            def value(name: str) -> float:
                name = f"fromzero_activator_{name}"
                return made.metric(name, namespace="ns", revision=KEY.name)

            phases = ("hold", "connect", "first_byte", "replica_first_byte", "body")
            counts = {name: value(f"{name}_seconds_count") for name in phases}
            assert counts == {
                "hold": 1, "connect": 1, "first_byte": 2, "replica_first_byte": 2,
                "body": 2,
            }  # fmt: skip
            took = {name: value(f"{name}_seconds_sum") for name in phases}
            assert took["connect"] <= took["replica_first_byte"] <= took["first_byte"]
            ended = made.watch.ended
            whole = sum(each.ended - each.arrived for each in ended)
            assert took["first_byte"] + took["body"] == pytest.approx(whole)
            there = sum(each.ended - each.dispatched for each in ended)
            assert took["replica_first_byte"] + took["body"] == pytest.approx(there)

    play(scene())
