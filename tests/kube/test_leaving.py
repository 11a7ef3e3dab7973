"""fromzero lets go: what was there before it is there again, and nobody is refused."""

from __future__ import annotations

import asyncio
import shlex

import pytest

from tests.kube.calls import Outcome, predict
from tests.kube.cluster import Cluster, unable
from tests.kube.documents import at, isvc, until
from tests.kube.fixtures import demand
from tests.kube.installed import FINISHES, PRE_STOP, QUICK, installed, rendered
from tests.kube.kserve_objects import CLASS, RUNTIMES
from tests.kube.leavings import ROOT, fromzero, snapshot, status, traces

pytestmark = pytest.mark.slow

N = "clf-predictor"
PATIENCE_S = 60.0
SCENE_S = 300.0
MORE = 30
"""Right answers that must come after it has gone."""
OWN = "plain"
LEASE = "fromzero-autoscaler"
RELEASED = "fromzero.dev/released"


@pytest.fixture(scope="module")
def here():
    demand(unable())
    with Cluster() as cluster, cluster.inside(), installed(cluster) as found:
        yield found


@pytest.fixture
def space(here):
    name = here.cluster.namespace()
    yield name
    here.cluster.admin.delete(f"/api/v1/namespaces/{name}")


def model(space, **more):
    return isvc(
        space,
        minReplicas=0,
        annotations=QUICK,
        model={"args": ["--start_s=0.5"], **PRE_STOP},
        **FINISHES,
        **more,
    )


async def until_let_go(on, name=N):
    async def so():
        live = await on.deployment(name)
        ready = int(live.get("status", {}).get("readyReplicas", 0))
        return ready == live["spec"]["replicas"] >= 1 and not await on.ours(name)

    await until(f"{name} is let go", so, PATIENCE_S)


async def served_while(on, work, name=N):
    """Do *work* under requests, of which some find it asleep; each is answered right."""
    clients = on.clients(predict, name, lag_s=1.0, count=5)

    async def answered(count):
        return clients.report().right >= count

    async with asyncio.TaskGroup() as group:
        load = group.create_task(clients.rate(15.0, 90.0))
        try:
            await work()
            done = clients.report().right
            await until("more answers", lambda: answered(done + MORE), PATIENCE_S)
            clients.stop()
        except BaseException:
            load.cancel()
            raise
    report = clients.report()
    clients.close()
    assert set(report.ends) == {Outcome.RIGHT}, report
    assert report.whole


async def until_managed(here, space, *, managed):
    async def so():
        found = (await status(here))["revisions"]
        return any(each["namespace"] == space for each in found) == managed

    await until(f"managed is {managed}", so, PATIENCE_S)


def test_a_release_outlives_a_restart_and_ends_with_opting_out_and_in(here, space):
    async def noted():
        path = at(here.home, "leases", LEASE)
        meta = here.cluster.admin.get(path)["metadata"]
        return (meta.get("annotations") or {}).get(RELEASED, "")

    async def scene(on):
        await on.begin(model(space))
        await on.until_ready(N, 1)
        before = await snapshot(on.talk, space)
        await on.manage()
        await on.until_asleep(N)

        async def release():
            said = await fromzero(here, "release", "clf")
            assert f"{space}/{N} is let go of" in said

        await served_while(on, release)

        await until_let_go(on)
        assert await snapshot(on.talk, space) == before
        assert await traces(on.talk, space) == []
        assert await noted() == f"{space}/{N}"

        (old,) = here.pods("autoscaler")
        await on.talk.delete(at(here.home, "pods", old))

        async def led_by_another():
            lease = await on.talk.get(at(here.home, "leases", LEASE))
            return lease["spec"]["holderIdentity"] not in ("", old)

        await until("another leads", led_by_another, PATIENCE_S)
        await until_managed(here, space, managed=False)
        assert await noted() == f"{space}/{N}"
        assert await on.ours(N) == []

        await on.manage(managed=False)

        async def forgotten():
            return not await noted()

        await until("the release is forgotten", forgotten, PATIENCE_S)
        await on.manage()
        await on.until_asleep(N)

    here.play(space, scene, SCENE_S)


def test_taking_the_label_away_leaves_all_as_it_was(here, space):
    async def scene(on):
        await on.begin(model(space))
        await on.until_ready(N, 1)
        before = await snapshot(on.talk, space)
        await on.manage()
        await on.until_asleep(N)

        async def leave():
            await on.manage(managed=False)
            await until_let_go(on)

        await served_while(on, leave)

        await until_managed(here, space, managed=False)
        assert await snapshot(on.talk, space) == before
        assert await traces(on.talk, space) == []

    here.play(space, scene, SCENE_S)


def test_another_class_is_let_go_to(here, space):
    async def classed(on, name):
        body = {"metadata": {"annotations": {CLASS: name}}}
        await on.talk.patch(at(space, "inferenceservices", "clf"), body)

    def without_history(found):
        return {kind: its for kind, its in found.items() if kind != "replicasets"}

    async def scene(on):
        await on.manage()
        await on.begin(model(space, scaler="hpa"))
        await on.until_ready(N, 1)

        async def scaled_by_kserve():
            path = at(space, "horizontalpodautoscalers")
            return len((await on.talk.get(path))["items"]) == 1

        await until("KServe's HPA is there", scaled_by_kserve)
        before = without_history(await snapshot(on.talk, space))
        await classed(on, "external")
        await on.until_asleep(N)

        async def leave():
            await classed(on, "hpa")
            await until_let_go(on)

        await served_while(on, leave)

        await until("KServe's HPA is there", scaled_by_kserve)
        await until_managed(here, space, managed=False)
        assert without_history(await snapshot(on.talk, space)) == before
        assert await traces(on.talk, space) == []

    here.play(space, scene, SCENE_S)


def plain(space):
    """Return a Deployment and its Service that are nobody's but a person's."""
    labels = {"app": OWN}
    container = {
        "name": "server",
        "image": RUNTIMES["vllm"].image,
        "args": ["--model_name=clf", "--http_port=8080", "--start_s=0.5"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": 8080}},
        **PRE_STOP,
    }
    meta = {"name": OWN, "namespace": space}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    }
    port = {"name": OWN, "port": 80, "targetPort": 8080}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"selector": labels, "ports": [port]},
    }
    return deployment, service


def test_a_deployment_of_ones_own_is_let_go_with_its_annotation(here, space):
    async def annotated(on, **said):
        given = {f"fromzero.dev/{key.replace('_', '-')}": v for key, v in said.items()}
        body = {"metadata": {"annotations": given}}
        await on.talk.patch(at(space, "deployments", OWN), body)

    async def scene(on):
        await on.manage()
        deployment, service = plain(space)
        await on.talk.create(at(space, "deployments"), deployment)
        await on.talk.create(at(space, "services"), service)
        await on.until_ready(OWN, 1)
        before = await snapshot(on.talk, space)
        await annotated(on, managed="true", min_replicas="0", stable_window="6s")
        await on.until_asleep(OWN)

        async def leave():
            await annotated(on, managed=None, min_replicas=None, stable_window=None)
            await until_let_go(on, OWN)

        await served_while(on, leave, OWN)

        await until_managed(here, space, managed=False)
        assert await snapshot(on.talk, space) == before
        assert await traces(on.talk, space) == []

    here.play(space, scene, SCENE_S)


def taking_out():
    """Return the commands that the docs give to whoever takes it out."""
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    section = text.partition("## Take out")[2]
    return section.split("```")[1].strip().splitlines()


def test_taken_out_as_the_docs_say_it_leaves_nothing_behind(here, space):
    def whole():
        kinds = (
            "clusterroles,clusterrolebindings,validatingadmissionpolicies,"
            "validatingadmissionpolicybindings"
        )
        found = here.cluster.kubectl("get", kinds, "-o", "name")
        return [each for each in found.split() if "fromzero" in each]

    async def scene(on):
        await on.begin(model(space))
        await on.begin(model(space, name="other"))
        await on.until_ready(N, 1)
        await on.until_ready("other-predictor", 1)
        before = await snapshot(on.talk, space)
        await on.manage()
        await on.until_asleep(N)
        await on.until_asleep("other-predictor")
        assert len(whole()) == 8

        async def uninstall():
            kubectl = here.cluster.kubectl
            for command in taking_out():
                words = shlex.split(command)[1:]
                if words == ["delete", "-k", "manifests/default"]:
                    # Its namespace goes when its activators have seen their clients off.
                    words = ["delete", "--wait=false", "-f", "-"]
                    await asyncio.to_thread(kubectl, *words, given=rendered("default"))
                    return
                await asyncio.to_thread(kubectl, *words)
            raise AssertionError("the last command deletes")

        await served_while(on, uninstall)

        await until_let_go(on)
        await until_let_go(on, "other-predictor")
        assert whole() == []
        home = await on.talk.get(f"/api/v1/namespaces/{here.home}")
        assert home["status"]["phase"] == "Terminating"
        assert await snapshot(on.talk, space) == before
        assert await traces(on.talk, space) == []

    here.play(space, scene, SCENE_S)
