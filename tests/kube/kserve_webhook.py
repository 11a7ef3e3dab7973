"""KServe's webhook for pods: the init container that fetches a model, and the agent.

Without it no pod of an InferenceService is made (failurePolicy Fail), so that every wake
depends on it; leave :meth:`PodWebhook.running` to see a cluster whose KServe is down.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.kube.configs import certificate
from tests.kube.kserve_objects import AGENT, ISVC, SOURCE
from tests.kube.network import GATEWAY
from tests.kube.talk import Object, Talk

NAME = "inferenceservice.serving.kserve.io"
PATH = "/mutate-pods"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
INITIALIZER = "kserve/storage-initializer:v0.21.0"
AGENT_IMAGE = "kserve/agent:v0.21.0"
AGENT_PORT = 9081
MODELS = "/mnt/models"


def added(pod: Object) -> list[Object]:
    """Return the changes to a pod as it is created, in the words of a JSON patch."""
    meta, spec = pod["metadata"], pod["spec"]
    changes: list[Object] = []
    annotations = meta.get("annotations") or {}
    if uri := annotations.get(SOURCE):
        changes += fetched(spec, uri)
    if annotations.get(AGENT):
        changes.append(put(spec, "containers", agent(spec["containers"][0])))
    return changes


def put(spec: Object, field: str, value: Object, first: bool = False) -> Object:
    """Return the change that adds an entry to a list of the pod's."""
    if spec.get(field):
        where = f"/spec/{field}/{0 if first else '-'}"
        return {"op": "add", "path": where, "value": value}
    return {"op": "add", "path": f"/spec/{field}", "value": [value]}


def fetched(spec: Object, uri: str) -> list[Object]:
    """Mount a volume in the serving container, and fill it before that starts."""
    name = "kserve-provision-location"
    mount = {"name": name, "mountPath": MODELS}
    container = {
        "name": "storage-initializer",
        "image": INITIALIZER,
        "args": [uri, MODELS],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [mount],
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
    }
    mounts = spec["containers"][0].get("volumeMounts") or []
    return [
        put(spec, "volumes", {"name": name, "emptyDir": {}}),
        {
            "op": "add",
            "path": "/spec/containers/0/volumeMounts",
            "value": [*mounts, mount | {"readOnly": True}],
        },
        put(spec, "initContainers", container, first=True),
    ]


def agent(serving: Object) -> Object:
    """Return the container that batches and logs in front of the serving one."""
    ports = serving.get("ports") or [{"containerPort": 8080}]
    return {
        "name": "agent",
        "image": AGENT_IMAGE,
        "args": [str(AGENT_PORT), str(ports[0]["containerPort"])],
        "ports": [{"name": "agent-port", "containerPort": AGENT_PORT}],
        "readinessProbe": {"tcpSocket": {"port": AGENT_PORT}},
    }


class PodWebhook:
    """The webhook's server, and its registration; enter it inside the network."""

    def __init__(self) -> None:
        self.seen = 0
        """How many pods it was asked about."""
        self.refuses = ""
        """Why it lets no pod be made; empty: it does."""

    @asynccontextmanager
    async def running(self, talk: Talk) -> AsyncIterator[PodWebhook]:
        """Register and serve; at the end it is registered no more."""
        async with self.served(talk):
            try:
                yield self
            finally:
                await talk.delete(f"{CONFIGURATIONS}/{NAME}")

    @asynccontextmanager
    async def served(self, talk: Talk) -> AsyncIterator[PodWebhook]:
        """Register and serve; at the end it is registered, and nobody answers."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.TemporaryDirectory() as folder:
            chain, key = certificate(Path(folder))
            context.load_cert_chain(chain, key)
            authority = base64.b64encode(chain.read_bytes()).decode()
        app = web.Application()
        app.router.add_post(PATH, self._review)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, str(GATEWAY), 0, ssl_context=context)
            await site.start()
            port = runner.addresses[0][1]
            await talk.delete(f"{CONFIGURATIONS}/{NAME}")
            await talk.create(CONFIGURATIONS, registration(port, authority))
            yield self
        finally:
            await runner.cleanup()

    async def _review(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = (await request.json())["request"]
        self.seen += 1
        changes = json.dumps(added(asked["object"])).encode()
        response: Object = {
            "uid": asked["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(changes).decode(),
        }
        if self.refuses:
            status = {"message": self.refuses}
            response = {"uid": asked["uid"], "allowed": False, "status": status}
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": response,
        }
        return web.json_response(review)


def registration(port: int, authority: str) -> Object:
    """Return what tells the API server to ask at *port*, trusting *authority*."""
    url = f"https://{GATEWAY}:{port}{PATH}"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    hook = {
        "name": "inferenceservice.kserve-webhook-server.pod-mutator",
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
        "objectSelector": {"matchExpressions": [{"key": ISVC, "operator": "Exists"}]},
        "namespaceSelector": {
            "matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]
        },
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [hook],
    }
