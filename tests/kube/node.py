"""What pods share on a node: its images, its paces, its voice, and what it can ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.kube.admin import Refused
from tests.kube.images import Image
from tests.kube.network import Network
from tests.kube.talk import Talk

Object = dict[str, Any]
UNHEARD = (OSError, aiohttp.ClientError, TimeoutError)
"""What a call raises that the API server did not answer."""
AGAIN_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much of the time that a kubelet takes is taken; 1 is a kubelet's own."""

    probes: float = 1.0
    """Periods and initial delays of probes."""
    liveness: float | None = None
    """Of liveness probes; None: as of the others."""
    backoff: float = 1.0
    """Waits after crashes (10 s, 20 s, …, 300 s) and after pulls that failed."""
    volumes_s: float = 60.0
    """How long files may stay behind the ConfigMap or Secret they came from."""


class Backoff:
    """The waits of a kubelet: 10 s, then twice as long each time, 300 s at most."""

    def __init__(self) -> None:
        self.last_s = 0.0

    def next(self) -> float:
        self.last_s = min(self.last_s * 2 or 10.0, 300.0)
        return self.last_s

    def words(self) -> str:
        """Return the last wait as Go writes it.

        >>> backoff = Backoff()
        >>> [(backoff.next(), backoff.words())[1] for _ in range(7)]
        ['10s', '20s', '40s', '1m20s', '2m40s', '5m0s', '5m0s']
        """
        minutes, seconds = divmod(int(self.last_s), 60)
        return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True, kw_only=True)
class Node:
    """The node as its pods see it."""

    name: str
    address: str
    """Its own, where it answers names too."""
    api: str
    network: Network
    folder: Path
    talk: Talk
    images: Mapping[str, Image]
    pace: Pace
    voice: Voice = field(init=False)
    pulled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.voice = Voice(self.talk, self.name)


class Voice:
    """Sends Events as a kubelet does: one like another before it is counted on it."""

    def __init__(self, talk: Talk, node: str) -> None:
        self._talk, self._node = talk, node
        self._queue: asyncio.Queue[tuple[Object, str, str, str, str]] = asyncio.Queue()
        self._known: dict[tuple[str, ...], tuple[str, int]] = {}

    def say(self, pod: Object, reason: str, message: str, container: str = "") -> None:
        """Say it soon; never waits."""
        self._queue.put_nowait((pod, "Normal", reason, message, container))

    def warn(self, pod: Object, reason: str, message: str, container: str = "") -> None:
        self._queue.put_nowait((pod, "Warning", reason, message, container))

    async def run(self) -> None:
        """Send until cancelled; one that cannot be sent is lost."""
        while True:
            said = await self._queue.get()
            try:
                await self._send(*said)
            except (*UNHEARD, Refused):
                await asyncio.sleep(AGAIN_S)

    async def _send(
        self, pod: Object, kind: str, reason: str, message: str, container: str
    ) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        like = (meta["uid"], reason, message, container)
        if like in self._known:
            name, count = self._known[like]
            fresh = {"count": count + 1, "lastTimestamp": now()}
            await self._talk.patch(f"{path}/{name}", fresh)
            self._known[like] = name, count + 1
            return
        where = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
        name = f"{meta['name']}.{len(self._known):x}.{meta['uid'][:8]}"
        await self._talk.create(
            path,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": meta["namespace"]},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                    "uid": meta["uid"],
                    **where,
                },
                "type": kind,
                "reason": reason,
                "message": message,
                "source": {"component": "kubelet", "host": self._node},
                "reportingComponent": "kubelet",
                "reportingInstance": self._node,
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "count": 1,
            },
        )
        self._known[like] = name, 1
