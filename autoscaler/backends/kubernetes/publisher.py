"""Our EndpointSlices, written until the API server has what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from autoscaler.backends.kubernetes.api import ApiError
from autoscaler.backends.kubernetes.facts import Slice
from autoscaler.backends.kubernetes.slices import Body, changes

_GROUP = "/apis/discovery.k8s.io/v1/namespaces"
_CONFLICT = 409
_GONE = 404
_AT_ONCE = 16
"""Services; when activators come and go all are written, and wakes must get through."""

Front = tuple[str, str]
"""A Service: namespace and name."""


class Writes(Protocol):
    """What is asked of the API server."""

    async def create(self, path: str, body: Body) -> dict[str, Any]:
        """Make an object; ApiError 409: there is one of that name."""

    async def replace(self, path: str, body: Body) -> dict[str, Any]:
        """Overwrite an object; ApiError 404: there is none."""

    async def delete(self, path: str) -> object:
        """Take an object away; ApiError 404: there is none."""


class Publisher:
    """Make the slices of one Service those wanted; an errand's job."""

    def __init__(
        self, api: Writes, existing: Callable[[Front], Iterable[Slice]]
    ) -> None:
        self._api = api
        self._existing = existing
        """Our slices of a Service as they were watched, or older."""
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def publish(self, front: Front, wanted: tuple[Body, ...]) -> None:
        """Write what differs; an object that is not as was watched is no failure."""
        async with self._turns:
            await self._publish(front, wanted)

    async def _publish(self, front: Front, wanted: tuple[Body, ...]) -> None:
        todo = changes(self._existing(front), wanted)
        base = f"{_GROUP}/{front[0]}/endpointslices"
        for body in todo.create:
            try:
                await self._api.create(base, body)
            except ApiError as error:
                if error.status != _CONFLICT:
                    raise
                await self._api.replace(f"{base}/{_name(body)}", body)
        for body in todo.replace:
            try:
                await self._api.replace(f"{base}/{_name(body)}", body)
            except ApiError as error:
                if error.status != _GONE:
                    raise
                await self._api.create(base, body)
        for name in todo.delete:
            try:
                await self._api.delete(f"{base}/{name}")
            except ApiError as error:
                if error.status != _GONE:
                    raise


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])
