"""The real control plane that tests share: what it does, and that it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.kube.admin import Refused
from tests.kube.cluster import Cluster, eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


def deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "none"}]},
            },
        },
    }


def test_controllers_make_a_deployments_pods_and_the_scheduler_says_why_not(
    cluster, space
):
    cluster.admin.create(DEPLOYMENTS.format(space), deployment("two", 2))

    def unschedulable():
        pods = cluster.admin.get(f"/api/v1/namespaces/{space}/pods")["items"]
        words = [
            condition["message"]
            for pod in pods
            for condition in pod.get("status", {}).get("conditions", ())
            if condition.get("reason") == "Unschedulable"
        ]
        return words if len(words) == 2 else None

    words = eventually("two pods that fit nowhere", unschedulable)

    assert all("no nodes available" in word for word in words)


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(cluster, space):
    role = textwrap.dedent(
        f"""\
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {{name: reader}}
        rules: [{{apiGroups: [""], resources: [pods], verbs: [list]}}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {{name: reader}}
        roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
        subjects: [{{kind: ServiceAccount, name: default, namespace: {space}}}]
        """
    )
    cluster.apply(role, space)
    account = cluster.as_account("default", space)

    pods = account.get(f"/api/v1/namespaces/{space}/pods")
    with pytest.raises(Refused) as refused:
        account.get(f"/api/v1/namespaces/{space}/secrets")

    assert pods["items"] == []
    assert refused.value.status == 403


def test_the_audit_log_tells_who_did_what(cluster, space):
    cluster.user("kserve").create(DEPLOYMENTS.format(space), deployment("audited", 0))
    cluster.user("client").patch(
        DEPLOYMENTS.format(space) + "/audited/scale", {"spec": {"replicas": 0}}
    )

    seen = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    mine = {
        (
            event["user"]["username"],
            event["verb"],
            event["objectRef"]["resource"],
            event["objectRef"].get("subresource", ""),
        )
        for event in seen
        if event.get("objectRef", {}).get("name") == "audited"
        and event["user"]["username"] in ("kserve", "client")
    }

    assert mine == {
        ("kserve", "create", "deployments", ""),
        ("client", "patch", "deployments", "scale"),
    }


def test_a_restricted_namespace_refuses_a_pod_that_is_not(cluster):
    name = cluster.namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})

    with pytest.raises(Refused, match="violates PodSecurity") as refused:
        cluster.admin.create(
            f"/api/v1/namespaces/{name}/pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "careless"},
                "spec": {"containers": [{"name": "c", "image": "none"}]},
            },
        )

    assert refused.value.status == 403


def test_the_small_kinds_take_any_field_and_have_a_status(cluster, space):
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{space}/inferenceservices"
    body = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "odd"},
        "spec": {"predictor": {"minReplicas": "three", "nobodys": [1]}},
    }

    made = cluster.admin.create(path, body)
    told = cluster.admin.patch(f"{path}/odd/status", {"status": {"url": "http://x"}})

    assert made["spec"] == body["spec"]
    assert told["status"] == {"url": "http://x"}


def test_the_full_kinds_refuse_what_kserve_does(cluster, space, full_crds):
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{space}/inferenceservices"

    with pytest.raises(Refused, match="minReplicas"):
        cluster.admin.create(
            path,
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": {"name": "odd"},
                "spec": {"predictor": {"minReplicas": "three"}},
            },
        )


def test_what_was_there_is_there_after_an_outage():
    with Cluster() as cluster:
        name = cluster.namespace()

        cluster.stop_api()
        with pytest.raises(OSError, match="refused"):
            cluster.admin.get("/readyz")
        cluster.start_api()

        assert cluster.admin.get(f"/api/v1/namespaces/{name}")["kind"] == "Namespace"


def test_nothing_outlives_a_run_that_is_killed():
    program = """
        import sys, time
        from tests.kube.cluster import Cluster, eventually
        from tests.kube.images import Image
        from tests.kube.kubelet import Kubelet
        images = {"sleeper": Image(entry=("sleep", "1000"))}
        with Cluster() as cluster, Kubelet(cluster, "node", images=images):
            pods = f"/api/v1/namespaces/{cluster.namespace()}/pods"
            spec = {"containers": [{"name": "c", "image": "sleeper"}]}
            meta = {"name": "pod"}
            cluster.admin.create(
                pods, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
            )
            files = cluster.folder / "nodes"
            (told,) = eventually("a pod", lambda: list(files.rglob("c.json.pid")))
            parts = (part._child.pid for part in cluster._parts.values())
            print(eventually("its id", told.read_text), *parts, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout
        ids = [int(word) for word in run.stdout.readline().split()]
        before = [each for each in ids if ended(each)]
        run.send_signal(signal.SIGKILL)

    assert len(ids) == 5
    assert before == []
    for each in ids:
        eventually("its end", partial(ended, each))


def ended(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"
