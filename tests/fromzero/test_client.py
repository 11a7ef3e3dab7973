"""The client against the real admin API, around a loop with one revision."""

from __future__ import annotations

import asyncio
import socket

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.health import serving
from autoscaler.server import AdminParts, build_app
from fromzero.client import Client, named
from fromzero.errors import CommandError, NotReachableError
from tests.fakes.known import IRIS, One

NAME = "iris-predictor-00001"


def asking(call):
    """Run *call* with a client in a thread, while the API is served."""

    async def scene():
        sock = socket.create_server(("127.0.0.1", 0))
        client = Client(*sock.getsockname())
        parts = AdminParts(
            loop=One(),
            registry=CollectorRegistry(),
            ready=lambda: "",
            logs=lambda key: (),
        )
        async with asyncio.timeout(10), serving(build_app(parts), sock):
            return await asyncio.to_thread(call, client)

    return asyncio.run(scene())


def test_revisions_are_found_explained_and_ordered():
    def call(client):
        (found,) = client.find("iris")
        after = client.order("wake", found)
        return found, after, client.explain(found)

    found, after, explained = asking(call)

    assert (found["namespace"], found["name"]) == IRIS
    assert after["reason"] == "wake asked"
    assert explained["moments"][0]["reason"] == "exit status 3"


def test_what_the_admin_port_refuses_is_said_in_its_words():
    gone = {"namespace": "a", "name": "b"}

    with pytest.raises(CommandError, match="there is no revision a/b"):
        asking(lambda client: client.explain(gone))


def test_a_port_where_nobody_listens_is_said_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        host, port = sock.getsockname()

    with pytest.raises(NotReachableError, match=f"{port} .connection refused.: start"):
        Client(host, port).revisions()


def test_a_port_where_another_program_answers_is_said():
    async def scene():
        async def other(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
            client = Client(*server.sockets[0].getsockname())
            async with asyncio.timeout(10):
                await asyncio.to_thread(client.revisions)

    with pytest.raises(NotReachableError, match="is not fromzero's"):
        asyncio.run(scene())


def revisions(*names: str) -> list[dict[str, object]]:
    pairs = [name.split("/") for name in names]
    return [{"namespace": space, "name": name} for space, name in pairs]


ALL = revisions(
    f"production/{NAME}",
    "production/iris-transformer-00002",
    "default/llm-predictor-00001",
    "default/llm-predictor-00002",
    "other/iris-predictor-00001",
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("llm-predictor-00002", 1, id="one revision by its name"),
        pytest.param("llm", 2, id="a service is all of its revisions"),
        pytest.param("llm-predictor", 2, id="a component is all of its revisions"),
        pytest.param("production/iris", 2, id="a namespace chooses among services"),
        pytest.param(f"other/{NAME}", 1, id="a namespace chooses among revisions"),
        pytest.param("iris-transformer", 1, id="the only one of that name"),
    ],
)
def test_a_name_means_a_revision_or_all_of_a_service(name, found):
    assert len(named(name, ALL)) == found


def test_a_name_in_several_namespaces_is_not_guessed():
    with pytest.raises(CommandError, match="say other/iris or production/iris"):
        named("iris", ALL)


@pytest.mark.parametrize("name", ["no", "default/iris", "llm-predictor-0000", ""])
def test_a_name_that_nothing_has_is_said_with_those_there_are(name):
    with pytest.raises(CommandError, match="there are: default/llm-predictor-00001"):
        named(name, ALL)


def test_nothing_is_there_is_said():
    with pytest.raises(CommandError, match="there are: none"):
        named("iris", [])
