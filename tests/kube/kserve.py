"""A stand-in for KServe's controller in Standard mode: what it makes, reverts and says.

It does what the real one was seen to do beside a real API server, and no more: it writes
EndpointSlices never, replicas only for the class none, and a Deployment's metadata only
together with its spec.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.kube import kserve_objects as objects
from tests.kube import kserve_status as statuses
from tests.kube.admin import Admin, Refused
from tests.kube.kserve_objects import GROUP, ISVC, Child
from tests.kube.talk import Mirror, Object, Talk

Key = tuple[str, str]

ISVCS = f"/apis/{GROUP}/v1beta1/inferenceservices"
PATHS = {
    "Deployment": "/apis/apps/v1",
    "Service": "/api/v1",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2",
    "ScaledObject": "/apis/keda.sh/v1alpha1",
    "Ingress": "/apis/networking.k8s.io/v1",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1",
}
PLURALS = {"Ingress": "ingresses"}
FIRST_S, LAST_S = 0.1, 5.0
"""How long an InferenceService that could not be reconciled rests, twice as long each time."""
WORKERS = 4
"""More than the real one's: an InferenceService is still with one of them at a time."""


def place(kind: str, namespace: str, name: str = "") -> str:
    """Return the path of objects of *kind*, or of one of them."""
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    return f"{PATHS[kind]}/namespaces/{namespace}/{plural}" + (
        f"/{name}" if name else ""
    )


class KServe:
    """The controller; enter :meth:`running` inside the cluster's network."""

    def __init__(
        self,
        user: Admin,
        *,
        gateway: bool = False,
        headless: bool = False,
        mode: str = "Standard",
        domain: str = "example.com",
    ) -> None:
        """*gateway*: HTTPRoutes and no Ingress; *mode*: its name in status.

        *headless*: as `service.serviceClusterIPNone` of KServe's configuration.
        """
        self._talk = Talk(user, agent="manager")
        self._gateway, self._headless = gateway, headless
        self._mode, self._domain = mode, domain
        self._isvcs = Mirror(self._talk, ISVCS, self._asked)
        self._deployments = self._mirror("Deployment")
        self._services = self._mirror("Service")
        self._queues: list[asyncio.Queue[Key]] = []
        self._waiting: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._agreed: dict[tuple[str, Key], str] = {}
        self.errors: dict[Key, str] = {}
        """Why an InferenceService could last not be reconciled; gone once it could."""
        self.reconciled: dict[Key, int] = {}
        """The generation of each that was last reconciled."""

    def _mirror(self, kind: str) -> Mirror:
        return Mirror(self._talk, f"{PATHS[kind]}/{kind.lower()}s", self._owned)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[KServe]:
        """Reconcile until the block ends."""
        self._queues = [asyncio.Queue() for _ in range(WORKERS)]
        mirrors = (self._isvcs, self._deployments, self._services)
        async with self._talk, asyncio.TaskGroup() as group:
            tasks = [group.create_task(mirror.run()) for mirror in mirrors]
            for mirror in mirrors:
                await mirror.synced.wait()
            tasks += [group.create_task(self._work(queue)) for queue in self._queues]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    def _asked(self, isvc: Object) -> None:
        self._ask((isvc["metadata"]["namespace"], isvc["metadata"]["name"]))

    def _owned(self, child: Object) -> None:
        """Reconcile the owner: every change of a child counts, its status too."""
        for each in child["metadata"].get("ownerReferences") or ():
            if each.get("controller") and each["kind"] == "InferenceService":
                self._ask((child["metadata"]["namespace"], each["name"]))

    def _ask(self, key: Key) -> None:
        if key not in self._waiting and self._queues:
            self._waiting.add(key)
            self._queues[hash(key) % WORKERS].put_nowait(key)

    async def _work(self, queue: asyncio.Queue[Key]) -> None:
        while True:
            key = await queue.get()
            self._waiting.discard(key)
            isvc = self._isvcs.get(*key)
            if isvc is None or isvc["metadata"].get("deletionTimestamp"):
                continue
            try:
                await self._reconcile(isvc)
            except (Refused, OSError, aiohttp.ClientError, TimeoutError) as error:
                self._later(key, f"{type(error).__name__}: {error}")
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                # A document that the real one's types would refuse; it waits for another.
                self.errors[key] = f"{type(error).__name__}: {error}"
            else:
                self.errors.pop(key, None)
                self._failures.pop(key, None)
                self.reconciled[key] = isvc["metadata"]["generation"]

    def _later(self, key: Key, why: str) -> None:
        times = self._failures[key] = self._failures.get(key, 0) + 1
        if "409" not in why:
            self.errors[key] = why
        delay_s = min(FIRST_S * 2 ** (times - 1), LAST_S)
        asyncio.get_running_loop().call_later(delay_s, self._ask, key)

    async def _reconcile(self, isvc: Object) -> None:
        if objects.mode(isvc) != "Standard":
            await self._say(isvc, {"deploymentMode": objects.mode(isvc)})
            return
        if objects.stopped(isvc):
            await self._stop(isvc)
            await self._say(isvc, statuses.stopped(self._mode))
            return
        wanted = list(objects.children(isvc))
        for child in wanted:
            await self._deployment(isvc, child)
            await self._service(isvc, child)
            await self._autoscaler(isvc, child)
        if isvc["spec"].get("canary") or any(each.spec.get("name") for each in wanted):
            await self._orphans(isvc, {each.name for each in wanted})
        namespace = isvc["metadata"]["namespace"]
        live = {
            each.name: self._deployments.get(namespace, each.name) for each in wanted
        }
        routed = await self._routes(isvc, live)
        await self._say(
            isvc,
            statuses.status(
                isvc,
                live,
                routed=routed,
                mode=self._mode,
                domain=self._domain,
                headless=self._headless,
            ),
        )

    async def _deployment(self, isvc: Object, child: Child) -> None:
        """Make it, or put its spec back, as a dry-run update would have it."""
        wanted = objects.deployment(isvc, child)
        namespace = isvc["metadata"]["namespace"]
        live = self._deployments.get(namespace, child.name)
        if live is None:
            await self._talk.create(place("Deployment", namespace), wanted)
            return
        ours = objects.autoscaler_class(isvc, child) == "none"

        def spec(document: Object) -> Object:
            return dict(document["spec"], **({} if ours else {"replicas": None}))

        both = json.dumps([wanted, spec(live), live["metadata"]["uid"]])
        agreed = ("Deployment", (namespace, child.name))
        if self._agreed.get(agreed) == both:
            return
        path = place("Deployment", namespace, child.name)
        version = live["metadata"]["resourceVersion"]
        wanted["metadata"]["resourceVersion"] = version
        tried = await self._talk.replace(path, wanted, dryRun="All")
        if spec(tried) != spec(live):
            if not ours:
                wanted["spec"]["replicas"] = live["spec"]["replicas"]
            await self._talk.replace(path, wanted)
            return
        self._agreed[agreed] = both

    async def _service(self, isvc: Object, child: Child) -> None:
        """Make it, or put it back whole where its ports or selector differ."""
        wanted = objects.service(isvc, child, self._headless)
        namespace = isvc["metadata"]["namespace"]
        live = self._services.get(namespace, child.name)
        if live is None:
            await self._talk.create(place("Service", namespace), wanted)
            return
        said = [
            {name: value for name, value in port.items() if name != "nodePort"}
            for port in live["spec"]["ports"]
        ]
        selector = live["spec"].get("selector")
        if said == wanted["spec"]["ports"] and selector == wanted["spec"]["selector"]:
            return
        version = live["metadata"]["resourceVersion"]
        wanted["metadata"]["resourceVersion"] = version
        await self._talk.replace(place("Service", namespace, child.name), wanted)

    async def _autoscaler(self, isvc: Object, child: Child) -> None:
        """Make what its class wants; an HPA of ours that it does not want goes.

        A ScaledObject stays, as it does with the real one.
        """
        namespace = isvc["metadata"]["namespace"]
        wanted = objects.autoscaler(isvc, child)
        kind = wanted["kind"] if wanted else "HorizontalPodAutoscaler"
        path = place(kind, namespace, child.name)
        live = await self._find(path)
        if wanted is None:
            if live and owned(live, isvc):
                await self._talk.delete(path)
        elif live is None:
            await self._talk.create(place(kind, namespace), wanted)
        elif not within(wanted["spec"], live["spec"]):
            version = live["metadata"]["resourceVersion"]
            wanted["metadata"]["resourceVersion"] = version
            await self._talk.replace(path, wanted)

    async def _find(self, path: str) -> Object | None:
        try:
            return await self._talk.get(path)
        except Refused as error:
            if error.status != 404:
                raise
            return None

    async def _orphans(self, isvc: Object, expected: set[str]) -> None:
        """Delete what has the label pair and is not expected, whoever made it."""
        namespace, name = isvc["metadata"]["namespace"], isvc["metadata"]["name"]
        for kind, mirror in (
            ("Deployment", self._deployments),
            ("Service", self._services),
        ):
            for (where, called), each in list(mirror.objects.items()):
                labels = each["metadata"].get("labels") or {}
                pair = (
                    labels.get(ISVC) == name and labels.get("component") == "predictor"
                )
                if where == namespace and pair and called not in expected:
                    await self._talk.delete(place(kind, namespace, called))

    async def _routes(self, isvc: Object, live: Mapping[str, Object | None]) -> bool:
        """Make the routes once all is ready; keep those that are there. Say if they are."""
        wanted = objects.routes(isvc, self._domain, self._gateway)
        stable = [each for each in objects.children(isvc) if not each.canary]
        ready = all(
            statuses.of_deployment("", live[each.name])["status"] == statuses.TRUE
            for each in stable
        )
        if not ready:
            return False
        for each in wanted:
            meta = each["metadata"]
            path = place(each["kind"], meta["namespace"], meta["name"])
            found = await self._find(path)
            if found is None:
                await self._talk.create(place(each["kind"], meta["namespace"]), each)
            elif not within(each["spec"], found["spec"]):
                meta["resourceVersion"] = found["metadata"]["resourceVersion"]
                await self._talk.replace(path, each)
        return True

    async def _stop(self, isvc: Object) -> None:
        """Delete everything that was made for it."""
        namespace = isvc["metadata"]["namespace"]
        for child in objects.children(isvc):
            for kind, mirror in (
                ("Deployment", self._deployments),
                ("Service", self._services),
            ):
                found = mirror.get(namespace, child.name)
                if found and owned(found, isvc):
                    await self._talk.delete(place(kind, namespace, child.name))
            wanted = objects.autoscaler(isvc, child)
            if wanted:
                await self._talk.delete(place(wanted["kind"], namespace, child.name))
        for each in objects.routes(isvc, self._domain, self._gateway):
            meta = each["metadata"]
            await self._talk.delete(place(each["kind"], namespace, meta["name"]))

    async def _say(self, isvc: Object, said: Object) -> None:
        """Write the status where it changed, and an Event where it is no longer ready."""
        before = isvc.get("status") or {}
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        now = statuses.stamped(said, before, at) if "conditions" in said else said
        if now == before:
            return
        namespace, name = isvc["metadata"]["namespace"], isvc["metadata"]["name"]
        path = f"/apis/{GROUP}/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
        await self._talk.replace(f"{path}/status", isvc | {"status": now})
        was = statuses.conditions(isvc).get("Ready", {}).get("status")
        new = statuses.conditions({"status": now}).get("Ready", {}).get("status")
        if was == statuses.TRUE and new != statuses.TRUE:
            await self._warn(isvc, at)

    async def _warn(self, isvc: Object, at: str) -> None:
        meta = isvc["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{meta['name']}.",
                "namespace": meta["namespace"],
            },
            "involvedObject": {
                "apiVersion": f"{GROUP}/v1beta1",
                "kind": "InferenceService",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "type": "Warning",
            "reason": "InferenceServiceNotReady",
            "message": f"InferenceService [{meta['name']}] is no longer Ready",
            "source": {"component": "v1beta1Controllers"},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        await self._talk.create(f"/api/v1/namespaces/{meta['namespace']}/events", event)


def owned(document: Object, isvc: Object) -> bool:
    """Say whether *isvc* controls the object."""
    return any(
        each.get("controller") and each["uid"] == isvc["metadata"]["uid"]
        for each in document["metadata"].get("ownerReferences") or ()
    )


def within(wanted: Any, live: Any) -> bool:
    """Say whether all that *wanted* says is so in *live*, whatever else is there.

    >>> within({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3})
    True
    """
    match wanted, live:
        case dict(), dict():
            return all(
                name in live and within(wanted[name], live[name]) for name in wanted
            )
        case list(), list():
            return len(wanted) == len(live) and all(map(within, wanted, live))
        case _:
            return bool(wanted == live)
