"""What pods use, asked of metrics.k8s.io for revisions that scale by it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

from autoscaler.backends.kubernetes.answers import NOT_FOUND, ApiError
from autoscaler.backends.kubernetes.facts import Pod
from autoscaler.backends.kubernetes.usage import percent
from autoscaler.core.domain import Metric, RevisionKey

_log = logging.getLogger(__name__)

_EVERY_S = 15.0
"""As often as a HorizontalPodAutoscaler asks; metrics-server knows nothing newer."""

Metered = tuple[RevisionKey, Metric, tuple[Pod, ...]]
"""A revision, what it scales by, and its pods that serve."""


class Reads(Protocol):
    """What is asked of the API server."""

    def pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Yield a list page by page; ApiError."""


class Metering:
    """Ask for each namespace that has such a revision, and for no other."""

    def __init__(
        self,
        api: Reads,
        metered: Callable[[], Iterable[Metered]],
        tell: Callable[[RevisionKey, float], None],
        every_s: float = _EVERY_S,
    ) -> None:
        self._api = api
        self._metered = metered
        self._tell = tell
        self._every_s = every_s
        self._failing = ""

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        """Ask once; what is not known is not told."""
        spaces: dict[str, list[Metered]] = defaultdict(list)
        for each in self._metered():
            spaces[each[0].namespace].append(each)
        for namespace, its in spaces.items():
            path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
            try:
                documents = [
                    each
                    async for page in self._api.pages(path)
                    for each in page.get("items") or ()
                ]
            except ApiError as error:
                self._fails(str(error), missing=error.status == NOT_FOUND)
                continue
            self._failing = ""
            for key, metric, pods in its:
                used = percent(pods, documents, metric) if pods else None
                if used is not None:
                    self._tell(key, used)

    def _fails(self, why: str, *, missing: bool) -> None:
        if self._failing != why:
            hint = ": is metrics-server installed?" if missing else ""
            _log.warning('use of pods not known error="%s"%s', why, hint)
        self._failing = why
