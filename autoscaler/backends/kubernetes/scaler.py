"""Replica counts written to the API server, each revision by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from autoscaler.backends.kubernetes.answers import CONFLICT, NOT_FOUND, ApiError
from autoscaler.backends.kubernetes.errands import Errands
from autoscaler.clock import Clock, monotonic
from autoscaler.core.domain import RevisionKey

_log = logging.getLogger(__name__)

COST = "controller.kubernetes.io/pod-deletion-cost"
_IDLEST = "-100"
MANAGER = "fromzero"
"""Name of our writes in managedFields."""
_SETTLED = (CONFLICT, NOT_FOUND)
"""Answers that say that the Deployment is not what it was."""
_PASSING = (401, 408, 429)
"""Answers that may be another the next time; so may all but 4xx."""
FORBIDDEN = 403


class Wish(NamedTuple):
    """What a revision's Deployment is to have."""

    replicas: int
    expected_version: str | None
    """The Deployment's resourceVersion, where it must be what was decided on."""
    costs: tuple[str, ...]
    """Pods that a ReplicaSet is to choose first."""


class Writes(Protocol):
    """What is asked of the API server."""

    async def patch(
        self,
        path: str,
        body: object,
        *,
        fieldManager: str,  # noqa: N803 - the API's
    ) -> dict[str, Any]:
        """Merge *body* into an object; ApiError."""


class Scaler:
    """Patch the scale of Deployments; the newest wish for each wins.

    There is no limit to how many at once but the API's connections: a hundred wakes are
    not to wait for each other, and each revision has one call under way at most.
    """

    def __init__(
        self,
        api: Writes,
        accepted: Callable[[RevisionKey, int], None],
        reconsider: Callable[[RevisionKey], None],
        refused: Callable[[RevisionKey, str], None],
        tasks: asyncio.TaskGroup,
        uniform: Callable[[], float],
        clock: Clock = monotonic,
    ) -> None:
        self._api = api
        self._accepted = accepted
        self._reconsider = reconsider
        """Called where a wish was given up: the Deployment is not what it was."""
        self._refused = refused
        """Called where a wish will be refused each time, with the reason."""
        self._marked: dict[RevisionKey, set[str]] = {}
        """Pods that a ReplicaSet was told to choose first."""
        self._errands: Errands[RevisionKey, Wish] = Errands(
            self._do, tasks, uniform, clock
        )
        self._wished: dict[RevisionKey, Wish] = {}
        self._vain: dict[RevisionKey, Wish] = {}
        """Of each the last that met another version; it always will."""

    def want(
        self,
        key: RevisionKey,
        replicas: int,
        *,
        expected_version: str | None,
        costs: tuple[str, ...],
    ) -> None:
        """Have *replicas* of *key*, instead of what was wished before."""
        wish = Wish(replicas, expected_version, costs)
        if self._errands.pending(key) and self._wished.get(key) == wish:
            return
        if self._vain.get(key) == wish:
            return  # What is watched is behind: the new version is on its way.
        self._wished[key] = wish
        self._errands.want(key, wish)

    def drop(self, key: RevisionKey) -> None:
        """Wish nothing of *key* any more: it is as it is to be, or another's."""
        self._errands.drop(key)
        self._wished.pop(key, None)
        self._vain.pop(key, None)

    async def _do(self, key: RevisionKey, wish: Wish) -> None:
        base = f"/apis/apps/v1/namespaces/{key.namespace}/deployments/{key.name}/scale"
        body: dict[str, Any] = {"spec": {"replicas": wish.replicas}}
        if wish.expected_version is not None:
            body["metadata"] = {"resourceVersion": wish.expected_version}
        try:
            await self._mark(key, wish.costs)
            await self._api.patch(base, body, fieldManager=MANAGER)
        except ApiError as error:
            if _passes(error):
                raise
            _log.info('scale given up revision=%s error="%s"', key, error)
            if wish.expected_version is not None:
                self._vain[key] = wish
            if error.status in _SETTLED:
                self._reconsider(key)
            else:
                self._refused(key, f"the API server refuses the scale: {error.message}")
            return
        self._vain.pop(key, None)
        self._accepted(key, wish.replicas)

    async def _mark(self, key: RevisionKey, pods: tuple[str, ...]) -> None:
        """Have the ReplicaSet choose *pods* first, and no others of before."""
        marked = self._marked.setdefault(key, set())
        for pod in marked.difference(pods):
            # It was spared, and may be busy the next time.
            await self._annotate(key, pod, None)
            marked.discard(pod)
        for pod in pods:
            marked.add(pod)
            await self._annotate(key, pod, _IDLEST)
        if not marked:
            del self._marked[key]

    async def _annotate(self, key: RevisionKey, pod: str, cost: str | None) -> None:
        path = f"/api/v1/namespaces/{key.namespace}/pods/{pod}"
        body = {"metadata": {"annotations": {COST: cost}}}
        try:
            await self._api.patch(path, body, fieldManager=MANAGER)
        except ApiError as error:
            if error.status != NOT_FOUND and _passes(error):
                raise
            # It only helps a ReplicaSet to choose.
            _log.info('mark refused pod=%s/%s error="%s"', key.namespace, pod, error)


def _passes(error: ApiError) -> bool:
    """Say whether the answer may be another the next time."""
    if error.status in _PASSING or not 400 <= error.status < 500:
        return True
    # An API server that has just begun knows no roles yet; admission's no is for good.
    return error.status == FORBIDDEN and " cannot patch resource " in error.message
