"""KServe's webhook for pods, as the API server asks it."""

from __future__ import annotations

import asyncio

import pytest

from tests.kube.documents import at, isvc, until
from tests.kube.kserve import KServe
from tests.kube.kserve_objects import AGENT, SOURCE
from tests.kube.kserve_status import conditions
from tests.kube.kserve_webhook import (
    AGENT_IMAGE,
    CONFIGURATIONS,
    NAME,
    PodWebhook,
    added,
)
from tests.kube.talk import Talk


def template() -> dict:
    meta = {"annotations": {}}
    return {"metadata": meta, "spec": {"containers": [{"name": "kserve-container"}]}}


def test_a_pod_of_no_model_stays_as_it_is():
    assert added({"metadata": {}, "spec": {"containers": [{}]}}) == []


def test_the_agent_stands_before_the_containers_own_port():
    pod = template()
    pod["metadata"]["annotations"][AGENT] = "true"
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 5000}]

    (change,) = added(pod)

    assert change["path"] == "/spec/containers/-"
    assert change["value"]["args"] == ["9081", "5000"]
    assert change["value"]["image"] == AGENT_IMAGE


def test_what_the_pod_mounts_already_stays_mounted():
    pod = template()
    pod["metadata"]["annotations"][SOURCE] = "s3://a/b"
    pod["spec"]["initContainers"] = [{"name": "first"}]
    pod["spec"]["volumes"] = [{"name": "mine"}]
    mine = {"name": "mine", "mountPath": "/mine"}
    pod["spec"]["containers"][0]["volumeMounts"] = [mine]

    volume, mounts, container = added(pod)

    assert volume["path"] == "/spec/volumes/-"
    assert mounts["value"][0] == mine
    assert container["path"] == "/spec/initContainers/0"


@pytest.mark.slow
def test_pods_fetch_their_model_first_and_none_is_made_while_the_webhook_is_down(
    cluster, space
):
    async def scene():
        user = cluster.user("kserve")
        async with (
            asyncio.timeout(60),
            Talk(cluster.admin) as talk,
            KServe(user).running(),
        ):
            webhook = PodWebhook()

            async def pods():
                return (await talk.get(at(space, "pods")))["items"]

            try:
                async with webhook.served(talk):
                    document = isvc(space, model={"storageUri": "s3://models/clf"})
                    await talk.create(at(space, "inferenceservices"), document)
                    (pod,) = await until("a pod", pods)

                    (first,) = pod["spec"]["initContainers"]
                    assert first["args"] == ["s3://models/clf", "/mnt/models"]
                    mounts = pod["spec"]["containers"][0]["volumeMounts"]
                    read_only = {m["mountPath"]: m.get("readOnly") for m in mounts}
                    assert read_only["/mnt/models"]
                    assert webhook.seen == 1

                path = at(space, "deployments", "clf-predictor")
                await talk.patch(f"{path}/scale", {"spec": {"replicas": 2}})

                async def failing():
                    live = await talk.get(path)
                    return conditions(live).get("ReplicaFailure")

                said = await until("ReplicaFailure", failing)
                assert said["reason"] == "FailedCreate"
                assert "failed calling webhook" in said["message"]
            finally:
                await talk.delete(f"{CONFIGURATIONS}/{NAME}")

    asyncio.run(scene())
