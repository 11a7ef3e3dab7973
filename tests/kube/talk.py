"""A few calls to the API server on asyncio, and mirrors of what it holds."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import AddrInfoType

from tests.kube.admin import JSON, MERGE, Admin, Refused

Object = dict[str, Any]
PATIENCE_S = 30.0
WATCH_S = 240
AGAIN_S = 0.2


class Talk:
    """An asyncio client with the address and the word of *user*; enter it inside."""

    def __init__(self, user: Admin, agent: str = "tests") -> None:
        """*agent* is the manager that managedFields name."""
        self._user, self._agent = user, agent
        self._sockets: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(cafile=str(self._user.ca))
        self._session = aiohttp.ClientSession(
            f"https://{self._user.address}",
            connector=aiohttp.TCPConnector(
                ssl=context, limit=0, socket_factory=self._socket
            ),
            headers={
                "Authorization": f"Bearer {self._user.token}",
                "User-Agent": self._agent,
                "Accept": JSON,
            },
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        # aiohttp does not wait for the parting words of TLS, and the loop may end now.
        async with asyncio.timeout(PATIENCE_S):
            while any(s.fileno() >= 0 for s in self._sockets):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def _socket(self, about: AddrInfoType) -> socket.socket:
        self._sockets = [each for each in self._sockets if each.fileno() >= 0]
        self._sockets.append(socket.socket(*about[:3]))
        return self._sockets[-1]

    async def call(
        self, method: str, path: str, body: object = None, /, **query: str
    ) -> Object:
        """Do one request and return the answer's object, or raise Refused."""
        data = None if body is None else json.dumps(body)
        kind = MERGE if method == "PATCH" else JSON
        asked = self._session.request(
            method, path, data=data, params=query, headers={"Content-Type": kind}
        )
        async with asked as answer:
            if answer.status >= 300:
                raise Refused(answer.status, await answer.text())
            return dict(await answer.json())

    async def get(self, path: str, **query: str) -> Object:
        return await self.call("GET", path, **query)

    async def create(self, path: str, body: object) -> Object:
        return await self.call("POST", path, body)

    async def replace(self, path: str, body: object, **query: str) -> Object:
        return await self.call("PUT", path, body, **query)

    async def patch(self, path: str, body: object) -> Object:
        """Merge *body* into the object at *path*."""
        return await self.call("PATCH", path, body)

    async def delete(self, path: str) -> None:
        """Delete it, its dependents later; one that is not there is as well."""
        try:
            await self.call("DELETE", path, {"propagationPolicy": "Background"})
        except Refused as error:
            if error.status != 404:
                raise

    async def watch(self, path: str, version: str) -> AsyncGenerator[Object, None]:
        """Yield the changes since *version* until the server ends the watch."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        unbounded = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_S)
        async with self._session.get(path, params=query, timeout=unbounded) as answer:
            if answer.status >= 300:
                raise Refused(answer.status, await answer.text())
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)


class Mirror:
    """All objects at *path*, by namespace and name, as the server last told of them.

    *told* hears of each change, also of each object of a new list, after it counts.
    """

    def __init__(self, talk: Talk, path: str, told: Callable[[Object], None]) -> None:
        self._talk, self._path, self._told = talk, path, told
        self.objects: dict[tuple[str, str], Object] = {}
        self.synced = asyncio.Event()

    def get(self, namespace: str, name: str) -> Object | None:
        return self.objects.get((namespace, name))

    async def run(self) -> None:
        """List and watch until cancelled; what breaks is begun anew."""
        while True:
            try:
                await self._follow()
            except (OSError, aiohttp.ClientError, Refused, ValueError):
                await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        listed = await self._talk.get(self._path)
        before = self.objects
        self.objects = {key(each): each for each in listed["items"]}
        for each in (before | self.objects).values():
            self._told(each)
        self.synced.set()
        version = listed["metadata"]["resourceVersion"]
        async with aclosing(self._talk.watch(self._path, version)) as changes:
            await self._hear(changes)

    async def _hear(self, changes: AsyncIterator[Object]) -> None:
        async for change in changes:
            each = change["object"]
            if change["type"] == "ERROR":
                raise Refused(int(each.get("code", 500)), str(each.get("message")))
            if change["type"] == "BOOKMARK":
                continue
            if change["type"] == "DELETED":
                self.objects.pop(key(each), None)
            else:
                self.objects[key(each)] = each
            self._told(each)


def key(each: Mapping[str, Any]) -> tuple[str, str]:
    """Return the namespace and name of an object."""
    meta = each["metadata"]
    return meta.get("namespace", ""), meta["name"]
