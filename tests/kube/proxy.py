"""A stand-in for kube-proxy, for pods that call Services by their ClusterIPs.

It listens on each ClusterIP's ports while the Service has ready endpoints, as it heard of
them its lag ago, and passes each connection on to one of them at random; where there are
none, nobody listens, and a connection is refused.  It knows TCP and IPv4.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.kube.clients import Endpoint, by_port, service_of
from tests.kube.network import ip
from tests.kube.sidecars import splice
from tests.kube.talk import Mirror, Object, Talk

Key = tuple[str, str]
Door = tuple[str, int]
"""A ClusterIP and a port."""
CONNECT_S = 5.0
APIS = ("default", "kubernetes")
"""The Service of the API server, whose address it listens on itself."""


def doors(service: Object, slices: list[Object]) -> dict[Door, tuple[Endpoint, ...]]:
    """Return where a Service is to be listened for, and who is behind each port.

    >>> ports = [{"name": "a", "port": 80}]
    >>> doors({"spec": {"clusterIP": "10.96.0.9", "ports": ports}}, [])
    {}
    """
    address = service["spec"].get("clusterIP") or "None"
    if address == "None" or ":" in address:
        return {}
    behind = by_port(slices)
    ports = service["spec"].get("ports") or ()
    named = {(address, each["port"]): each.get("name") or "" for each in ports}
    return {door: behind[name] for door, name in named.items() if behind.get(name)}


class Proxy:
    """Enter :meth:`running` inside the cluster's network."""

    def __init__(self, talk: Talk, *, seed: int = 0, lag_s: float = 0.0) -> None:
        self._random, self._lag_s = random.Random(seed), lag_s
        slices = "/apis/discovery.k8s.io/v1/endpointslices"
        self._services = Mirror(talk, "/api/v1/services", self._changed)
        self._slices = Mirror(talk, slices, self._told)
        self._heard: asyncio.Queue[
            tuple[float, Key, Mapping[Door, tuple[Endpoint, ...]]]
        ]
        self._heard = asyncio.Queue()
        self._behind: dict[Door, tuple[Endpoint, ...]] = {}
        self._open: dict[Door, socket.socket] = {}
        self._carried: set[asyncio.Task[None]] = set()
        self._of: dict[Key, set[Door]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Be every Service's address until the block ends."""
        async with asyncio.TaskGroup() as self._group:
            group = self._group
            mirrors = self._services, self._slices
            tasks = [group.create_task(each.run()) for each in mirrors]
            tasks.append(group.create_task(self._follow()))
            try:
                yield self
            finally:
                for door in list(self._open):
                    self._close(door)
                for task in (*tasks, *self._carried):
                    task.cancel()

    def _changed(self, service: Object) -> None:
        meta = service["metadata"]
        self._hear((meta["namespace"], meta["name"]))

    def _told(self, slice_: Object) -> None:
        self._hear((slice_["metadata"]["namespace"], service_of(slice_)))

    def _hear(self, key: Key) -> None:
        service = self._services.get(*key)
        slices = [
            each
            for (namespace, _), each in self._slices.objects.items()
            if (namespace, service_of(each)) == key
        ]
        if key != APIS:
            found = doors(service, slices) if service else {}
            self._heard.put_nowait((time.monotonic() + self._lag_s, key, found))

    async def _follow(self) -> None:
        """Take up what was heard, its lag later and in the same order."""
        while True:
            due, key, found = await self._heard.get()
            await asyncio.sleep(due - time.monotonic())
            for door in self._of.get(key, set()) - found.keys():
                self._close(door)
            self._behind |= found
            for door in found.keys() - self._open.keys():
                self._listen(door)
            self._of[key] = set(found)

    def _listen(self, door: Door) -> None:
        address, port = door
        ip(f"addr replace {address}/32 dev lo")
        listener = socket.create_server((address, port), backlog=1024)
        listener.setblocking(False)
        self._open[door] = listener
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, self._accept, door, listener)

    def _close(self, door: Door) -> None:
        """Listen no more; connections that have come stay, and so their address."""
        listener = self._open.pop(door)
        asyncio.get_running_loop().remove_reader(listener)
        self._accept(door, listener)
        listener.close()
        del self._behind[door]

    def _accept(self, door: Door, listener: socket.socket) -> None:
        while True:
            try:
                came, _ = listener.accept()
            except BlockingIOError:
                return
            came.setblocking(False)
            task = self._group.create_task(self._pass_on(came, self._behind[door]))
            self._carried.add(task)
            task.add_done_callback(self._carried.discard)

    async def _pass_on(self, came: socket.socket, behind: tuple[Endpoint, ...]) -> None:
        here = await asyncio.open_connection(sock=came)
        endpoint = self._random.choice(behind)
        try:
            async with asyncio.timeout(CONNECT_S):
                there = await asyncio.open_connection(endpoint.address, endpoint.port)
        except (OSError, TimeoutError):
            here[1].transport.abort()
            return
        await splice(here, there)
