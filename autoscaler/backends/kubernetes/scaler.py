"""Replica counts written to the API server, each revision by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from autoscaler.backends.kubernetes.answers import CONFLICT, NOT_FOUND, ApiError
from autoscaler.backends.kubernetes.errands import Errands
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
    costs: tuple[str, ...] = ()
    """Pods that a ReplicaSet is to choose first."""
    leads: bool = True
    """It is the leader's, and nothing once leadership has ended."""


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
        left_s: Callable[[], float],
    ) -> None:
        self._api = api
        self._accepted = accepted
        self._reconsider = reconsider
        """Called where a wish was given up: the Deployment is not what it was."""
        self._refused = refused
        """Called where a wish will be refused each time, with the reason."""
        self._marked: dict[RevisionKey, set[str]] = {}
        """Pods that a ReplicaSet was told to choose first."""
        self._errands: Errands[RevisionKey, Wish] = Errands(self._do, tasks, uniform)
        self._left_s = left_s
        """How long this process leads if nothing renews it; 0: it does not."""
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
        """Have *replicas* of *key* while this process leads."""
        self._wish(key, Wish(replicas, expected_version, costs))

    def wake(self, key: RevisionKey, expected_version: str) -> None:
        """Have one replica of *key*, which has none, whoever leads."""
        self._wish(key, Wish(1, expected_version, leads=False))

    def settled(self, key: RevisionKey, replicas: int) -> None:
        """Wish nothing of *key* any more: it has *replicas*, as it is to have."""
        going = self._errands.under_way(key)
        if going is not None and going.replicas != replicas:
            self._errands.abandon(key)
        self._errands.drop(key)
        self._vain.pop(key, None)

    def drop(self, key: RevisionKey) -> None:
        """Wish nothing of *key* any more: its count is another's to say."""
        self._errands.abandon(key)
        self._vain.pop(key, None)

    def forget(self, key: RevisionKey) -> None:
        """Know that *key* is gone, and its pods are nobody's."""
        self.drop(key)
        self._marked.pop(key, None)

    def _wish(self, key: RevisionKey, wish: Wish) -> None:
        if self._vain.get(key) == wish:
            return  # What is watched is behind: the new version is on its way.
        going = self._errands.under_way(key)
        if going and going.expected_version and going.replicas < wish.replicas:
            # A wake waits for no answer; what comes after it meets another version.
            self._errands.abandon(key)
        self._errands.want(key, wish)

    async def _do(self, key: RevisionKey, wish: Wish) -> None:
        base = f"/apis/apps/v1/namespaces/{key.namespace}/deployments/{key.name}/scale"
        body: dict[str, Any] = {"spec": {"replicas": wish.replicas}}
        if wish.expected_version is not None:
            body["metadata"] = {"resourceVersion": wish.expected_version}
        try:
            async with asyncio.timeout(self._left_s() if wish.leads else None):
                await self._mark(key, wish.costs)
                if wish.leads and not self._left_s():
                    _log.info("scale given up revision=%s: it leads no more", key)
                    return
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
            self._marked.pop(key, None)

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
