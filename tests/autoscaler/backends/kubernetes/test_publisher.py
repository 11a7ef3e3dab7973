from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.backends.kubernetes.api import ApiError
from autoscaler.backends.kubernetes.facts import Meta, Slice
from autoscaler.backends.kubernetes.publisher import Publisher
from autoscaler.backends.kubernetes.slices import MANAGED_BY, Standin, bodies
from autoscaler.core.domain import Entrance
from tests.autoscaler.backends.kubernetes.town import KEY, MANAGED, Town

FRONT = (KEY.namespace, KEY.name)
BASE = f"/apis/discovery.k8s.io/v1/namespaces/{KEY.namespace}/endpointslices"


class Server:
    """EndpointSlices by name, with the API server's answers."""

    def __init__(self, *names: str) -> None:
        self.there = {name: {"metadata": {"name": name}} for name in names}

    async def create(self, path, body):
        assert path == BASE
        name = body["metadata"]["name"]
        if name in self.there:
            raise ApiError(409, "AlreadyExists", name)
        self.there[name] = body
        return body

    async def replace(self, path, body):
        name = path.removeprefix(f"{BASE}/")
        if name not in self.there:
            raise ApiError(404, "NotFound", name)
        self.there[name] = body
        return body

    async def delete(self, path):
        name = path.removeprefix(f"{BASE}/")
        if name not in self.there:
            raise ApiError(404, "NotFound", name)
        return self.there.pop(name)


def wanted(count: int):
    seen = Town().seen(MANAGED)
    assert seen is not None
    standins = [Standin(name=f"a-{n}", ips=(f"10.0.0.{n + 1}",)) for n in range(count)]
    return bodies(seen.service, (Entrance(port=20000, name="http"),), standins)


NAME = wanted(0)[0]["metadata"]["name"]


def known(name: str) -> Slice:
    return Slice(
        meta=Meta(namespace=KEY.namespace, name=name),
        service=KEY.name,
        managed_by=MANAGED_BY,
    )


@given(
    there=st.sets(st.sampled_from([NAME, "old"])),
    watched=st.sets(st.sampled_from([NAME, "old"])),
    count=st.integers(0, 3),
)
def test_what_is_wanted_is_there_however_old_the_watch_is(there, watched, count):
    server = Server(*there)
    publisher = Publisher(server, lambda _: [known(each) for each in watched])

    asyncio.run(publisher.publish(FRONT, wanted(count)))

    assert server.there[NAME] == wanted(count)[0]
    assert ("old" in server.there) == ("old" in there - watched)


def test_taking_back_leaves_nothing_of_ours():
    server = Server(NAME)
    publisher = Publisher(server, lambda _: [known(NAME)])

    asyncio.run(publisher.publish(FRONT, ()))

    assert server.there == {}
