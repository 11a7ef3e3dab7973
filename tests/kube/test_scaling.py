"""Revisions that scale, share GPUs and come in all shapes that KServe has for them."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from pathlib import Path

import grpc
import pytest

from tests.kube import grpc_model
from tests.kube.calls import Outcome, chat, predict
from tests.kube.clients import Clients, Endpoint, Slices
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import at, isvc, until
from tests.kube.fixtures import demand
from tests.kube.images import Image
from tests.kube.installed import FINISHES, HOME, QUICK, installed
from tests.kube.kserve_objects import RUNTIMES
from tests.kube.registry import TRANSFORMER
from tests.kube.talk import Mirror

pytestmark = pytest.mark.slow

N = "clf-predictor"
COST = "controller.kubernetes.io/pod-deletion-cost"
EXACT = QUICK | {"autoscaling.knative.dev/target-utilization-percentage": "100"}
LAG_S = 2.0
STAYS = {"lifecycle": {"preStop": {"sleep": {"seconds": 4}}}}
"""Longer than clients lag."""
ENGINE = {"args": ["--late", "--start_s=0.2"], **STAYS}
GPU = ENGINE | {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
GPUS = ENGINE | {"resources": {"limits": {"nvidia.com/gpu": "3"}}}


@pytest.fixture(scope="module")
def here():
    demand(unable())
    with Cluster() as cluster, cluster.inside(), installed(cluster, gpus=3) as found:
        yield found


def slow(model, request):
    return predict(model, request, latency_s=0.3)


def slower(model, request):
    """Ask so that what is in flight hardly depends on how busy this machine is."""
    return predict(model, request, latency_s=1.0)


async def status(on, revision=N):
    """Return what the autoscaler says of a revision, and its remarks of the namespace."""
    (pod,) = on.installed.pods("autoscaler")
    address = (await on.talk.get(at(HOME, "pods", pod)))["status"]["podIP"]

    def get():
        with urllib.request.urlopen(f"http://{address}:9090/status", timeout=5) as got:
            return json.load(got)

    said = await asyncio.to_thread(get)
    its = [
        each
        for each in said["revisions"]
        if (each["namespace"], each["name"]) == (on.space, revision)
    ]
    remarks = [
        each
        for each in said["remarks"]
        if (each["revision"] or [""])[0] == on.space or f" {on.space}/" in each["about"]
    ]
    return (its or [{}])[0], remarks


def scaled(on, name=N):
    """Return how often fromzero has written a Deployment's replica count."""
    found = 0
    for line in on.installed.cluster.audit_log.read_text().splitlines():
        if '"subresource":"scale"' in line and f'"namespace":"{on.space}"' in line:
            event = json.loads(line)
            its = event["verb"] == "patch" and event["objectRef"]["name"] == name
            found += its and event["user"]["username"].endswith("autoscaler")
    return found


class Pods:
    """Every pod that a namespace has had, and which were marked when they had to go."""

    def __init__(self, on):
        self._mirror = Mirror(on.talk, at(on.space, "pods"), self._told)
        self.made, self.bound, self.leaving = set(), set(), {}

    def _told(self, pod):
        meta = pod["metadata"]
        self.made.add(meta["name"])
        if pod["spec"].get("nodeName"):
            self.bound.add(meta["name"])
        if "deletionTimestamp" in meta:
            marked = (meta.get("annotations") or {}).get(COST) == "-100"
            self.leaving.setdefault(meta["name"], marked)

    @property
    def there(self):
        return {name for _, name in self._mirror.objects}

    @asynccontextmanager
    async def followed(self):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._mirror.run())
            await self._mirror.synced.wait()
            yield self
            task.cancel()


@asynccontextmanager
async def load(clients):
    """Have *clients*, once they know where, send request after request in the block."""
    await asyncio.sleep(max(clients.lags_s))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.loops(600.0))
            try:
                yield clients
            finally:
                clients.stop()
    finally:
        clients.close()


def served(report):
    """Say that every request got the right answer, or what was wrong."""
    assert report.ends == {Outcome.RIGHT: report.sent}, str(report)
    assert report.whole


async def until_gone(on, *names):
    """Wait until no pod of these Deployments is there, for clients to go to either."""

    async def so():
        return not [each for name in names for each in await on.pods(f"{name}-")]

    for name in names:
        await on.until_replicas(name, 0)
    await until(f"no pod of {names}", so, 60.0)


async def until_ours(on, service, listed):
    """Wait until our slices of a Service list activators, or are all empty."""

    async def so():
        ours = await on.ours(service)
        return ours and all(bool(each["endpoints"]) == listed for each in ours)

    await until(f"slices of {service}: {listed}", so, 60.0)


async def it_grows_to_what_gpus_there_are_and_goes_back_to_zero(on):
    document = isvc(
        on.space, kind="vllm", minReplicas=0, maxReplicas=4, scaleTarget=2,
        scaleMetric="concurrency", annotations=EXACT, model=GPU,
    )  # fmt: skip
    async with Pods(on).followed() as pods:
        await on.begin(document)
        await on.until_ready(N, 1)

        busy = on.clients(slow, N, lag_s=LAG_S, count=10)
        async with load(busy):
            await on.until_replicas(N, 4)
            await on.until_ready(N, 3)
            await on.until_replicas(N, 3)

            async def capped():
                said, _ = await status(on)
                return "GPU" in said["reason"] and said

            said = await until("it is capped", capped)
            assert (said["ready"], said["starting"]) == (3, 0)
            patches = scaled(on)
            await asyncio.sleep(8)
            assert scaled(on) == patches <= 4
        served(busy.report())
        assert len(pods.made) == 4
        assert len(pods.bound) == 3

        quiet = on.clients(slow, N, lag_s=LAG_S, count=1)
        async with load(quiet):
            await on.until_ready(N, 1)
        served(quiet.report())
        went = {each: it for each, it in pods.leaving.items() if each in pods.bound}
        assert list(went.values()) == [True, True], went

        await on.until_replicas(N, 0)
        assert len(pods.made) == 4
        assert scaled(on) <= patches + 3
        last = on.clients(slow, N, lag_s=0.0, count=1, name="last")
        assert await last.one() == Outcome.RIGHT
        last.close()


async def an_idle_revision_gives_its_gpus_to_one_that_is_called(on):
    kept = QUICK | {"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "1h"}
    await on.begin(
        isvc(on.space, "idle", kind="vllm", minReplicas=0, annotations=kept, model=GPUS)
    )
    await on.until_ready("idle-predictor", 1)
    sleeps = {"autoscaling.knative.dev/initial-scale": "0"}
    await on.begin(
        isvc(
            on.space, kind="vllm", minReplicas=0, annotations=QUICK | sleeps, model=GPU
        )
    )
    await on.until_replicas(N, 0)
    assert await on.replicas("idle-predictor") == 1
    clients = on.clients(slow, N, lag_s=0.0, count=1)
    assert await clients.one() == Outcome.RIGHT, clients.report()
    assert await on.replicas("idle-predictor") == 0
    clients.close()


async def activators_step_aside_for_replicas_and_come_back(on):
    burst = EXACT | {"autoscaling.knative.dev/target-burst-capacity": "0"}
    await on.begin(
        isvc(
            on.space,
            kind="vllm",
            minReplicas=0,
            maxReplicas=2,
            scaleTarget=2,
            scaleMetric="concurrency",
            annotations=burst,
            model=ENGINE,
        )
    )
    await on.until_ready(N, 1)
    await until_ours(on, N, True)
    clients = on.clients(slow, N, lag_s=LAG_S, count=8, fresh=0.02)
    async with load(clients):
        await on.until_ready(N, 2)
        await until_ours(on, N, False)
        await asyncio.sleep(LAG_S)
    served(clients.report())
    activators = on.installed.pods("activator")
    quiet = on.clients(slow, N, lag_s=LAG_S, count=1, fresh=0.02)
    async with load(quiet):
        await until_ours(on, N, True)
        await on.until_ready(N, 1)
        await asyncio.sleep(LAG_S)
    served(quiet.report())
    await on.until_replicas(N, 0)
    await until_ours(on, N, True)
    assert activators == on.installed.pods("activator")


async def a_canary_stays_awake_while_it_has_traffic_and_scales_on_its_own(on):
    variant = {
        "name": "v2", "minReplicas": 0, "maxReplicas": 2,
        "model": {"modelFormat": {"name": "vllm"}, "name": "", **ENGINE},
    }  # fmt: skip
    document = isvc(
        on.space, kind="vllm", minReplicas=0, maxReplicas=2, scaleTarget=2,
        scaleMetric="concurrency", annotations=EXACT, model=ENGINE,
        canary=[{"trafficPercent": 20, "predictor": variant}],
    )  # fmt: skip
    await on.begin(document)
    old = isvc(on.space, "old", kind="vllm", annotations=QUICK, model=ENGINE,
               canaryTrafficPercent=10, minReplicas=0)  # fmt: skip
    await on.begin(old)
    canary = "clf-v2-predictor"
    await on.until_ready(canary, 1)
    await on.until_ready(N, 1)
    await on.until_replicas(N, 0)
    clients = on.clients(slow, canary, lag_s=LAG_S, count=5)
    async with load(clients):
        await on.until_ready(canary, 2)
    served(clients.report())
    await on.until_replicas(canary, 1)
    assert await on.replicas(N) == 0
    await asyncio.sleep(10)
    assert await on.replicas(canary) == 1
    said, remarks = await status(on, canary)
    assert "canary" in said["reason"]
    assert "CanaryTrafficPercent" in {each["reason"] for each in remarks}
    assert "CanaryTrafficPercent" in {each["reason"] for each in await on.events()}

    variant = {"trafficPercent": 0, "predictor": variant}
    path = at(on.space, "inferenceservices", "clf")
    await on.talk.patch(path, {"spec": {"canary": [variant]}})
    await on.until_replicas(canary, 0)


async def who_calls_the_predictor_wakes_it_too(on):
    called = {"name": "kserve-container", "image": TRANSFORMER, **STAYS}
    sized = {"minReplicas": 0, "containers": [called], **FINISHES}
    document = isvc(
        on.space, kind="vllm", minReplicas=0, annotations=QUICK, model=ENGINE,
        transformer=sized,
    )  # fmt: skip
    document["spec"]["explainer"] = sized
    await on.begin(document)
    every = N, "clf-transformer", "clf-explainer"
    for name in every:
        await on.until_ready(name, 1)
    await until_gone(on, *every)

    clients = on.clients(predict, "clf-transformer", lag_s=0.0, count=1)
    sent = asyncio.create_task(clients.one())
    for name in every[:2]:
        await on.until_replicas(name, 1)
    assert await sent == Outcome.RIGHT, clients.report()
    assert await on.replicas("clf-explainer") == 0
    (pod,) = clients.report().pods
    assert pod.startswith("clf-transformer")
    clients.close()
    await until_gone(on, *every)

    clients = on.clients(predict, "clf-explainer", lag_s=0.0, count=1)
    assert await clients.one() == Outcome.RIGHT, clients.report()
    assert await on.replicas(N) == 1
    clients.close()


async def a_deployment_of_ones_own_sleeps_and_wakes(on):
    labels = {"app": "own"}
    container = {
        "name": "server", "image": RUNTIMES["vllm"].image, **STAYS,
        "args": ["--served-model-name=clf", "--port=9000", "--late"],
        "ports": [{"name": "web", "containerPort": 9000}],
        "readinessProbe": {"tcpSocket": {"port": 9000}},
    }  # fmt: skip
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "own",
            "annotations": {
                "fromzero.dev/managed": "true",
                "fromzero.dev/service": "front",
                "fromzero.dev/min-replicas": "0",
                "fromzero.dev/stable-window": "6s",
            },
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "web"}]},
    }
    await on.talk.create(at(on.space, "services"), service)
    await on.talk.create(at(on.space, "deployments"), document)
    await on.until_ready("own", 1)
    await until_gone(on, "own")
    clients = Clients(
        on.slices.view("front", ""), lambda name, _: predict("clf", name),
        lag_s=0.0, count=1,
    )  # fmt: skip
    assert await clients.one() == Outcome.RIGHT, clients.report()
    await until_gone(on, "own")
    assert await clients.one() == Outcome.RIGHT, clients.report()
    clients.close()


async def headless_services_sleep_and_wake_where_their_targets_differ(on):
    def ported(name, number):
        ports = [{"name": "http1", "containerPort": number, "protocol": "TCP"}]
        args = {"args": ["--late", f"--port={number}"], "ports": ports}
        return isvc(on.space, name, kind="vllm", minReplicas=0, annotations=QUICK,
                    model=ENGINE | args)  # fmt: skip

    await on.begin(
        isvc(on.space, kind="vllm", minReplicas=0, annotations=QUICK, model=ENGINE)
    )
    await on.begin(ported("other", 9000))
    await on.until_ready("other-predictor", 1)
    await until_gone(on, N, "other-predictor")
    await on.begin(ported("third", 9000))
    await on.until_ready("third-predictor", 1)

    clients = on.clients(predict, N, lag_s=0.0, count=1)
    assert await clients.one() == Outcome.RIGHT, clients.report()
    clients.close()
    others = Clients(
        on.slices.view("other-predictor", "http1"),
        lambda name, _: predict("other", name), lag_s=0.0, count=1,
    )  # fmt: skip
    assert await others.one() == Outcome.RIGHT, others.report()
    others.close()
    await on.until_replicas(N, 0)
    await on.until_replicas("other-predictor", 0)

    assert await on.replicas("third-predictor") == 1
    _, remarks = await status(on, "third-predictor")
    (found,) = [each for each in remarks if each["reason"] == "NoStandIn"]
    assert found["revision"] == [on.space, "third-predictor"]
    assert "9000" in found["message"]


async def a_grpc_call_is_held_and_passed_on(on):
    program = Path(grpc_model.__file__)
    on.installed.node.images["grpc-model"] = Image(
        entry=(sys.executable, str(program)), shows=(str(program.parent),)
    )

    container = {
        "name": "kserve-container", "image": "grpc-model", **STAYS,
        "args": ["8081", "8002"],
        "ports": [{"name": "h2c", "containerPort": 8081, "protocol": "TCP"}],
    }  # fmt: skip
    document = isvc(on.space, minReplicas=0, annotations=QUICK)
    del document["spec"]["predictor"]["model"]
    document["spec"]["predictor"]["containers"] = [container]
    await on.begin(document)
    await on.until_ready(N, 1)
    await until_gone(on, N)

    view = on.slices.view(N, "h2c")

    def call(what):
        endpoint = view(1e12)[0]
        options = [("grpc.use_local_subchannel_pool", 1)]
        where = f"{endpoint.address}:{endpoint.port}"
        with grpc.insecure_channel(where, options) as channel:
            ask = channel.unary_unary("/inference.Model/Predict")
            return ask(what, timeout=60)

    big = b"x" * 100_000
    assert await asyncio.to_thread(call, big) == b"predicted " + big
    await on.until_ready(N, 1)
    assert await asyncio.to_thread(call, b"wait 9") == b"predicted wait 9"
    assert await on.replicas(N) == 1
    await on.until_replicas(N, 0)


async def a_gateways_requests_find_their_model_and_wait_for_a_slot(on):
    name = f"gate-{on.space}"

    await on.begin(
        isvc(
            on.space,
            name,
            kind="vllm",
            minReplicas=0,
            maxReplicas=1,
            containerConcurrency=2,
            annotations=QUICK,
            model=ENGINE,
        )
    )
    deployment = f"{name}-predictor"
    await on.until_ready(deployment, 1)
    await until_gone(on, deployment)
    doors = []
    for pod in on.installed.pods("activator"):
        its = await on.talk.get(at(HOME, "pods", pod))
        (listed,) = its["spec"]["containers"]
        (port,) = [p for p in listed["ports"] if p["name"] == "http"]
        doors.append(Endpoint(its["status"]["podIP"], port["containerPort"]))

    def clients(make, **more):
        return Clients(lambda _: tuple(doors), lambda request, _: make(request), **more)

    host = f"{name}-{on.space}.example.com"
    one = clients(lambda each: predict(name, each, host=host, latency_s=0.2), count=12)
    most = 0
    async with load(one):
        await on.until_ready(deployment, 1)
        (pod,) = await on.pods(deployment)
        for _ in range(40):
            most = max(most, await running(pod["status"]["podIP"]))
            await asyncio.sleep(0.05)
    served(one.report())
    assert most == 2
    await until_gone(on, deployment)

    for model in (name, f"{on.space}/{name}"):
        other = clients(
            lambda each, model=model: chat(model, each, host="models.example.org"),
            count=1,
        )
        assert await other.one() == Outcome.RIGHT, other.report()
        other.close()
    assert await on.replicas(deployment) == 1


async def running(address):
    def get():
        with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=5) as got:
            return got.read().decode()

    text = await asyncio.to_thread(get)
    lines = [
        each
        for each in text.splitlines()
        if each.startswith("vllm:num_requests_running")
    ]
    return float(lines[0].rpartition(" ")[2])


async def the_config_map_counts_at_once_and_rolls_nothing(on):
    await on.begin(
        isvc(on.space, kind="vllm", minReplicas=0, annotations=QUICK, model=ENGINE)
    )
    await on.until_ready(N, 1)
    await on.until_replicas(N, 0)
    path = at(HOME, "configmaps", "fromzero-revisions")
    entry = f"{on.space}.{N}"
    await on.talk.patch(path, {"data": {entry: "min-replicas: 1"}})
    await on.until_ready(N, 1)
    template = (await on.deployment(N))["spec"]["template"]
    (pod,) = await on.pods(N)
    more = "min-replicas: 2\nmax-replicas: 2"
    await on.talk.patch(path, {"data": {entry: more}})
    await on.until_ready(N, 2)
    assert pod["metadata"]["name"] in {
        each["metadata"]["name"] for each in await on.pods(N)
    }
    await on.talk.patch(path, {"data": {entry: "stable-window: 7s"}})
    await on.until_replicas(N, 0)
    assert (await on.deployment(N))["spec"]["template"] == template
    assert len((await on.talk.get(at(on.space, "replicasets")))["items"]) == 1
    await on.talk.patch(path, {"data": {entry: None}})


async def a_rollout_under_load_loses_nothing(on):
    await roll(on)


async def a_rollout_under_load_scales_nothing(on):
    # A window longer than a rollout, as windows are: in one of 6 s a busy machine's
    # dip, while connections move, is the load.
    assert await roll(on, "30s") == 0


async def roll(on, window="6s"):
    """Roll two replicas under load; return how often they were scaled meanwhile."""
    await on.begin(
        isvc(
            on.space,
            kind="vllm",
            minReplicas=0,
            maxReplicas=4,
            scaleTarget=8,
            scaleMetric="concurrency",
            annotations={**EXACT, "autoscaling.knative.dev/window": window},
            model=ENGINE,
        )
    )
    await on.until_ready(N, 1)
    clients = on.clients(slower, N, lag_s=LAG_S, count=12)
    async with Pods(on).followed() as pods, load(clients):
        await on.until_ready(N, 2)
        await asyncio.sleep(6)
        old, patches = set(pods.there), scaled(on)
        assert len(old) == 2
        note = {"metadata": {"annotations": {"example.com/note": "new"}}}
        await on.talk.patch(at(on.space, "inferenceservices", "clf"), note)

        async def rolled():
            return pods.there and not pods.there & old

        await until("all pods are new", rolled, 60.0)
        await asyncio.sleep(6)
        written = scaled(on) - patches
    served(clients.report())
    return written


@asynccontextmanager
async def namespaces(on, count):
    """Manage more namespaces from the stage *on* as long as the block lasts."""
    admin = on.installed.cluster.admin
    async with AsyncExitStack() as stack:
        stages = []
        for _ in range(count):
            name = await asyncio.to_thread(on.installed.cluster.namespace)
            slices = await stack.enter_async_context(Slices(on.talk, name).followed())
            stage = copy(on)
            stage.slices, stage.space = slices, name
            await stage.manage()
            stages.append(stage)
        try:
            yield stages
        finally:
            for each in stages:
                await asyncio.to_thread(
                    admin.delete, f"/api/v1/namespaces/{each.space}"
                )


SCENES = (
    (
        it_grows_to_what_gpus_there_are_and_goes_back_to_zero,
        a_grpc_call_is_held_and_passed_on,
        a_gateways_requests_find_their_model_and_wait_for_a_slot,
    ),
    (
        an_idle_revision_gives_its_gpus_to_one_that_is_called,
        who_calls_the_predictor_wakes_it_too,
        a_deployment_of_ones_own_sleeps_and_wakes,
        the_config_map_counts_at_once_and_rolls_nothing,
    ),
    (
        activators_step_aside_for_replicas_and_come_back,
        a_canary_stays_awake_while_it_has_traffic_and_scales_on_its_own,
        a_rollout_under_load_loses_nothing,
    ),
)
"""Those in a row play at the same time, each in a namespace of its own."""


def titles(scenes):
    return " + ".join(each.__name__ for each in scenes)


@pytest.mark.parametrize("scenes", SCENES, ids=titles)
def test_all_that_a_cluster_has_sleeps_wakes_and_scales(here, scenes):
    play(here, *scenes)


def test_a_rollout_under_load_scales_nothing(here):
    play(here, a_rollout_under_load_scales_nothing)


def test_headless_services_sleep_and_wake_where_their_targets_differ(here):
    play(
        here, headless_services_sleep_and_wake_where_their_targets_differ, headless=True
    )


def play(here, *scenes, **how):
    async def whole(on):
        async with namespaces(on, len(scenes)) as stages, asyncio.TaskGroup() as group:
            for scene, stage in zip(scenes, stages, strict=True):
                group.create_task(scene(stage), name=scene.__name__)

    here.play("default", whole, 240, **how)
