"""A port for each revision: whose it is, when it is open, and what is told of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from activator.entrances import Entrances
from activator.plane import Plane
from activator.server import ActivatorSettings
from autoscaler.clock import monotonic
from autoscaler.core.domain import Entrance, GateSpec, Probe, RevisionKey, Route
from autoscaler.core.messages import Gone, View, Wake
from tests.activator.rig import (
    KEY,
    ROUTE,
    Peer,
    echo,
    free_port,
    get,
    play,
    post,
    replica,
    rig,
)

OTHER = RevisionKey("ns", "llm-predictor")
OK = b"HTTP/1.1 200 OK\r\n"


def says(what: bytes):
    async def serve(peer: Peer) -> None:
        while True:
            await peer.message()
            answer = b"Content-Length: %d\r\n\r\n%b" % (len(what), what)
            await peer.send(OK + answer)

    return serve


def asked(host: str, path: str = "/v2/models/llm/infer", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{more}\r\n"
    return head.encode()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(asked("llm-ns.localhost"), id="another one's host"),
        pytest.param(asked("x", "/serving/ns/llm/v1"), id="another one's path"),
        pytest.param(
            asked("x", more="KServe-Isvc-Name: llm\r\nKServe-Isvc-Namespace: ns\r\n"),
            id="another one's fields",
        ),
        pytest.param(
            b'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"model":"llm"}',
            id="another one's model",
        ),
        pytest.param(asked("nobody"), id="nobody"),
    ],
)
def test_a_request_goes_to_whose_entrance_it_came_by_whatever_it_names(request_):
    llm = Route(
        namespace="ns", service="llm", hosts=("llm-ns.localhost",), models=("llm",),
        backends=((OTHER, 100.0),),
    )  # fmt: skip

    async def scene() -> None:
        door = Entrance(port=free_port())
        async with (
            rig(routes=(ROUTE, llm)) as made,
            replica(says(b"iris")) as port,
            replica(says(b"llm")) as other,
        ):
            made.see(other, key=OTHER)
            await made.awake(port, entrances=(door,))
            await made.open()
            client = await made.client(door.port)

            assert (await client.ask(request_))[1] == b"iris"
            assert (await client.ask(request_))[1] == b"iris"

    play(scene())


def test_its_path_stays_as_it_is():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made, replica(echo) as port:
            await made.awake(port, entrances=(door,))
            await made.open()
            client = await made.client(door.port)

            _, seen = await client.ask(get(b"/serving/ns/iris/a?b=c"))

            assert seen == b"/serving/ns/iris/a?b=c"

    play(scene())


def test_an_entrance_leads_to_the_port_of_its_name_else_to_the_replicas_own():
    async def scene() -> None:
        doors = [Entrance(port=free_port(), name=each) for each in ("web", "agent", "")]
        async with (
            rig() as made,
            replica(says(b"own")) as port,
            replica(says(b"agent")) as agent,
            replica(says(b"moved")) as moved,
        ):
            for named, second in ((agent, b"agent"), (moved, b"moved")):
                await made.awake(
                    port, entrances=tuple(doors), named=(("agent", named),)
                )
                await made.open()
                said = []
                for each in doors:
                    client = await made.client(each.port)
                    said.append((await client.ask(post(b"x")))[1])
                client = await made.client()
                said.append((await client.ask(post(b"x")))[1])

                assert said == [b"own", second, b"own", b"own"]

    play(scene())


def test_a_request_by_an_entrance_wakes_its_revision_and_a_check_does_not():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made, replica(echo) as port:
            made.see(entrances=(door,))
            await made.open()
            client, checker = (
                await made.client(door.port),
                await made.client(door.port),
            )
            head, body = await checker.ask(get(b"/v2/models/iris/ready"))
            assert head.startswith(OK)
            assert b"iris" in body
            assert made.said == []

            await client.send(post(b"x"))
            await made.until(lambda: any(isinstance(m, Wake) for m in made.said))
            made.see(port, entrances=(door,))

            assert (await client.message())[1] == b"x"

    play(scene())


def test_a_revision_without_any_route_answers_checks_by_its_own_name():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig(routes=()) as made:
            made.see(entrances=(door,))
            await made.open()
            client = await made.client(door.port)

            _, body = await client.ask(get(b"/v1/models"))

            assert KEY.name.encode() in body

    play(scene())


def test_each_version_is_told_once_its_entrances_are_open_and_no_sooner():
    async def scene() -> None:
        doors = tuple(Entrance(port=free_port(), name=each) for each in "ab")
        async with rig() as made:
            made.see(entrances=doors[:1])
            assert made.opened == []
            await made.open()
            made.see(entrances=doors[:1])
            assert made.opened == [(KEY, 1, ""), (KEY, 2, "")]
            made.see(entrances=doors)
            assert len(made.opened) == 2
            await made.open()
            made.see()

            assert made.opened[2:] == [(KEY, 3, "")]

    play(scene())


def test_an_older_view_closes_nothing():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made:
            made.version = 5
            made.see(entrances=(door,))
            await made.open()
            made.version = 3
            made.see()

            (await made.client(door.port)).close()

    play(scene())


def test_a_port_that_others_have_is_told_with_its_reason_and_opened_when_it_is_free():
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with rig() as made:
                doors = (Entrance(port=port), Entrance(port=free_port(), name="b"))
                made.see(entrances=doors)
                said = f"port {port} cannot be listened on: Address already in use"
                await made.open(said)
                (await made.client(doors[1].port)).close()
                taken.close()
                await made.open()

                (await made.client(port)).close()
                assert [why for _, _, why in made.opened] == [said, ""]

    play(scene())


def test_a_port_that_goes_from_one_revision_to_another_is_opened_when_it_is_let_go():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made, replica(says(b"llm")) as port:
            made.see(entrances=(door,))
            await made.open()
            made.see(port, key=OTHER, entrances=(door,))
            await made.open(f"port {door.port} is listened on for {KEY}")
            made.activator.down(Gone(key=KEY))
            await made.open()
            client = await made.client(door.port)

            assert (await client.ask(post(b"x")))[1] == b"llm"

    play(scene())


def test_an_entrance_of_another_name_is_another_way_at_once():
    async def scene() -> None:
        number = free_port()
        async with (
            rig() as made,
            replica(says(b"a")) as port,
            replica(says(b"b")) as other,
        ):
            named = (("a", port), ("b", other))
            await made.awake(
                port, entrances=(Entrance(port=number, name="a"),), named=named
            )
            await made.open()
            client = await made.client(number)
            assert (await client.ask(post(b"x")))[1] == b"a"

            made.see(port, entrances=(Entrance(port=number, name="b"),), named=named)

            assert (await client.ask(post(b"x")))[1] == b"b"

    play(scene())


@pytest.mark.parametrize("gone", [True, False], ids=["revision gone", "entrance gone"])
def test_what_is_no_more_is_not_listened_on_and_whoever_rests_there_is_sent_away(gone):
    go = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.message()
        await peer.send(OK + b"Content-Length: 4\r\n\r\nha")
        await go.wait()
        await peer.send(b"lf")
        await peer.rest()

    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made, replica(slow) as port:
            await made.awake(port, entrances=(door,))
            await made.open()
            runs, rests = await made.client(door.port), await made.client(door.port)
            await runs.send(post(b"x"))
            await runs.head()

            if gone:
                made.activator.down(Gone(key=KEY))
            else:
                made.see(port)

            assert await rests.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await made.client(door.port)
            go.set()
            assert await runs.rest() == b"half"

    play(scene())


def test_who_is_held_when_the_revision_goes_is_told_so():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made:
            made.see(entrances=(door,))
            await made.open()
            client = await made.client(door.port)
            await client.send(post(b"x"))
            await made.until(lambda: made.board_level() == 1)

            made.activator.down(Gone(key=KEY))

            head, body = await client.message()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"was removed" in body
            assert await client.rest() == b""

    play(scene())


def test_aside_each_answer_is_the_last_of_a_connection_that_came_by_an_entrance():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made, replica(echo) as port:
            await made.awake(port, entrances=(door,))
            await made.open()
            old, routed = await made.client(door.port), await made.client()
            assert b"Connection: close" not in (await old.ask(post(b"a")))[0]

            made.see(port, entrances=(door,), aside=True)

            for client in (old, await made.client(door.port)):
                head, body = await client.ask(post(b"b"))
                assert b"Connection: close\r\n" in head
                assert body == b"b"
                assert await client.rest() == b""
            assert b"Connection: close" not in (await routed.ask(post(b"c")))[0]
            made.see(port, entrances=(door,), aside=False)
            back = await made.client(door.port)
            assert b"Connection: close" not in (await back.ask(post(b"d")))[0]

    play(scene())


def test_aside_an_answer_of_the_activators_own_is_the_last_too():
    async def scene() -> None:
        door = Entrance(port=free_port())
        async with rig() as made:
            made.see(entrances=(door,), aside=True, gate=GateSpec(max_held=0))
            await made.open()
            client = await made.client(door.port)

            head, _ = await client.ask(post(b"x"))

            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"Connection: close\r\n" in head
            assert await client.rest() == b""

    play(scene())


def test_a_named_port_that_refuses_does_not_make_a_replica_lost():
    async def scene() -> None:
        door = Entrance(port=free_port(), name="agent")
        async with rig() as made, replica(echo) as port:
            await made.awake(port, entrances=(door,), named=(("agent", free_port()),))
            await made.open()
            client = await made.client(door.port)

            head, _ = await client.ask(post(b"x"))

            assert head.startswith(b"HTTP/1.1 502 ")
            assert not [m for m in made.said if type(m).__name__ == "Lost"]

    play(scene())


# Many, and their bounds.


def view(key: RevisionKey, *ports: int, version: int = 1) -> View:
    doors = tuple(Entrance(port=port, name=f"p{port}") for port in ports)
    return View(
        key=key,
        version=version,
        epoch=0,
        gate=GateSpec(),
        probe=Probe(),
        entrances=doors,
    )


def play_alone(
    scene: Callable[[Entrances, list[tuple[RevisionKey, int, str]]], object],
    most: int = 10_000,
    fails: bool = False,
) -> None:
    """Run *scene* with entrances that nothing else is around."""

    async def whole() -> None:
        told: list[tuple[RevisionKey, int, str]] = []

        def opened(*what) -> None:
            told.append(what)
            if fails:
                raise RuntimeError("no")

        plane = Plane(ActivatorSettings(), str, CollectorRegistry(), None, monotonic)
        made = Entrances(plane, "127.0.0.1", opened, most)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run())
            try:
                await scene(made, told)
            finally:
                running.cancel()
                made.close()
                plane.close()

    play(whole())


async def turns_until(holds: Callable[[], bool]) -> int:
    turns = 0
    while not holds():
        turns += 1
        await asyncio.sleep(0)
    return turns


def free_ports(count: int) -> list[int]:
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in socks]
    for each in socks:
        each.close()
    return ports


def test_a_thousand_are_opened_one_at_a_time_so_that_requests_have_their_turns():
    async def scene(made: Entrances, told: list) -> None:
        ports = free_ports(1000)
        for number, port in enumerate(ports):
            made.see(view(RevisionKey("ns", f"r{number}"), port))

        assert await turns_until(lambda: len(told) == 1000) >= 1000
        assert {why for _, _, why in told} == {""}

    play_alone(scene)


def test_half_of_the_files_is_the_most_and_who_goes_makes_room():
    async def scene(made: Entrances, told: list) -> None:
        ports = free_ports(3)
        keys = [RevisionKey("ns", f"r{number}") for number in range(3)]
        for key, port in zip(keys, ports, strict=True):
            made.see(view(key, port))
        await turns_until(lambda: len(told) == 3)
        assert told[:2] == [(keys[0], 1, ""), (keys[1], 1, "")]
        assert "more than 2, half of the files" in told[2][2]
        made.gone(keys[0])
        await turns_until(lambda: len(told) == 4)

        assert told[3] == (keys[2], 1, "")

    play_alone(scene, most=2)


def test_who_is_told_and_fails_does_not_stop_the_others():
    async def scene(made: Entrances, told: list) -> None:
        one, other = free_ports(2)
        made.see(view(KEY, one))
        made.see(view(OTHER, other))

        await turns_until(lambda: len(told) == 2)

    play_alone(scene, fails=True)


def test_a_revision_that_goes_before_its_turn_is_not_opened():
    async def scene(made: Entrances, told: list) -> None:
        one, other = free_ports(2)
        made.see(view(KEY, one))
        made.gone(KEY)
        made.gone(KEY)
        made.see(view(OTHER, other))
        await turns_until(lambda: len(told) == 1)
        assert told == [(OTHER, 1, "")]

        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", one)

    play_alone(scene)
