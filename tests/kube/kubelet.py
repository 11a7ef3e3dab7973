"""A hollow kubelet: a node that runs its pods as real processes on this machine.

Not played: cgroups, so limits of cpu and memory bind nothing; volumes that need a
driver; postStart hooks; gRPC probes beyond a connection; ephemeral containers; the
kubelet's own API, so `kubectl logs` and `exec` find nobody (see :meth:`Kubelet.log`).
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.kube import dns
from tests.kube.admin import Refused
from tests.kube.cluster import Cluster
from tests.kube.configs import API
from tests.kube.images import Image
from tests.kube.network import PODS, Host, ip
from tests.kube.node import UNHEARD, Node, Object, Pace, now
from tests.kube.pod import Pod
from tests.kube.sandbox import Sandbox
from tests.kube.talk import Mirror, Talk, key

__all__ = ["Kubelet", "Pace"]

Answer = TypeVar("Answer")
NUMBERS = itertools.count(10)
PATIENCE_S = 60.0
NODES = "/api/v1/nodes"


class Kubelet:
    """Use it with ``with``; on leaving, its pods and its node are gone.

    *images* is looked at for each start of a container, so a test may change it.
    Everything happens in a thread of its own, whose end would end every process.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        capacity: Mapping[str, str | int] | None = None,
        images: Mapping[str, Image] | None = None,
        pace: Pace | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.cluster, self.name = cluster, name
        self.images: Mapping[str, Image] = {} if images is None else images
        self._pace = pace or Pace()
        self._labels = dict(labels or {})
        plenty = {"cpu": "64", "memory": "256Gi", "pods": "250"}
        plenty["ephemeral-storage"] = "1Ti"
        self._capacity = plenty | {k: str(v) for k, v in (capacity or {}).items()}
        self.address = str(PODS[next(NUMBERS)])
        self._pods: dict[tuple[str, str], Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._thread = threading.Thread(
            target=self._main, name=f"kubelet {name}", daemon=True
        )
        self._begun: Future[None] = Future()
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.result(PATIENCE_S)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        if self._failed:
            raise self._failed

    def _do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def kill(
        self, namespace: str, pod: str, container: str = "", reason: str = ""
    ) -> None:
        """Kill a container with SIGKILL; *reason* OOMKilled tells it so."""

        async def killed() -> None:
            self._pods[namespace, pod].container(container).kill(reason)

        self._do(killed())

    def _sandbox(self, namespace: str, pod: str) -> Sandbox:
        async def found() -> Sandbox:
            sandbox = self._pods[namespace, pod].sandbox
            assert sandbox, f"{pod} has no network yet"
            return sandbox

        return self._do(found())

    def host(self, namespace: str, pod: str) -> Host:
        """Return a pod's network, to be cut or entered."""
        return self._sandbox(namespace, pod).host

    def folder(self, namespace: str, pod: str) -> Path:
        """Return where a pod's files are: its volumes, and what its containers wrote."""
        return self._sandbox(namespace, pod).folder

    def log(self, namespace: str, pod: str, container: str = "") -> str:
        """Return all that a container of a pod that is still there has written."""

        async def named() -> str:
            return self._pods[namespace, pod].container(container).state.name

        path = self.folder(namespace, pod) / f"{self._do(named())}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _main(self) -> None:
        try:
            with self.cluster.inside():
                asyncio.run(self._serve())
        except BaseException as error:  # the thread's own end, told by __exit__
            self._failed = error
            if not self._begun.done():
                self._begun.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        folder = self.cluster.folder / "nodes" / self.name
        folder.mkdir(parents=True)
        ip(f"addr add {self.address}/{PODS.prefixlen} dev pods")
        try:
            async with Talk(self.cluster.user("kubelet"), "kubelet") as talk:
                self._node = Node(
                    name=self.name,
                    address=self.address,
                    api=API,
                    network=self.cluster.network,
                    folder=folder,
                    talk=talk,
                    images=self.images,
                    pace=self._pace,
                )
                await self._run(talk)
        finally:
            ip(f"addr del {self.address}/{PODS.prefixlen} dev pods")

    async def _run(self, talk: Talk) -> None:
        slices_path = "/apis/discovery.k8s.io/v1/endpointslices"
        services = Mirror(talk, "/api/v1/services", lambda _: None)
        slices = Mirror(talk, slices_path, lambda _: None)
        path = f"/api/v1/pods?fieldSelector=spec.nodeName={self.name}"
        async with asyncio.TaskGroup() as group:
            mine = Mirror(talk, path, lambda raw: self._told(raw, mine, group))
            tasks = [group.create_task(each.run()) for each in (services, slices, mine)]
            for each in (services, slices, mine):
                await each.synced.wait()
            tasks.append(group.create_task(self._node.voice.run()))
            async with dns.serving(self.address, services, slices):
                await self._register(talk)
                self._begun.set_result(None)
                await self._stop.wait()
                await self._leave(talk)
            for task in (*tasks, *self._tasks.values()):
                task.cancel()

    def _told(self, raw: Object, mine: Mirror, group: asyncio.TaskGroup) -> None:
        """Hear of a pod of this node: begin it, tell it, or end it."""
        name, uid = key(raw), str(raw["metadata"]["uid"])
        current = mine.get(*name)
        pod = self._pods.get(name)
        if pod and (current is None or current["metadata"]["uid"] != pod.uid):
            pod.vanished()
            del self._pods[name]
            pod = None
        if current is None:
            return
        if pod is None:
            if current["status"].get("phase") in ("Succeeded", "Failed"):
                return
            pod = self._pods[name] = Pod(self._node, current)
            task = group.create_task(pod.run(), name=f"pod {name}")
            self._tasks[uid] = task
            task.add_done_callback(lambda _: self._tasks.pop(uid, None))
        pod.tell(current)

    async def _register(self, talk: Talk) -> None:
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels | self._labels},
        }
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        }
        await talk.create(NODES, body)
        status = {
            "capacity": self._capacity,
            "allocatable": self._capacity,
            "conditions": [ready],
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.37.2",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "containerRuntimeVersion": "hollow://1",
                "kernelVersion": "",
                "osImage": "",
                "bootID": "",
                "machineID": "",
                "systemUUID": "",
                "kubeProxyVersion": "",
            },
        }
        await talk.patch(f"{NODES}/{self.name}/status", {"status": status})

    async def _leave(self, talk: Talk) -> None:
        """Take the node and its pods away; in an outage, only what runs of them."""
        options = {"gracePeriodSeconds": "0"}
        with suppress(Refused, *UNHEARD):
            await talk.delete(f"{NODES}/{self.name}")
            for namespace, name in list(self._pods):
                path = f"/api/v1/namespaces/{namespace}/pods/{name}"
                with suppress(Refused):
                    await talk.call("DELETE", path, None, **options)
        for pod in self._pods.values():
            pod.vanished()
