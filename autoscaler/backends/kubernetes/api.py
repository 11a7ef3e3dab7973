"""The API server: raw JSON over HTTPS, with the credentials of a pod or a person.

kubernetes_asyncio knows where the server is, its certificates, and how tokens are got
and renewed; its models and its generated calls are not used.  It takes 0.2 s and 40 MB
to import, so that waits until there is a cluster to talk to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiohttp import ClientError, ClientResponse, ClientTimeout

from autoscaler.backends.kubernetes.answers import (
    LARGEST,
    TOO_LARGE,
    UNAUTHORIZED,
    UNREACHABLE,
    ApiError,
    Lines,
    event,
    parsed,
    refused,
    too_large,
    words,
)
from autoscaler.backends.kubernetes.sockets import Sockets
from autoscaler.clock import monotonic

if TYPE_CHECKING:
    from kubernetes_asyncio.client.configuration import Configuration
    from kubernetes_asyncio.client.rest import RESTClientObject

__all__ = ["Api", "ApiError", "Patch", "Query"]

Query = str | int | bool
Configure = Callable[["Configuration"], Awaitable[None]]

_TIMEOUT_S = 30.0
_CONNECT_S = 5.0
_PAGE = 250  # Objects of a list that are read at once, at most.
_GOOD = 1 << 20  # Bytes of a page; larger ones are followed by smaller ones.
_LISTS = 4  # Pages that are read at once: memory is bounded, whatever is in them.
_CALLS = 64  # Connections; each costs a handshake, and one does 100 calls/s and more.
# Seconds of silence, seconds between probes, probes; as far as this system has them.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_LATE_S = 15.0  # The server ends a watch in time, or it is not there any more.
_BUSY = (429, 503)  # Answers that are asked again when they say after how long.


class Patch(StrEnum):
    """How a patch is meant."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Query]
    body: object = None
    kind: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """Speak with one API server; an async context manager.

    Every call ends within *timeout_s*; an answer that asks to wait is waited for within
    it, and one that is too large is refused. There is no limit on the client's side to
    calls per second.
    """

    def __init__(self, configure: Configure, timeout_s: float = _TIMEOUT_S) -> None:
        self._configure = configure
        self._timeout_s = timeout_s
        self._configuration: Configuration
        self._calls: RESTClientObject
        self._watches: RESTClientObject
        self._renewing = asyncio.Lock()
        self._lists = asyncio.Semaphore(_LISTS)
        self._sockets = Sockets()

    @classmethod
    def in_cluster(cls, timeout_s: float = _TIMEOUT_S) -> Self:
        """Speak as this pod's service account."""

        async def configure(configuration: Configuration) -> None:
            from kubernetes_asyncio.config import incluster_config

            load: Callable[..., None] = incluster_config.load_incluster_config
            load(client_configuration=configuration)

        return cls(configure, timeout_s)

    @classmethod
    def from_kubeconfig(
        cls,
        path: Path | None = None,
        context: str | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Self:
        """Speak as kubectl would; None: its own choice of file and context."""

        async def configure(configuration: Configuration) -> None:
            from kubernetes_asyncio.config import kube_config

            await kube_config.load_kube_config(
                config_file=None if path is None else str(path),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )

        return cls(configure, timeout_s)

    @classmethod
    def at(
        cls, url: str, token: str, ca: Path | None, timeout_s: float = _TIMEOUT_S
    ) -> Self:
        """Speak to *url* with a bearer *token*."""

        async def configure(configuration: Configuration) -> None:
            configuration.host = url
            configuration.api_key["BearerToken"] = f"Bearer {token}"
            configuration.ssl_ca_cert = None if ca is None else str(ca)

        return cls(configure, timeout_s)

    async def __aenter__(self) -> Self:
        """Read the credentials; ApiError: there are none that can be used."""
        from kubernetes_asyncio.client.configuration import Configuration
        from kubernetes_asyncio.client.rest import RESTClientObject
        from kubernetes_asyncio.config import ConfigException

        self._configuration = Configuration()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._configure(self._configuration)
            self._calls = RESTClientObject(self._configuration)
            self._watches = RESTClientObject(self._configuration)
            await self._sockets.under(self._calls, self._configuration, _CALLS)
            # Each watch keeps a connection for as long as it lasts.
            await self._sockets.under(self._watches, self._configuration, 0)
        except (ConfigException, OSError, ValueError, TimeoutError) as error:
            raise ApiError(0, UNREACHABLE, f"credentials: {words(error)}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._calls.close()
        await self._watches.close()
        await self._sockets.closed()

    async def get(self, path: str, **query: Query) -> dict[str, Any]:
        """Return an object, or the first page of a list."""
        return parsed(await self._call(_Request(method="GET", path=path, query=query)))

    async def create(self, path: str, body: object, **query: Query) -> dict[str, Any]:
        """Make an object; return it as it was made."""
        request = _Request(method="POST", path=path, query=query, body=body)
        return parsed(await self._call(request))

    async def replace(self, path: str, body: object, **query: Query) -> dict[str, Any]:
        """Overwrite an object; with a resourceVersion in it, only that version."""
        request = _Request(method="PUT", path=path, query=query, body=body)
        return parsed(await self._call(request))

    async def patch(
        self, path: str, body: object, kind: Patch = Patch.MERGE, **query: Query
    ) -> dict[str, Any]:
        """Change what *body* says of an object; return all of it."""
        request = _Request(method="PATCH", path=path, query=query, body=body, kind=kind)
        return parsed(await self._call(request))

    async def delete(self, path: str, **query: Query) -> dict[str, Any]:
        """Take an object away."""
        request = _Request(method="DELETE", path=path, query=query)
        return parsed(await self._call(request))

    async def pages(self, path: str, **query: Query) -> AsyncIterator[dict[str, Any]]:
        """Yield a list page by page, all as of the first one's resourceVersion.

        Pages are as small as their objects are large; one that is refused for its size
        is asked for again, smaller, down to a single object.
        """
        limit = _PAGE
        asked: dict[str, Query] = dict(query)
        while True:
            async with self._lists:
                request = _Request(
                    method="GET", path=path, query={"limit": limit, **asked}
                )
                try:
                    data = await self._call(request)
                except ApiError as error:
                    if error.reason != TOO_LARGE or limit == 1:
                        raise
                    limit = max(1, limit // 4)
                    continue
                page = parsed(data)
                limit = max(1, min(limit * _GOOD // len(data), limit * 2, _PAGE))
                del data
            metadata = page.get("metadata")
            more = metadata.get("continue") if isinstance(metadata, dict) else None
            yield page
            if not isinstance(more, str) or not more:
                return
            asked["continue"] = more

    @asynccontextmanager
    async def watch(
        self, path: str, version: str, timeout_s: int, **query: Query
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Have what happens after *version*, until the server ends it in *timeout_s*.

        It is entered once the server has agreed. ApiError, then or later: it was
        refused, broke off in the middle, or is too old (410).
        """
        asked: dict[str, Query] = {
            "watch": True,
            "allowWatchBookmarks": True,
            "resourceVersion": version,
            "timeoutSeconds": timeout_s,
            **query,
        }
        request = _Request(method="GET", path=path, query=asked)
        limit = ClientTimeout(total=timeout_s + _LATE_S, sock_connect=_CONNECT_S)
        async with AsyncExitStack() as stack:
            with _translated(request):
                async with asyncio.timeout(self._timeout_s):
                    answer = await stack.enter_async_context(
                        self._answer(self._watches, request, limit)
                    )
            _keep_alive(answer)
            yield await stack.enter_async_context(aclosing(_events(request, answer)))

    async def _call(self, request: _Request) -> bytes:
        until = monotonic() + self._timeout_s
        renewed = False
        with _translated(request):
            async with asyncio.timeout(self._timeout_s):
                while True:
                    token = self._token()
                    try:
                        return await self._once(request)
                    except ApiError as error:
                        wait_s = error.retry_after_s if error.status in _BUSY else 0.0
                        if error.status == UNAUTHORIZED and not renewed:
                            renewed = await self._renew(token)
                            if not renewed:
                                raise
                        elif not wait_s or monotonic() + wait_s >= until:
                            raise
                    await asyncio.sleep(wait_s)

    async def _once(self, request: _Request) -> bytes:
        limit = ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_S)
        async with self._answer(self._calls, request, limit) as answer:
            return await _read(request, answer)

    @asynccontextmanager
    async def _answer(
        self, over: RESTClientObject, request: _Request, limit: ClientTimeout
    ) -> AsyncIterator[ClientResponse]:
        """Send *request*; give its answer, or raise what it was refused for."""
        configuration = self._configuration
        headers = {
            "Accept": "application/json",
            "Content-Type": request.kind,
            "User-Agent": "fromzero",
        }
        try:
            # This also renews a token that is due.
            token = await configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:
            raise ApiError(0, UNREACHABLE, f"credentials: {words(error)}") from error
        if token:
            headers["Authorization"] = token
        answer: ClientResponse = await over.request(
            request.method,
            f"{configuration.host}{request.path}",
            query_params={
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in request.query.items()
            },
            headers=headers,
            body=request.body,
            _preload_content=False,
            _request_timeout=limit,
        )
        async with answer:
            if answer.status >= 300:
                raise refused(
                    await _read(request, answer),
                    answer.status,
                    answer.headers.get("Retry-After"),
                )
            yield answer

    def _token(self) -> object:
        return self._configuration.api_key.get("BearerToken")

    async def _renew(self, token: object) -> bool:
        """Read the credentials again, if nobody has; say whether they are others."""
        async with self._renewing:
            if self._token() == token:
                try:
                    await self._configure(self._configuration)
                except Exception as error:
                    raise ApiError(
                        0, UNREACHABLE, f"credentials: {words(error)}"
                    ) from error
            return self._token() != token


@contextmanager
def _translated(request: _Request) -> Iterator[None]:
    try:
        yield
    except (ClientError, TimeoutError, OSError) as error:
        raise ApiError(0, UNREACHABLE, f"{request}: {words(error)}") from error


async def _read(request: _Request, answer: ClientResponse) -> bytes:
    """Return all of an answer; ApiError: it is too large to be read."""
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > LARGEST:
            raise too_large(f"{request}: an answer", len(data))
    return bytes(data)


async def _events(
    request: _Request, answer: ClientResponse
) -> AsyncGenerator[dict[str, Any]]:
    lines = Lines()
    with _translated(request):
        async for chunk in answer.content.iter_any():
            for line in lines.feed(chunk):
                yield event(line)
    lines.end()


def _keep_alive(answer: ClientResponse) -> None:
    """Have the kernel notice a server that went without a word: a watch is silent."""
    connection = answer.connection
    transport = None if connection is None else connection.transport
    its = None if transport is None else transport.get_extra_info("socket")
    if its is not None:
        its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                its.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
