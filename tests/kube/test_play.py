"""The parts that are played, together: KServe's controller and webhook, a node, clients."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.kube.calls import Outcome, chat, predict
from tests.kube.clients import Clients, Slices
from tests.kube.documents import at, isvc, scale, until
from tests.kube.kserve import KServe
from tests.kube.kserve_objects import RUNTIMES
from tests.kube.kserve_status import conditions
from tests.kube.kserve_webhook import PodWebhook
from tests.kube.kubelet import Kubelet, Pace
from tests.kube.proxy import Proxy
from tests.kube.registry import IMAGES, TRANSFORMER
from tests.kube.talk import Talk

pytestmark = pytest.mark.slow

PACE = Pace(probes=0.05, backoff=0.05)
N = "clf-predictor"


class Stage:
    """What a scene has: the API, the clients' slices, and where it plays."""

    def __init__(self, talk: Talk, slices: Slices, space: str, node: Kubelet) -> None:
        self.talk, self.slices, self.space, self.node = talk, slices, space, node

    async def begin(self, document: dict) -> None:
        await self.talk.create(at(self.space, "inferenceservices"), document)

    async def until(self, kind: str, status: str) -> None:
        async def said() -> bool:
            live = await self.talk.get(at(self.space, "inferenceservices", "clf"))
            return conditions(live).get(kind, {}).get("status") == status

        await until(f"{kind} is {status}", said)

    async def pods(self) -> list[dict]:
        return (await self.talk.get(at(self.space, "pods")))["items"]

    def clients(self, make, service: str = N, **options) -> Clients:
        def asks(request: str, chance: random.Random):
            return make("clf", request)

        return Clients(self.slices.view(service, service), asks, **options)


@pytest.fixture
def play(cluster, space):
    node = Kubelet(cluster, f"node-{space}", images=IMAGES, pace=PACE)

    @asynccontextmanager
    async def stage():
        async with AsyncExitStack() as on:
            talk = await on.enter_async_context(Talk(cluster.admin))
            await on.enter_async_context(KServe(cluster.user("kserve")).running())
            await on.enter_async_context(PodWebhook().running(talk))
            slices = Slices(talk, space)
            await on.enter_async_context(slices.followed())
            client = await on.enter_async_context(Talk(cluster.user("client")))
            await on.enter_async_context(Proxy(client).running())
            yield Stage(talk, slices, space, node)

    def run(scene):
        async def whole():
            async with asyncio.timeout(90), stage() as on:
                await scene(on)

        with node:
            asyncio.run(whole())

    return run


def test_a_model_is_fetched_started_served_scaled_and_put_to_sleep(play):
    async def scene(on):
        model = {"storageUri": "s3://models/clf", "args": ["--start_s=0.2"]}
        await on.begin(isvc(on.space, minReplicas=0, model=model))
        await on.until("Ready", "True")

        clients = on.clients(predict, lag_s=0.1)
        await until("a right answer", lambda: right(clients))
        path = f"{at(on.space, 'deployments', N)}/scale"
        await on.talk.patch(path, scale(2))
        view = on.slices.view(N, N)
        await until("two", lambda: asyncio.sleep(0, len(view(1e12)) == 2))
        await asyncio.gather(clients.rate(100, 1.0), clients.loops(1.0))
        report = clients.report()
        assert report.lost == 0
        assert report.whole
        assert set(report.pods) == {p["metadata"]["name"] for p in await on.pods()}

        await on.talk.patch(path, scale(0))
        await until("nobody", lambda: asyncio.sleep(0, not view(1e12)))
        assert await on.clients(predict, lag_s=0.0).one() == Outcome.NOWHERE
        clients.close()

    async def right(clients):
        return await clients.one() == Outcome.RIGHT

    play(scene)


def test_a_transformer_reaches_its_predictor_by_the_services_name(play):
    async def scene(on):
        container = {"name": "kserve-container", "image": TRANSFORMER}
        await on.begin(isvc(on.space, transformer={"containers": [container]}))
        await on.until("Ready", "True")
        await on.until("TransformerReady", "True")

        clients = on.clients(predict, "clf-transformer", lag_s=0.0, count=1)

        async def right():
            return await clients.one() == Outcome.RIGHT

        await until("an answer of both", right)
        (pod,) = clients.report().pods
        assert pod.startswith("clf-transformer")
        clients.close()

    play(scene)


def test_a_killed_pods_streams_are_counted_apart(play):
    async def scene(on):
        def long(model, request):
            return chat(model, request, events=400, gap_s=0.05)

        await on.begin(isvc(on.space, kind="vllm"))
        await on.until("Ready", "True")
        clients = on.clients(long, lag_s=0.0)
        view = on.slices.view(N, N)
        await until("one", lambda: asyncio.sleep(0, view(1e12)))
        (pod,) = [each["metadata"]["name"] for each in await on.pods()]

        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(clients.one()) for _ in range(3)]
            await until("running", lambda: running(view(1e12)[0]))
            await asyncio.to_thread(on.node.kill, on.space, pod)

        assert {each.result() for each in ends} == {Outcome.CUT}
        report = clients.report(killed={pod})
        assert (report.killed, report.lost, report.whole) == (3, 0, True)

    async def running(endpoint):
        reader, writer = await asyncio.open_connection(*endpoint[:2])
        writer.write(b"GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n")
        said = await reader.read()
        writer.close()
        return b'num_requests_running{engine="0",model_name="clf"} 3.0' in said

    play(scene)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param(
            {"storageUri": "s3://models/fail"},
            "Failed to fetch model",
            id="no model to fetch",
        ),
        pytest.param(
            {
                "args": ["--crash_after_s=0", "--crash_code=42", "--words=out of VRAM"],
                "terminationMessagePolicy": "FallbackToLogsOnError",
            },
            "out of VRAM",
            id="a crash",
        ),
    ],
)
def test_a_start_that_fails_says_its_last_words(play, model, words):
    async def scene(on):
        await on.begin(isvc(on.space, model=model))

        async def told():
            states = [
                state.get("lastState", {}).get("terminated")
                or state.get("state", {}).get("terminated")
                for pod in await on.pods()
                for kind in ("initContainerStatuses", "containerStatuses")
                for state in pod["status"].get(kind, ())
            ]
            return any(words in (each or {}).get("message", "") for each in states)

        await until("last words", told)

    play(scene)


def test_every_runtime_has_its_image():
    assert {each.image for each in RUNTIMES.values()} <= IMAGES.keys()
