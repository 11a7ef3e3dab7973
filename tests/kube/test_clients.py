"""The clients go where kube-proxy would send them, and account for every request."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube import models
from tests.kube.calls import Connection, Outcome, chat, infer, predict
from tests.kube.clients import LAG_S, Clients, Endpoint, History, Slices, by_port
from tests.kube.documents import at, until
from tests.kube.models import head
from tests.kube.network import GATEWAY
from tests.kube.talk import Talk


def slice_(name, *addresses, port=80, service="svc", family="IPv4", ready=True, pod=""):
    endpoint = {"conditions": {"ready": ready}} | (
        {"targetRef": {"kind": "Pod", "name": pod}} if pod else {}
    )
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": family,
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [each]} | endpoint for each in addresses],
    }


def test_every_ready_endpoint_of_every_slice_counts_once():
    found = by_port(
        [
            slice_("a", "10.0.0.1", "10.0.0.2"),
            slice_("b", "10.0.0.2", port=80),
            slice_("c", "10.0.0.3", port=81, pod="p"),
            slice_("d", "10.0.0.4", ready=False),
            slice_("e", "fd00::1", family="IPv6"),
        ]
    )

    assert found == {
        "http": (
            Endpoint("10.0.0.1", 80),
            Endpoint("10.0.0.2", 80),
            Endpoint("10.0.0.3", 81, "p"),
        )
    }


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30), st.floats(0.0, LAG_S))
def test_a_client_sees_what_was_so_its_lag_ago(gaps, lag_s):
    history, told, now = History(), [], 100.0
    for number, gap in enumerate(gaps):
        now += gap
        ports = {"http": (Endpoint("10.0.0.1", number),)}
        history.add(ports, now)
        told.append((now, ports["http"]))

    seen = history.at("http", now - lag_s)

    then = [each for since, each in told if since <= now - lag_s]
    assert seen == (then[-1] if then else ())


class Script:
    """A server that gives each connection the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)

    async def serve(self, reader, writer):
        try:
            while self._answers:
                await reader.readuntil(b"\r\n\r\n")
                answer = self._answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if b"content-length" not in answer or b"close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes):
    async with await asyncio.start_server(
        Script(*answers).serve, "127.0.0.1", 0
    ) as server:
        yield (Endpoint(*server.sockets[0].getsockname()[:2]),)


def answer(status: int, body: bytes = b"{}", *more: bytes) -> bytes:
    fields = b"".join(each + b"\r\n" for each in more)
    length = b"content-length: %d\r\n" % len(body)
    return b"HTTP/1.1 %d Ok\r\n%s%s\r\n%s" % (status, length, fields, body)


def plain(request: str, chance: random.Random):
    return predict("m", request)


def streamed(request: str, chance: random.Random):
    return chat("m", request)


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'1c\r\ndata: {"pod": "p", "id": ""}\n\n\r\n'


@pytest.mark.parametrize(
    ("answers", "asks", "outcome"),
    [
        pytest.param([answer(429)], plain, Outcome.BUSY, id="429"),
        pytest.param([answer(503)], plain, Outcome.UNAVAILABLE, id="503"),
        pytest.param([answer(502)], plain, Outcome.WRONG, id="502"),
        pytest.param([answer(200)], plain, Outcome.WRONG, id="a 200 of nothing"),
        pytest.param([answer(200)[:-1]], plain, Outcome.BROKEN, id="half a body"),
        pytest.param([b""], plain, Outcome.BROKEN, id="nothing on a new connection"),
        pytest.param([b"HTTP"], streamed, Outcome.BROKEN, id="a stream not begun"),
        pytest.param([HEAD + EVENT], streamed, Outcome.CUT, id="a stream begun"),
        pytest.param(
            [answer(503), b""], plain, Outcome.RACED, id="nothing on a kept connection"
        ),
    ],
)
def test_each_end_of_a_request_has_its_class(answers, asks, outcome):
    async def scene():
        async with asyncio.timeout(20), scripted(*answers) as endpoints:
            clients = Clients(lambda _: endpoints, asks, count=1, fresh=0.0)
            for _ in answers:
                last = await clients.one()
            clients.close()

            assert last == outcome
            report = clients.report()
            assert report.whole
            assert report.ends[outcome] == 1
            assert report.troubles[-1].outcome == outcome

    asyncio.run(scene())


def test_no_endpoint_and_no_connection_are_told_apart():
    async def scene():
        async with asyncio.timeout(20), scripted() as endpoints:
            pass
        views = iter([(), endpoints])
        clients = Clients(lambda _: next(views), plain)

        assert await clients.one() == Outcome.NOWHERE
        assert await clients.one() == Outcome.REFUSED
        assert clients.report().whole
        assert clients.report().lost == 0

    asyncio.run(scene())


def test_a_killed_replicas_streams_are_counted_apart():
    async def scene():
        async with asyncio.timeout(20), scripted(HEAD + EVENT) as endpoints:
            clients = Clients(lambda _: endpoints, streamed)
            assert await clients.one() == Outcome.CUT

            assert clients.report().ends[Outcome.CUT] == 1
            report = clients.report(killed={"p"})
            assert (report.killed, report.lost) == (1, 0)
            assert report.whole

    asyncio.run(scene())


def test_an_answer_that_says_close_is_the_last_on_its_connection():
    async def scene():
        bye = answer(503, b"{}", b"connection: close")
        async with asyncio.timeout(20), scripted(bye, bye) as endpoints:
            clients = Clients(lambda _: endpoints, plain, count=1, fresh=0.0)

            for _ in range(2):
                assert await clients.one() == Outcome.UNAVAILABLE

    asyncio.run(scene())


def test_the_same_seed_gives_the_same_lags():
    one, two, three = (
        Clients(lambda _: (), plain, seed=seed).lags_s for seed in (1, 1, 2)
    )

    assert one == two != three
    assert all(0.0 <= each <= LAG_S for each in one)


def test_a_smaller_scale_makes_smaller_lags():
    clients = Clients(lambda _: (), plain, lag_s=0.1)

    assert max(clients.lags_s) <= 0.1


@contextmanager
def serving(pod: str, *flags: str):
    """Run a model where pods are, and give its process and its port."""
    program = (sys.executable, "-I", "-S", models.__file__)
    child = subprocess.Popen(
        [*program, f"--host={GATEWAY}", "--http_port=0", "--model_name=m", *flags],
        stdout=subprocess.PIPE,
        env={"POD_NAME": pod},
    )
    try:
        yield child, int(child.stdout.readline().split()[-1])
    finally:
        child.kill()
        child.communicate(timeout=10)


def mixed(request: str, chance: random.Random):
    make = chance.choice([predict, infer, chat])
    return make("m", request)


@pytest.mark.slow
def test_clients_spread_over_all_slices_and_stay_when_an_endpoint_leaves(
    cluster, space
):
    async def scene(ports):
        async with (
            asyncio.timeout(60),
            Talk(cluster.admin) as talk,
            Slices(talk, space).followed() as slices,
        ):
            for pod, port in ports.items():
                document = slice_(pod, str(GATEWAY), port=port, pod=pod)
                await talk.create(at(space, "endpointslices"), document)
            view = slices.view("svc", "http")
            await until("two", lambda: asyncio.sleep(0, len(view(1e12)) == 2))

            clients = Clients(view, mixed, seed=3, lag_s=0.05)
            await until("a right answer", lambda: right(clients))
            await clients.rate(200, 1.0)
            report = clients.report()
            assert set(report.pods) == set(ports)
            assert report.right > 50
            assert report.lost == 0
            assert report.whole

            loyal = Clients(view, mixed, count=1, fresh=0.0, lag_s=0.0)
            assert await loyal.one() == Outcome.RIGHT
            for pod in ports:
                await talk.delete(at(space, "endpointslices", pod))
            await until("none", lambda: asyncio.sleep(0, not view(1e12)))
            assert await Clients(view, mixed, lag_s=0.0).one() == Outcome.NOWHERE
            assert await loyal.one() == Outcome.RIGHT
            for each in (clients, loyal):
                each.close()

    async def right(clients):
        return await clients.one() == Outcome.RIGHT

    with ExitStack() as stack:
        pods = {
            pod: stack.enter_context(serving(pod, "--engine=vllm"))[1]
            for pod in ("one", "two")
        }
        asyncio.run(scene(pods))


@pytest.mark.slow
def test_killing_a_model_cuts_its_streams_and_ending_it_cuts_none(cluster):
    async def scene(child, port, number):
        endpoint = Endpoint(str(GATEWAY), port, "doomed")

        def slow(request: str, chance: random.Random):
            return chat("m", request, events=50, gap_s=0.02)

        clients = Clients(lambda _: (endpoint,), slow)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(clients.one())
            await until("all at work", lambda: at_work(port))
            child.send_signal(number)
        clients.close()
        return clients

    async def at_work(port):
        connection = await Connection.to(str(GATEWAY), port)
        reply = await connection.ask(head("GET /metrics HTTP/1.1", {}, b""))
        connection.close()
        return b'num_requests_running{engine="0",model_name="m"} 5.0' in reply.body

    with serving("doomed", "--engine=vllm") as (child, port):
        report = asyncio.run(scene(child, port, signal.SIGTERM)).report()
        assert report.right == 5
        assert report.whole

    with serving("doomed", "--engine=vllm") as (child, port):
        clients = asyncio.run(scene(child, port, signal.SIGKILL))
        assert clients.report().ends[Outcome.CUT] == 5
        report = clients.report(killed={"doomed"})
        assert report.lost == 0
        assert report.whole
