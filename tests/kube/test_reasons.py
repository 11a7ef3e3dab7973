"""Why starts fail in a real cluster, and who hears it: each reason is provoked here."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from tests.kube.calls import Connection, Reply, predict
from tests.kube.clients import Endpoint
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import at, isvc, until
from tests.kube.fixtures import demand
from tests.kube.images import Image
from tests.kube.installed import (
    FINISHES,
    HOME,
    PACE,
    PRE_STOP,
    QUICK,
    Installed,
    Stage,
    installed,
)
from tests.kube.kserve_objects import RUNTIMES
from tests.kube.kserve_webhook import CONFIGURATIONS, NAME
from tests.kube.kubelet import Kubelet
from tests.kube.registry import IMAGES
from tests.kube.talk import Object

pytestmark = pytest.mark.slow

N = "clf-predictor"
PATIENCE_S = 60.0
HELD = "x-fromzero-cold-start"
DEADLINE = "serving.knative.dev/progress-deadline"
SERVER = IMAGES[RUNTIMES["sklearn"].image]
FOREVER = ("-c", "import signal; signal.pause()")
STARVED = Image(entry=(sys.executable, *FOREVER), oom_s=0.2)


@pytest.fixture(scope="module")
def here():
    demand(unable())
    with Cluster() as cluster, cluster.inside(), installed(cluster) as found:
        assert isinstance(found.node.images, dict)
        found.node.images["kserve/starved:v1"] = STARVED
        found.node.images["kserve/big:v1"] = replace(SERVER, pull_s=9.0)
        yield found
        assert "Traceback" not in found.logs()


@pytest.fixture
def space(here):
    return here.cluster.namespace()


def model(on: Stage, name: str = "clf", deadline: str = "", **its) -> Object:
    """Return an InferenceService that may sleep, with these fields of its model."""
    spec = {key: its.pop(key) for key in ("nodeSelector",) if key in its}
    annotations = QUICK | ({DEADLINE: deadline} if deadline else {})
    return isvc(
        on.space, name, minReplicas=0, annotations=annotations,
        model=PRE_STOP | its, **FINISHES, **spec,
    )  # fmt: skip


async def ask(on: Stage, name: str = "clf", service: str = "", port: str = "") -> Reply:
    """Ask an activator for a prediction as soon as one stands in; return its answer."""
    service = service or f"{name}-predictor"
    view = on.slices.view(service, port or service)

    async def standing_in():
        return [each for each in view(time.monotonic()) if not each.pod]

    found = await until(f"{service} has a stand-in", standing_in, PATIENCE_S)
    return await send(found[0].address, found[0].port, predict(name, "r").data)


async def send(address: str, port: int, data: bytes) -> Reply:
    connection = await Connection.to(address, port)
    try:
        return await connection.ask(data)
    finally:
        connection.close()


async def told(on: Stage, path: str) -> Object:
    """Return what the autoscaler's admin API says."""
    pods = (await on.talk.get(at(HOME, "pods")))["items"]
    (ip,) = [
        p["status"]["podIP"] for p in pods if "autoscaler" in p["metadata"]["name"]
    ]
    reply = await send(ip, 9090, f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    return dict(json.loads(reply.body))


async def status(on: Stage, name: str = N) -> Object | None:
    """Return what /status says of a revision; None: nothing."""
    every = (await told(on, "/status"))["revisions"]
    found = [e for e in every if (e["namespace"], e["name"]) == (on.space, name)]
    return found[0] if found else None


async def until_event(on: Stage, kind: str, name: str, reason: str, *words: str):
    """Wait for an Event about an object that says all these *words*."""

    async def said():
        return [
            each
            for each in await on.events()
            if (each["regarding"]["kind"], each["regarding"]["name"]) == (kind, name)
            and each["reason"] == reason
            and all(word in each["note"] for word in words)
        ]

    await until(f"an Event {reason} on {name} with {words}", said, PATIENCE_S)


async def until_failing(on: Stage, *words: str, name: str = "clf"):
    """Wait until everybody says *words*, and all has been put back to zero."""
    revision = f"{name}-predictor"
    await until_event(on, "InferenceService", name, "StartFailed", *words)
    await on.until_replicas(revision, 0)

    async def failing():
        its = await status(on, revision)
        return (
            its and its["state"] == "failing" and all(w in its["reason"] for w in words)
        )

    await until(f"/status says {words}", failing, PATIENCE_S)
    moments = (await told(on, f"/explain/{on.space}/{revision}"))["moments"]
    failures = [each["reason"] for each in moments if each["what"] == "start failed"]
    assert any(all(w in each for w in words) for each in failures), moments


async def fails(on: Stage, document: Object, *words: str) -> None:
    """Begin a model whose start fails; who is held is told why, and all else too."""
    name = document["metadata"]["name"]
    await on.begin(document)

    async def held():
        reply = await ask(on, name)
        assert reply.status == 503, reply
        assert all(word in json.loads(reply.body)["error"] for word in words), reply
        assert int(reply.headers["retry-after"]) >= 1
        # Who comes when it has failed is told the same, and not held.
        return HELD in reply.headers

    await until(f"somebody is held for {name}", held, PATIENCE_S)
    await until_failing(on, *words, name=name)


LAST_WORDS = "import sys; sys.stderr.write('no CUDA device'); sys.exit(3)"
CRASHES = {
    "command": [sys.executable, "-c", LAST_WORDS],
    "terminationMessagePolicy": "FallbackToLogsOnError",
}


@pytest.mark.parametrize(
    ("its", "words"),
    [
        pytest.param(
            {"image": "kserve/nowhere:v1"},
            ("ErrImagePull", "kserve/nowhere:v1: not found"),
            id="an image that cannot be pulled",
        ),
        pytest.param(CRASHES, ("exit status 3", "no CUDA device"), id="a crash loop"),
        pytest.param(
            {"image": "kserve/starved:v1"}, ("OOMKilled",), id="out of memory"
        ),
        pytest.param(
            {"storageUri": "s3://models/fail"},
            ("storage-initializer", "No model found in s3://models/fail"),
            id="a storage-initializer that fails",
        ),
    ],
)
def test_who_waits_for_a_start_that_fails_is_told_why_at_once(here, space, its, words):
    async def scene(on):
        await on.manage()
        await fails(on, model(on, **its), *words)

    here.play(space, scene)


def test_what_no_node_can_run_and_what_stalls_is_said_when_it_is_known(here, space):
    lacks = "0/1 nodes are available: 1"

    async def scene(on):
        await on.manage()
        gpu = {"limits": {"nvidia.com/gpu": "1"}}
        fpga = {"limits": {"example.com/fpga": "1"}}
        stalled = model(on, "stalled", "25s", storageUri="s3://models/stall")
        async with asyncio.TaskGroup() as all_:
            for document, words in (
                (
                    model(on, "gpu", resources=gpu),
                    f"{lacks} Insufficient nvidia.com/gpu",
                ),
                (
                    model(on, "fpga", "20s", resources=fpga),
                    f"{lacks} Insufficient example.com/fpga",
                ),
                (stalled, "storage-initializer has run for 22.5 s and does not end"),
            ):
                all_.create_task(fails(on, document, words))

    here.play(space, scene)


def test_a_quota_fails_a_start_at_once_and_one_begun_without_it_succeeds(here, space):
    async def scene(on):
        await on.manage()
        quotas = at(on.space, "resourcequotas")
        body = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        await on.talk.create(quotas, body)

        async def counts():
            return "hard" in (await on.talk.get(f"{quotas}/none")).get("status", {})

        await until("the quota counts", counts)
        await fails(on, model(on), "exceeded quota: none")

        await on.talk.delete(f"{quotas}/none")
        await until_right(on)

    here.play(space, scene)


async def until_right(on: Stage, name: str = "clf", **where) -> None:
    """Ask until a start succeeds, and the answer is right."""
    request = predict(name, "r")

    async def right():
        reply = await ask(on, name, **where)
        assert reply.status in (200, 503), reply
        return reply.status == 200 and not request.check(reply)

    await until("a right answer", right, PATIENCE_S)


def test_a_webhook_that_refuses_and_one_that_is_away_fail_a_start(here, space):
    async def scene(on):
        await on.manage()
        on.webhook.refuses = "images must be signed"
        await fails(
            on, model(on, deadline="10s"), "denied the request", "must be signed"
        )

        on.webhook.refuses = ""
        path = f"{CONFIGURATIONS}/{NAME}"
        live = await on.talk.get(path)
        url = live["webhooks"][0]["clientConfig"]["url"]
        live["webhooks"][0]["clientConfig"]["url"] = "https://127.0.0.1:1/mutate-pods"
        live = await on.talk.replace(path, live)
        await fails(on, model(on, "other", "10s"), "failed calling webhook", "refused")

        live["webhooks"][0]["clientConfig"]["url"] = url
        await on.talk.replace(path, live)
        await until_right(on)
        await until_right(on, "other")

    here.play(space, scene)


async def cut_off(on: Stage) -> str:
    """Have the pod that comes next not answer any activator; return its address."""
    node = on.installed.node

    async def began():
        for pod in await on.pods(N):
            if "podIP" in pod["status"]:
                return pod

    pod = await until("a pod with an address", began, PATIENCE_S)
    activators = [
        each["ip"]
        for every in (await on.talk.get(at(HOME, "pods")))["items"]
        if "activator" in every["metadata"]["name"]
        for each in every["status"]["podIPs"]
    ]
    node.host(on.space, pod["metadata"]["name"]).cut(*activators)
    return str(pod["status"]["podIP"])


def test_a_pod_that_only_its_kubelet_reaches_has_not_started(here, space):
    async def scene(on):
        await on.manage()
        await on.begin(model(on, args=["--start_s=3"]))
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(ask(on))
            address = await cut_off(on)
        reply = asked.result()

        words = (
            "ready for the kubelet",
            f"could connect to {address}",
            "NetworkPolicy",
        )
        assert reply.status == 503, reply
        assert all(word in json.loads(reply.body)["error"] for word in words), reply
        await until_failing(on, *words)

        await until_right(on)

    here.play(space, scene)


def test_a_start_that_fails_again_is_left_alone_ever_longer_and_then_succeeds(
    here, space
):
    image = f"kserve/later-{space}:v1"

    async def scene(on):
        await on.manage()
        await on.begin(model(on, image=image))
        rests: list[int] = []
        while len(rests) < 3:
            reply = await ask(on)
            assert reply.status == 503, reply
            rest = int(reply.headers["retry-after"])
            if not rests or rest > max(rests):
                rests.append(rest)
            await on.until_replicas(N, 0)
        pods = {each["metadata"]["uid"] for each in await on.pods()}
        before = await ask(on)
        assert before.status == 503
        assert {each["metadata"]["uid"] for each in await on.pods()} <= pods

        here.node.images[image] = SERVER
        await until_right(on)

    here.play(space, scene)


def test_the_deadline_does_not_run_while_a_node_or_an_image_is_on_its_way(here, space):
    pool = {"pool": space}

    async def scene(on):
        await on.manage()
        await on.begin(model(on, "big", "3s", image="kserve/big:v1"))
        await on.begin(model(on, "far", "3s", nodeSelector=pool))
        await on.begin(model(on, "slow", "3s", args=["--start_s=90"]))
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(ask(on, "slow"))
            big = group.create_task(ask(on, "big"))
            far = group.create_task(ask(on, "far"))
            await promise(on, "far")
            reply = await slow
            assert reply.status == 503, reply
            assert json.loads(reply.body)["error"] == "not ready within 3 s"
            assert not far.done()
            its = await status(on, "far-predictor")
            assert its, "far is not in /status"
            assert its["state"] == "starting", its
            with another_node(here, pool):
                for each, name in ((big, "big"), (far, "far")):
                    reply = await each
                    assert reply.status == 200, reply
                    assert not predict(name, "r").check(reply)
                await on.until_replicas("far-predictor", 0)

    here.play(space, scene)


def another_node(here: Installed, labels: dict[str, str]) -> Kubelet:
    images = here.node.images
    return Kubelet(here.cluster, "node-late", images=images, pace=PACE, labels=labels)


async def promise(on: Stage, name: str) -> None:
    """Say as cluster-autoscaler does that a node comes for the pod of a model."""

    async def unplaced():
        for pod in await on.pods(name):
            if pod["status"].get("conditions"):
                return pod

    pod = await until("a pod without a node", unplaced, PATIENCE_S)
    meta = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    event = {
        "metadata": {"name": f"{meta['name']}.promised", "namespace": on.space},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", **meta},
        "type": "Normal",
        "reason": "TriggeredScaleUp",
        "message": "pod triggered scale-up: [{late 0->1 (max: 1)}]",
        "source": {"component": "cluster-autoscaler"},
    }
    await on.talk.create(at(on.space, "events"), event)


# Bad input.


def test_a_malformed_service_is_skipped_and_said_and_disturbs_no_other(here, space):
    async def scene(on):
        await on.manage()
        bad = {
            "words": {"predictor": {"minReplicas": "several", "model": {}}},
            "minus": {"predictor": {"minReplicas": -1, "model": {}}},
            "list": {"predictor": ["model"]},
            "number": 5,
            "nothing": {},
        }
        for name, spec in bad.items():
            await on.begin(isvc(on.space, name) | {"spec": spec})
        await on.begin(isvc(on.space, "half", minReplicas=0, maxReplicas="9" * 99))
        await on.begin(model(on))

        rule = "must be "
        for name, words in (
            ("words", ("spec.predictor.minReplicas", "several", rule)),
            ("minus", ("spec.predictor.minReplicas", "-1", rule)),
            ("list", ("spec.predictor", rule)),
            ("number", ("spec.predictor", "is missing")),
            ("nothing", ("spec.predictor", "is missing")),
            ("half", ("spec.predictor.maxReplicas", "9999", rule)),
        ):
            await until_event(on, "InferenceService", name, "Malformed", *words)
        await on.until_ready(N, 1)
        await on.until_replicas(N, 0)
        await until_right(on)
        assert await on.replicas("half-predictor") == 1
        assert await status(on, "half-predictor") is None

    here.play(space, scene)


def own(on: Stage, name: str = "own", image: str = "") -> Object:
    """Return a Deployment of one's own that wants to sleep."""
    ours = {"managed": "true", "min-replicas": "0", "timeout": "4"}
    said = QUICK | {f"fromzero.dev/{key}": value for key, value in ours.items()}
    container = {
        "name": "model",
        "image": image or RUNTIMES["sklearn"].image,
        "args": [f"--model_name={name}"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}},
        **PRE_STOP,
    }
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 30},
        },
    }
    meta = {"name": name, "namespace": on.space, "annotations": said}
    return {"metadata": meta, "spec": spec}


def front(name: str = "own", **spec) -> Object:
    port = {"name": "http", "port": 80, "targetPort": 8080}
    whole = {"selector": {"app": name}, "ports": [port], **spec}
    return {"metadata": {"name": name}, "spec": whole}


def test_services_that_nobody_can_stand_in_for_keep_theirs_awake(here, space):
    async def scene(on):
        await on.manage()
        deployments, services = at(on.space, "deployments"), at(on.space, "services")
        for name, spec in (
            ("noselector", {"selector": None}),
            ("noport", {"ports": None, "clusterIP": "None"}),
            ("absent", None),
            ("own", {}),
        ):
            if spec is not None:
                await on.talk.create(services, front(name, **spec))
            await on.talk.create(deployments, own(on, name))

        for name, reason, words in (
            (
                "noselector",
                "ServiceWithoutSelector",
                "has no selector, must select pods",
            ),
            ("noport", "ServiceWithoutPort", "has no port"),
            ("absent", "ServiceMissing", "is not there"),
        ):
            await until_event(on, "Deployment", name, reason, f"Service {name}", words)
        await on.until_replicas("own", 0)
        await until_right(on, "own", service="own", port="http")
        for name in ("noselector", "noport", "absent"):
            assert await on.replicas(name) == 1
            assert not await on.ours(name)

        # What is mended sleeps.
        await on.talk.patch(f"{services}/noselector", front("noselector"))
        await on.until_replicas("noselector", 0)

    here.play(space, scene)


async def asleep_and_asked(on: Stage, name: str, **where: str) -> asyncio.Task[Reply]:
    """Ask for what sleeps, and return once its start has begun.

    Its pods are gone by then: one that was not stopped yet might be kept and answer.
    """
    deployment = where.get("service") or f"{name}-predictor"
    await on.until_replicas(deployment, 0)

    async def stopped() -> bool:
        pods = await on.pods(deployment)
        return not any("deletionTimestamp" not in e["metadata"] for e in pods)

    await until(f"{deployment} has no pod that stays", stopped, PATIENCE_S)
    asked = asyncio.create_task(ask(on, name, **where))
    await on.until_replicas(deployment, 1)
    assert not asked.done()
    return asked


def test_who_waits_for_a_deployment_that_vanishes_is_answered(here, space):
    async def scene(on):
        await on.manage()
        image = f"kserve/slower-{space}:v1"
        here.node.images[image] = SERVER
        await on.talk.create(at(on.space, "services"), front())
        await on.talk.create(at(on.space, "deployments"), own(on, image=image))
        await on.begin(model(on, image=image))
        for deployment in ("own", N):
            await on.until_ready(deployment, 1)
        slower = replace(SERVER, entry=(*SERVER.entry, "--start_s=90"))
        here.node.images[image] = slower
        mine = await asleep_and_asked(on, "own", service="own", port="http")
        kserves = await asleep_and_asked(on, "clf")
        now = time.monotonic()
        seen = (*on.slices.view("own", "http")(now), *on.slices.view(N, N)(now))
        doors = [each for each in seen if not each.pod]
        assert doors

        await on.talk.delete(at(on.space, "deployments", "own"))
        await on.talk.delete(at(on.space, "inferenceservices", "clf"))

        for asked in (mine, kserves):
            reply = await asked
            assert reply.status == 503, reply
            assert json.loads(reply.body)["error"].endswith(" was removed")
        for deployment in ("own", N):
            await until_nothing(on, deployment)
        for door in doors:
            what = f"nobody listens at {door}"
            await until(what, partial(closed, door), PATIENCE_S)

    here.play(space, scene)


async def closed(door: Endpoint) -> bool:
    try:
        connection = await Connection.to(door.address, door.port)
    except ConnectionRefusedError:
        return True
    connection.close()
    return False


async def until_nothing(on: Stage, name: str) -> None:
    """Wait until nothing of ours is left of a revision."""

    async def gone():
        return not await on.ours(name) and await status(on, name) is None

    await until(f"nothing is left of {name}", gone, PATIENCE_S)


def test_a_namespace_is_unlabelled_while_requests_are_held(here, space):
    async def scene(on):
        await on.manage()
        await on.begin(model(on, args=["--start_s=3"]))
        await on.begin(model(on, "asleep"))
        await on.begin(model(on, "broken", storageUri="s3://models/wait-2/fail"))
        await on.until_replicas("asleep-predictor", 0)
        asked = await asleep_and_asked(on, "clf")
        in_vain = await asleep_and_asked(on, "broken")

        await on.manage(managed=False)

        reply = await asked
        assert reply.status == 200, reply
        assert not predict("clf", "r").check(reply)
        reply = await in_vain
        assert reply.status == 503, reply
        assert "No model found" in json.loads(reply.body)["error"]
        await until_nothing(on, "broken-predictor")
        await on.until_replicas("broken-predictor", 1)
        for name in (N, "asleep-predictor"):
            await until_nothing(on, name)
            await on.until_ready(name, 1)

    here.play(space, scene)
