"""One pod on a node, from its binding until its object is gone."""

from __future__ import annotations

import asyncio
import copy
import shutil
from typing import Any

from tests.kube.admin import Refused
from tests.kube.container import Container
from tests.kube.environment import Unmade
from tests.kube.node import AGAIN_S, UNHEARD, Node, now
from tests.kube.reports import OWN, State, conditions, phase
from tests.kube.sandbox import Sandbox

Object = dict[str, Any]


class Pod:
    """Drives one pod; :meth:`tell` it what the API server says of it."""

    def __init__(self, node: Node, raw: Object) -> None:
        self._node, self._raw = node, raw
        # Its own copy: the addresses come into it, and the mirror keeps what was read.
        self._pod = copy.deepcopy(raw)
        self.uid = str(raw["metadata"]["uid"])
        self._policy = str(raw["spec"].get("restartPolicy") or "Always")
        self._since = now()
        self._leave = asyncio.Event()
        self._gone = asyncio.Event()
        self._dirty = asyncio.Event()
        self._inits: list[Container] = []
        self._mains: list[Container] = []
        self._said: dict[str, Object] = {}
        self.sandbox: Sandbox | None = None

    @property
    def _path(self) -> str:
        meta = self._raw["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    def tell(self, raw: Object) -> None:
        """Hear of the object as it is now."""
        self._raw = raw
        if raw["metadata"].get("deletionTimestamp"):
            self._leave.set()
        if raw["spec"].get("readinessGates"):
            self._dirty.set()

    def vanished(self) -> None:
        """Hear that the object is not there any more: nothing is waited for then."""
        self._gone.set()
        self._leave.set()

    def container(self, name: str = "") -> Container:
        """Return the container of that name, or the first."""
        for each in (*self._inits, *self._mains):
            if name == each.state.name:
                return each
        if name or not self._mains:
            raise KeyError(f"no container {name!r} of {self._path} is running")
        return self._mains[0]

    async def run(self) -> None:
        """See it through; return when it is over or, cancelled, end it at once."""
        host = await asyncio.to_thread(self._node.network.host)
        sandbox = self.sandbox = Sandbox(self._node, self._pod, host)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write())
                follower = group.create_task(self._follow(sandbox))
                work = group.create_task(self._work(sandbox))
                await self._leave.wait()
                await self._stop(sandbox)
                work.cancel()
                follower.cancel()
                await asyncio.wait({work})
                writer.cancel()
                await asyncio.wait({writer})
            if not self._gone.is_set():
                await self._remove()
        finally:
            host.close()
            shutil.rmtree(sandbox.folder, ignore_errors=True)

    async def _work(self, sandbox: Sandbox) -> None:
        """Run the init containers, one after another, and then the others."""
        spec = self._pod["spec"]
        for each in spec.get("initContainers") or ():
            sidecar = each.get("restartPolicy") == "Always"
            policy = "Always" if sidecar else self._policy
            # An init container that is done is not run again.
            once = "OnFailure" if policy == "Always" and not sidecar else policy
            made = Container(each, sandbox, self._dirty.set, once)
            made.state.sidecar = sidecar
            made.state.waiting = "PodInitializing", ""
            self._inits.append(made)
        for each in spec["containers"]:
            made = Container(each, sandbox, self._dirty.set, self._policy)
            if self._inits:
                made.state.waiting = "PodInitializing", ""
            self._mains.append(made)
        self._dirty.set()
        await self._fill(sandbox)
        async with asyncio.TaskGroup() as group:
            for init in self._inits:
                if init.state.sidecar:
                    group.create_task(init.run())
                    await init.settled.wait()
                    continue
                await init.run()
                if not init.state.ended or init.state.ended.code:
                    return
                init.state.ready = True
                self._dirty.set()
            for main in self._mains:
                group.create_task(main.run())

    async def _fill(self, sandbox: Sandbox) -> None:
        """Make the volumes, however long what they name is away."""
        while True:
            try:
                await sandbox.volumes.fill()
                return
            except Unmade as error:
                words = f"MountVolume.SetUp failed: {error}"
                self._node.voice.warn(self._pod, "FailedMount", words)
                await asyncio.sleep(self._node.pace.backoff)

    async def _follow(self, sandbox: Sandbox) -> None:
        """Keep the files of the volumes as what they were made from is."""
        while True:
            await asyncio.sleep(self._node.pace.volumes_s)
            try:
                await sandbox.volumes.fill()
            except Unmade:
                # What is there stays, as it does on a node.
                continue

    async def _stop(self, sandbox: Sandbox) -> None:
        """End all containers together, sidecars after the others."""
        if self._gone.is_set():
            return
        given = self._raw["metadata"].get("deletionGracePeriodSeconds")
        grace_s = sandbox.grace_s if given is None else float(given)
        async with asyncio.TaskGroup() as group:
            ends = group.create_task(self._end(grace_s))
            over = group.create_task(self._gone.wait())
            both: set[asyncio.Task[Any]] = {ends, over}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()

    async def _end(self, grace_s: float) -> None:
        late = [each for each in self._inits if each.state.sidecar]
        early = [each for each in (*self._inits, *self._mains) if each not in late]
        for some in (early, late):
            async with asyncio.TaskGroup() as group:
                for each in some:
                    group.create_task(each.stop(grace_s))

    def status(self) -> Object:
        """Return what a kubelet would report now."""
        inits = [each.state for each in self._inits]
        mains = [each.state for each in self._mains]
        raw = self._raw.get("status") or {}
        before = {each["type"]: each for each in raw.get("conditions") or ()}
        before |= self._said
        known = {
            "spec": self._raw["spec"],
            "status": {
                "podIP": self._pod["status"]["podIP"],
                "conditions": list(before.values()),
            },
        }
        holds = conditions(known, now(), inits, mains)
        self._said = {each["type"]: each for each in holds if each["type"] in OWN}
        addresses = ("podIP", "podIPs", "hostIP", "hostIPs")
        return {
            "phase": phase(self._policy, inits, mains),
            "startTime": self._since,
            "conditions": holds,
            "containerStatuses": told(mains),
            **({"initContainerStatuses": told(inits)} if inits else {}),
            **{name: self._pod["status"][name] for name in addresses},
        }

    async def _write(self) -> None:
        """Report every change, the newest state as soon as the last is written."""
        sent: Object = {}
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            status = self.status()
            if status == sent:
                continue
            body = {"metadata": {"uid": self.uid}, "status": status}
            try:
                await self._node.talk.patch(f"{self._path}/status", body)
                sent = status
            except (*UNHEARD, Refused) as error:
                if not gone(error):
                    self._dirty.set()
                    await asyncio.sleep(AGAIN_S)

    async def _remove(self) -> None:
        """Report the end, and take the object away."""
        last = {"metadata": {"uid": self.uid}, "status": self.status()}
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        while not self._gone.is_set():
            try:
                await self._node.talk.patch(f"{self._path}/status", last)
                await self._node.talk.call("DELETE", self._path, options)
                return
            except (*UNHEARD, Refused) as error:
                if gone(error):
                    return
                await asyncio.sleep(AGAIN_S)


def gone(error: BaseException) -> bool:
    """Say whether there is no such pod, or another; raise what asking again won't mend."""
    if not isinstance(error, Refused) or error.status >= 500 or error.status == 429:
        return False
    if error.status in (404, 409):
        return True
    raise error


def told(states: list[State]) -> list[Object]:
    return [each.told() for each in states]
