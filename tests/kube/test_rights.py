"""What may be in the way is said; and fromzero has the rights that it uses, no others."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

import pytest

from tests.kube import audit
from tests.kube.audit import compare, ungranted
from tests.kube.calls import Outcome, predict
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import at, isvc, scale, until
from tests.kube.fixtures import demand
from tests.kube.installed import FINISHES, PRE_STOP, QUICK, installed
from tests.kube.kserve_objects import CLASS, MODE, STOP
from tests.kube.leavings import COST, fromzero, remarks, status
from tests.kube.observed import observed
from tests.kube.policies import Pod

pytestmark = pytest.mark.slow

N = "clf-predictor"
PATIENCE_S = 60.0
SCENE_S = 300.0
ACCOUNT = "fromzero-autoscaler"
DEFAULT = pytest.mark.parametrize("played", ["default"], indirect=True)
BOTH = pytest.mark.parametrize("played", ["default", "one-namespace"], indirect=True)
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
AS_NOBODY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
UNSEEN_RIGHTS = {
    "patch events.events.k8s.io": "what is said again within a minute is counted later",
}
"""Rights that scenes of a minute need not use, and why."""
UNSEEN_RULES = {
    "TCP 53": "an answer that is too long for UDP is asked for again by TCP",
    "fromzero-autoscaler, UDP 53": "some providers name the API server, by a host",
    "TCP 1-9089": "target ports of headless Services, where an activator stands in",
    "TCP 6443": "where the API server's Service is translated before policies count",
}
"""Ports that nobody connects to here, and why they are open."""


@pytest.fixture(scope="module")
def played(request):
    demand(unable())
    with (
        Cluster() as cluster,
        cluster.inside(),
        observed(cluster, request.param) as found,
        installed(cluster, request.param) as here,
    ):
        yield here, found


@pytest.fixture
def here(played):
    return played[0]


@pytest.fixture
def seen(played):
    return played[1]


@pytest.fixture
def space(here):
    """Give a namespace of its own, or the one that there is."""
    if here.home == "models":
        yield here.home
        return
    name = here.cluster.namespace()
    yield name
    here.cluster.admin.delete(f"/api/v1/namespaces/{name}")


def model(space, name="clf", *, start_s=0.5, pre_stop=PRE_STOP, **more):
    return isvc(
        space,
        name,
        **{
            "minReplicas": 0,
            "annotations": QUICK,
            "model": {
                "args": [f"--start_s={start_s}"],
                "securityContext": RESTRICTED,
                **pre_stop,
            },
            "securityContext": AS_NOBODY,
            **FINISHES,
            **more,
        },
    )


async def until_said(on, reason, about=""):
    """Wait for an Event with *reason* and a line of the status."""

    async def said():
        events = await on.events()
        told = any(
            each["reason"] == reason and about in each["regarding"]["name"]
            for each in events
        )
        return told and reason in await remarks(on.installed, on.space)

    await until(f"{reason} is said", said, PATIENCE_S)


async def until_managed(on, name, *, managed):
    async def so():
        found = (await status(on.installed))["revisions"]
        there = {(each["namespace"], each["name"]) for each in found}
        return ((on.space, name) in there) == managed

    await until(f"{name} managed is {managed}", so, PATIENCE_S)


def scaled(here, space, name):
    """Return how often fromzero has written a Deployment's count."""
    return sum(
        1
        for each in audit.lines(here.cluster.audit_log)
        if each["user"]["username"].endswith(ACCOUNT)
        and (about := each.get("objectRef") or {}).get("subresource") == "scale"
        and (about["namespace"], about["name"]) == (space, name)
    )


@BOTH
def test_it_sleeps_wakes_grows_shrinks_and_is_let_go(here, space):
    async def override(on, text):
        path = at(here.home, "configmaps", "fromzero-revisions")
        body = {"data": {f"{space}.{N}": text}}
        await on.talk.patch(path, body)

    async def scene(on):
        await on.manage()
        await on.begin(model(space))
        await on.begin(model(space, "busy", minReplicas=1, scaleMetric="cpu"))
        await on.until_ready(N, 1)
        await on.until_asleep(N)
        clients = on.clients(predict, N, lag_s=0.0, count=1)
        assert await clients.one() == Outcome.RIGHT, clients.report()
        clients.close()

        await override(on, "min-replicas: 3\nmax-replicas: 3\n")
        await on.until_ready(N, 3)
        await override(on, "min-replicas: 1\nmax-replicas: 3\n")
        await on.until_replicas(N, 1)
        await override(on, None)
        await on.until_ready("busy-predictor", 1)

        await fromzero(here, "release", "--all")
        await on.until_ready(N, 1)
        assert await on.ours(N) == []
        assert not any(COST in str(each["metadata"]) for each in await on.pods(N))
        await on.talk.delete(at(space, "inferenceservices", "clf"))
        await on.talk.delete(at(space, "inferenceservices", "busy"))

    here.play(space, scene, SCENE_S)


@BOTH
def test_one_that_is_stopped_while_requests_are_held_is_left_and_taken_again(
    here, space
):
    async def stopped(on, value):
        body = {"metadata": {"annotations": {STOP: value}}}
        await on.talk.patch(at(space, "inferenceservices", "halt"), body)

    name = "halt-predictor"

    async def scene(on):
        await on.manage()
        await on.begin(model(space, "halt", start_s=5.0))
        await on.until_ready(name, 1)
        await on.until_asleep(name)
        clients = on.clients(predict, name, "halt", lag_s=0.0, count=3)

        async with asyncio.TaskGroup() as group:
            held = [group.create_task(clients.one()) for _ in range(3)]
            await on.until_replicas(name, 1)
            await stopped(on, "true")
        assert [each.result() for each in held] == 3 * [Outcome.UNAVAILABLE], (
            clients.report()
        )
        clients.close()

        async def nothing():
            return not await on.ours(name)

        await until("our slices are gone", nothing, PATIENCE_S)
        await until_said(on, "Stopped", "halt")

        await stopped(on, None)
        await on.until_ready(name, 1)
        await on.until_asleep(name)
        again = on.clients(predict, name, "halt", lag_s=0.0, count=1)
        assert await again.one() == Outcome.RIGHT, again.report()
        again.close()
        await on.talk.delete(at(space, "inferenceservices", "halt"))

    here.play(space, scene, SCENE_S)


def hpa(space):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": N}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "rival", "namespace": space},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3},
    }


@DEFAULT
def test_to_an_hpa_it_is_left_without_a_fight(here, space):
    async def scene(on):
        await on.manage()
        await on.begin(model(space))
        await on.until_ready(N, 1)
        await on.until_asleep(N)

        await on.talk.create(at(space, "horizontalpodautoscalers"), hpa(space))
        await on.until_replicas(N, 1)
        before = scaled(here, space, N)
        path = f"{at(space, 'deployments', N)}/scale"
        for count in (2, 3, 2):
            await on.talk.patch(path, scale(count))
            await on.until_ready(N, count)
        await until_said(on, "OtherScaler")
        await until_managed(on, N, managed=False)

        assert await on.replicas(N) == 2
        assert scaled(here, space, N) == before
        assert await on.ours(N) == []
        await on.talk.delete(at(space, "horizontalpodautoscalers", "rival"))
        await until_managed(on, N, managed=True)

    here.play(space, scene, SCENE_S)


@DEFAULT
def test_what_keda_left_behind_is_waited_for(here, space):
    async def scene(on):
        await on.manage()
        await on.begin(model(space, scaler="keda"))
        await on.until_ready(N, 1)

        async def there():
            return (await on.talk.get(at(space, "scaledobjects")))["items"]

        (left,) = await until("KServe's ScaledObject", there)
        body = {"metadata": {"annotations": {CLASS: "external"}}}
        await on.talk.patch(at(space, "inferenceservices", "clf"), body)
        await until_said(on, "OtherScaler")
        assert scaled(here, space, N) == 0
        assert await on.ours(N) == []

        await on.talk.delete(at(space, "scaledobjects", left["metadata"]["name"]))
        await on.until_asleep(N)

    here.play(space, scene, SCENE_S)


@DEFAULT
def test_what_is_odd_about_a_service_is_an_event_and_a_line_of_the_status(here, space):
    knative = QUICK | {MODE: "Knative"}

    async def scene(on):
        await on.manage()
        await on.begin(model(space, "absent", scaler=""))
        await on.begin(model(space, "none", scaler="none"))
        await on.begin(model(space, "knative", annotations=knative))
        await on.begin(model(space, "abrupt", pre_stop={}))
        await on.begin(model(space, "percent", canaryTrafficPercent=10))

        for reason, about in (
            ("AutoscalerClass", "absent"),
            ("AutoscalerClass", "none"),
            ("KnativeMode", "knative"),
            ("NoPreStop", "abrupt"),
            ("CanaryTrafficPercent", "percent"),
        ):
            await until_said(on, reason, about)
        for each in ("absent", "none"):
            await until_managed(on, f"{each}-predictor", managed=False)
            assert scaled(here, space, f"{each}-predictor") == 0

    here.play(space, scene, SCENE_S)


@BOTH
def test_the_rights_that_were_used_are_the_rights_that_were_given(seen):
    used, given = seen.rights(ACCOUNT)

    found = compare(used, given)

    unused = [
        each for each in found.unused if not each.startswith(tuple(UNSEEN_RIGHTS))
    ]
    assert unused == []
    assert found.refused == ()
    assert ungranted(used, given) == []


@BOTH
def test_an_activator_asks_the_api_server_nothing(seen):
    used, given = seen.rights("fromzero-activator")

    assert not used.allowed | used.refused
    assert given == []


@BOTH
def test_the_policies_let_through_what_was_seen_and_each_rule_was_needed(here, seen):
    monitoring = here.cluster.network.host()
    labels = {"kubernetes.io/metadata.name": "monitoring"}
    seen.world.namespaces["monitoring"] = labels
    seen.world.pods[monitoring.ipv4] = Pod("monitoring", {})
    (autoscaler,) = here.pods("autoscaler")
    activator, *_ = here.pods("activator")
    with monitoring.inside():
        for pod in (autoscaler, activator):
            address = here.node.host(here.home, pod).ipv4
            with urlopen(f"http://{address}:9090/metrics", timeout=10) as answer:
                assert answer.status == 200
    seen.look()

    used, refused = seen.judged()

    assert refused == {}
    needless = {str(each) for each in seen.every() - used}
    assert {
        each for each in needless if not each.endswith(tuple(UNSEEN_RULES))
    } == set()
    monitoring.close()
