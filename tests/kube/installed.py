"""fromzero in a cluster as its README installs it, with everything played around it."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.kube import assets
from tests.kube.calls import Request
from tests.kube.clients import Clients, Slices
from tests.kube.cluster import Cluster, eventually
from tests.kube.documents import at, until
from tests.kube.images import Image, fromzero
from tests.kube.kserve import KServe
from tests.kube.kserve_webhook import PodWebhook
from tests.kube.kubelet import Kubelet
from tests.kube.node import Pace
from tests.kube.proxy import Proxy
from tests.kube.registry import IMAGES
from tests.kube.talk import Object, Talk

ROOT = Path(__file__).parents[2]
HOME = "fromzero-system"
RESTRICTED = """
apiVersion: v1
kind: Namespace
metadata: {{name: {}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}
"""
DOMAIN = "domain: example.com"
PACE = Pace(probes=0.05, liveness=1.0, backoff=0.05)
"""A busy machine may be late: what is late is not dead."""
QUICK = {"autoscaling.knative.dev/window": "6s"}
GRACE = "scale-to-zero-grace-period: 1s"
"""For fromzero-config. With these a model falls asleep within seconds."""
FINISHES: Object = {
    "timeout": 4,
    "terminationGracePeriodSeconds": 30,
}
"""What a predictor needs so that a server without gauges may be put to sleep."""
PRE_STOP: Object = {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}


def rendered(overlay: str) -> str:
    """Return an overlay's documents."""
    program = assets.find("kubectl")
    assert program, assets.HOW
    done = subprocess.run(
        [str(program), "kustomize", str(ROOT / "manifests" / overlay)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def image_of(documents: str) -> str:
    """Return the name of fromzero's image in *documents*."""
    pod = _deployment(documents)["spec"]["template"]["spec"]
    return str(pod["containers"][0]["image"])


def home_of(documents: str) -> str:
    """Return the namespace that *documents* install fromzero in."""
    return str(_deployment(documents)["metadata"]["namespace"])


def _deployment(documents: str) -> Object:
    for each in yaml.safe_load_all(documents):
        if each and each["kind"] == "Deployment":
            return dict(each)
    raise AssertionError("no Deployment in the documents")


class Installed:
    """A cluster with fromzero in it; enter :meth:`stage` for each scene."""

    def __init__(
        self, cluster: Cluster, node: Kubelet, gpus: int, home: str = HOME
    ) -> None:
        self.cluster, self.node, self.gpus = cluster, node, gpus
        self.home = home
        """The namespace that it is in."""

    def logs(self) -> str:
        """Return what fromzero's pods have logged."""
        found = []
        for pod in self.pods():
            try:
                said = self.node.log(self.home, pod)
            except KeyError:
                continue
            found.append(f"== {pod}\n{said}")
        found += [
            f"== {each['regarding']['name']}: {each.get('note')}"
            for each in self.cluster.events(self.home)
            if each.get("type") == "Warning" or each.get("reason") == "Killing"
        ]
        return "\n".join(found)

    def pods(self, component: str = "") -> list[str]:
        """Return the names of fromzero's pods."""
        items = self.cluster.admin.get(at(self.home, "pods"))["items"]
        return [
            each["metadata"]["name"]
            for each in items
            if component in each["metadata"]["name"]
            and "deletionTimestamp" not in each["metadata"]
        ]

    @asynccontextmanager
    async def stage(
        self, space: str, *, headless: bool = False
    ) -> AsyncIterator[Stage]:
        """Play KServe and kube-proxy around one namespace."""
        async with AsyncExitStack() as on:
            talk = await on.enter_async_context(Talk(self.cluster.admin))
            kserve = KServe(self.cluster.user("kserve"), headless=headless)
            await on.enter_async_context(kserve.running())
            webhook = await on.enter_async_context(PodWebhook().running(talk))
            slices = Slices(talk, space)
            await on.enter_async_context(slices.followed())
            client = await on.enter_async_context(Talk(self.cluster.user("client")))
            await on.enter_async_context(Proxy(client).running())
            yield Stage(self, talk, slices, space, webhook)

    def play(
        self,
        space: str,
        scene: Callable[[Stage], Any],
        seconds: float = 120.0,
        *,
        headless: bool = False,
    ) -> None:
        """Run *scene* on a stage; what fromzero logged is shown if it fails."""

        async def whole() -> None:
            async with (
                asyncio.timeout(seconds),
                self.stage(space, headless=headless) as on,
            ):
                await scene(on)

        try:
            asyncio.run(whole())
        except BaseException as error:
            error.add_note(self.logs()[-20000:])
            raise


class Stage:
    """One namespace that is managed, with KServe and clients at work."""

    def __init__(
        self,
        installed: Installed,
        talk: Talk,
        slices: Slices,
        space: str,
        webhook: PodWebhook,
    ) -> None:
        self.installed, self.talk, self.slices = installed, talk, slices
        self.space, self.webhook = space, webhook

    async def manage(self, *, managed: bool = True) -> None:
        """Label the namespace, or take the label away."""
        value = "true" if managed else None
        body = {"metadata": {"labels": {"fromzero.dev/managed": value}}}
        await self.talk.patch(f"/api/v1/namespaces/{self.space}", body)

    async def begin(self, document: Object) -> None:
        """Make an InferenceService."""
        await self.talk.create(at(self.space, "inferenceservices"), document)

    async def deployment(self, name: str) -> Object:
        return await self.talk.get(at(self.space, "deployments", name))

    async def replicas(self, name: str) -> int:
        return int((await self.deployment(name))["spec"].get("replicas", 1))

    async def until_replicas(self, name: str, count: int) -> None:
        async def so() -> bool:
            return await self.replicas(name) == count

        await until(f"{name} has {count} replicas", so, 60.0)

    async def until_ready(self, name: str, count: int) -> None:
        async def so() -> bool:
            live = await self.deployment(name)
            return int(live.get("status", {}).get("readyReplicas", 0)) == count

        await until(f"{name} has {count} ready", so, 60.0)

    async def until_asleep(self, name: str) -> None:
        """Wait until activators stand in and no pod is left, for a client to go to."""

        async def so() -> bool:
            listed = any(each["endpoints"] for each in await self.ours(name))
            return listed and not await self.pods(f"{name}-")

        await self.until_replicas(name, 0)
        await until(f"{name} is asleep", so, 60.0)

    async def pods(self, name: str = "") -> list[Object]:
        items = (await self.talk.get(at(self.space, "pods")))["items"]
        return [each for each in items if each["metadata"]["name"].startswith(name)]

    async def ours(self, service: str) -> list[Object]:
        """Return our slices of a Service."""
        items = (await self.talk.get(at(self.space, "endpointslices")))["items"]
        manager = "endpointslice.kubernetes.io/managed-by"
        return [
            each
            for each in items
            if each["metadata"]["labels"].get(manager) == "fromzero.dev"
            and each["metadata"]["labels"]["kubernetes.io/service-name"] == service
        ]

    async def events(self) -> list[Object]:
        path = f"/apis/events.k8s.io/v1/namespaces/{self.space}/events"
        found = (await self.talk.get(path))["items"]
        return [e for e in found if e.get("reportingController") == "fromzero"]

    def clients(
        self,
        make: Callable[[str, str], Request],
        service: str,
        model: str = "clf",
        **options: Any,
    ) -> Clients:
        """Return clients of a Service; its port is named after it, as KServe does."""

        def asks(request: str, chance: random.Random) -> Request:
            return make(model, request)

        return Clients(self.slices.view(service, service), asks, **options)


@contextmanager
def installed(
    cluster: Cluster, overlay: str = "default", gpus: int = 0
) -> Iterator[Installed]:
    """Install fromzero by its manifests on a node of *gpus* GPUs, until all is ready.

    A namespace that the overlay does not make is made first, for restricted pods alone.
    """
    documents = rendered(overlay).replace(DOMAIN, f"{DOMAIN}\n    {GRACE}")
    assert GRACE in documents
    images: dict[str, Image] = {**IMAGES, image_of(documents): fromzero()}
    capacity = {"nvidia.com/gpu": gpus} if gpus else {}
    with Kubelet(cluster, f"node-{overlay}", capacity, images, PACE) as node:
        home = home_of(documents)
        here = Installed(cluster, node, gpus, home)
        if "kind: Namespace" not in documents:
            cluster.kubectl("apply", "-f", "-", given=RESTRICTED.format(home))
        cluster.kubectl("apply", "-f", "-", given=documents)
        cluster.kubectl(
            "-n", home, "create", "secret", "generic", "fromzero-link",
            "--from-literal=secret=a secret of this test alone",
        )  # fmt: skip
        try:
            eventually("fromzero is ready", lambda: _available(here))
        except TimeoutError as error:
            error.add_note(here.logs()[-20000:])
            raise
        yield here


def _available(here: Installed) -> bool:
    items = here.cluster.admin.get(at(here.home, "deployments"))["items"]
    return len(items) == 2 and all(
        each.get("status", {}).get("readyReplicas", 0) == each["spec"]["replicas"]
        for each in items
    )
