"""One autoscaler, whole, beside a real API server and with no activator."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from autoscaler.backends.kubernetes.api import Api
from autoscaler.backends.kubernetes.released import ANNOTATION
from autoscaler.backends.kubernetes.space import Settings
from autoscaler.core.handshake import keys
from fromzero.control import LEASE, Control, Place, Ports
from tests.kube.documents import at, isvc, until
from tests.kube.installed import FINISHES, PACE, QUICK
from tests.kube.kserve import KServe
from tests.kube.kubelet import Kubelet
from tests.kube.registry import IMAGES
from tests.kube.talk import Talk

pytestmark = pytest.mark.slow

N = "clf-predictor"
PATIENCE_S = 60.0


def listening():
    return socket.create_server(("127.0.0.1", 0))


class Stage:
    def __init__(self, talk, space, admin):
        self.talk, self.space, self._admin = talk, space, admin

    async def ask(self, method, path):
        async with self._admin.request(method, path) as answer:
            kind = answer.content_type
            found = await (
                answer.json() if kind == "application/json" else answer.text()
            )
            return answer.status, found

    async def status(self):
        _, found = await self.ask("GET", "/status")
        return found

    async def lease(self):
        return await self.talk.get(at(self.space, "leases", LEASE))

    async def until_leading(self):
        async def held():
            return (await self.lease())["spec"]["holderIdentity"] == "one"

        await until("it leads", held, PATIENCE_S)

        async def counted():
            return (await self.status())["revisions"]

        await until("its revision is known", counted, PATIENCE_S)


@asynccontextmanager
async def controlled(cluster, space):
    """Run an autoscaler beside a model that is ready, until the block ends."""
    stop = asyncio.Event()
    ports = Ports(admin=listening(), link=listening())
    here = f"http://127.0.0.1:{ports.admin.getsockname()[1]}"
    async with (
        Talk(cluster.admin) as talk,
        KServe(cluster.user("kserve")).running(),
        aiohttp.ClientSession(here) as admin,
    ):
        model = isvc(space, minReplicas=0, annotations=QUICK, **FINISHES)
        await talk.create(at(space, "inferenceservices"), model)

        async def ready():
            live = await talk.get(at(space, "deployments", N))
            return live.get("status", {}).get("readyReplicas")

        await until("it is ready", ready, PATIENCE_S)
        label = {"metadata": {"labels": {"fromzero.dev/managed": "true"}}}
        await talk.patch(f"/api/v1/namespaces/{space}", label)
        control = Control(
            Api.at(cluster.url, cluster.admin.token, cluster.ca),
            Place(namespace=space, name="one"),
            Settings(),
            lambda: keys(b"a secret of this test alone"),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(control.run(ports, stop))
            stage = Stage(talk, space, admin)
            await stage.until_leading()
            yield stage
            stop.set()
        assert (await stage.lease())["spec"]["holderIdentity"] == ""


@pytest.fixture
def play(cluster, space):
    def run(scene):
        async def whole():
            async with asyncio.timeout(120), controlled(cluster, space) as stage:
                await scene(stage)

        asyncio.run(whole())

    with Kubelet(cluster, f"node-{space}", images=IMAGES, pace=PACE):
        yield run


def test_with_no_activator_nothing_is_put_to_zero(play, space):
    async def scene(on):
        code, _ = await on.ask("POST", f"/sleep/{space}/{N}")
        assert code == 200

        async def refused():
            (its,) = (await on.status())["revisions"]
            return "no activator stands in" in its["reason"]

        await until("it says why it stays awake", refused, PATIENCE_S)
        live = await on.talk.get(at(space, "deployments", N))
        assert live["spec"]["replicas"] == 1

    play(scene)


def test_what_is_released_is_on_the_lease_and_is_not_known_any_more(play, space):
    async def scene(on):
        code, _ = await on.ask("POST", f"/release/{space}/{N}")
        assert code == 200

        async def gone():
            return not (await on.status())["revisions"]

        await until("it is let go of", gone, PATIENCE_S)
        noted = (await on.lease())["metadata"]["annotations"]
        assert noted[ANNOTATION] == f"{space}/{N}"
        live = await on.talk.get(at(space, "deployments", N))
        assert live["spec"]["replicas"] == 1

    play(scene)


def test_it_is_ready_once_all_was_counted_and_remarks_what_is_odd(play):
    async def scene(on):
        code, _ = await on.ask("GET", "/readyz")
        assert code == 200
        remarked = (await on.status())["remarks"]
        assert "NoPreStop" in {each["reason"] for each in remarked}

    play(scene)
