"""What KServe's controller says of an InferenceService in its status.

Pure: documents in, a status out; *at* is the wall time to stamp changes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.kube import kserve_objects as objects
from tests.kube.kserve_objects import Child
from tests.kube.talk import Object

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


def conditions(document: Mapping[str, Any] | None) -> dict[str, Object]:
    """Return the conditions in an object's status, by type."""
    status = (document or {}).get("status") or {}
    return {each["type"]: each for each in status.get("conditions") or ()}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    found = {"type": kind, "status": status, "reason": reason, "message": message}
    return {name: value for name, value in found.items() if value}


def of_deployment(kind: str, deployment: Object | None) -> Object:
    """Return a component's condition: what its Deployment says of being available."""
    said = conditions(deployment)
    available = said.get("Available")
    if available is None:
        return condition(kind, UNKNOWN)
    shown = said.get("Progressing", available)
    reasons = shown if available["status"] == TRUE else available
    return condition(
        kind, available["status"], reasons.get("reason", ""), reasons.get("message", "")
    )


def of_model(deployment: Object | None) -> Object:
    """Return modelStatus: a model with no pod is Pending for ever, in progress."""
    status = (deployment or {}).get("status") or {}
    total = status.get("replicas", 0)
    loaded = total > 0 and status.get("readyReplicas", 0) >= total
    return {
        "copies": {"failedCopies": 0, "totalCopies": total},
        "states": {
            "activeModelState": "Loaded" if loaded else "",
            "targetModelState": "Loaded" if loaded else "Pending",
        },
        "transitionStatus": "UpToDate" if loaded else "InProgress",
    }


def stopped(mode: str) -> Object:
    """Return the status of an InferenceService that somebody has stopped."""
    return {
        "deploymentMode": mode,
        "conditions": [
            condition("PredictorReady", FALSE, "Stopped"),
            condition("Ready", FALSE, "Stopped"),
            condition("Stopped", TRUE, "Stopped"),
        ],
    }


def status(
    isvc: Object,
    deployments: Mapping[str, Object | None],
    *,
    routed: bool,
    mode: str,
    domain: str,
    headless: bool = False,
) -> Object:
    """Return the status of *isvc* with these Deployments; *routed*: its routes are there."""
    name, namespace = isvc["metadata"]["name"], isvc["metadata"]["namespace"]
    found: list[Object] = []
    components: Object = {}
    canaries: list[Object] = []
    for child in objects.children(isvc):
        about = deployments.get(child.name)
        if child.canary:
            canaries.append(_canary(child, about))
            continue
        kind = f"{child.component.capitalize()}Ready"
        found.append(of_deployment(kind, about))
        url = f"http://{objects.host(child.name, namespace, domain)}"
        components[child.component] = {"url": url} if about else {}
    ready = all(each["status"] == TRUE for each in found)
    missing = "Predictor ingress not created"
    entry = TRUE if ready and routed else FALSE
    found.append(
        condition("IngressReady", entry, *(["", missing] if entry == FALSE else []))
    )
    predictor = found[0]
    whole = predictor if predictor["status"] != TRUE else found[-1]
    found.append(whole | {"type": "Ready"})
    found.append(condition("Stopped", FALSE))
    if canaries:
        all_ready = all(each["ready"] for each in canaries)
        kind = "CanaryPredictorReady"
        found.append(
            condition(kind, TRUE)
            if all_ready
            else condition(kind, FALSE, "CanariesNotReady")
        )
    stable = next(iter(objects.children(isvc)))
    service = objects.top(isvc)
    port = ":8080" if headless else ""
    answer: Object = {
        "deploymentMode": mode,
        "url": f"http://{objects.host(name, namespace, domain)}",
        "address": {"url": f"http://{service}.{namespace}.svc.cluster.local{port}"},
        "components": components,
        "modelStatus": of_model(deployments.get(stable.name)),
        "conditions": sorted(found, key=lambda each: str(each["type"])),
    }
    if canaries:
        answer["canaryStatuses"] = canaries
    return answer


def _canary(child: Child, deployment: Object | None) -> Object:
    status = (deployment or {}).get("status") or {}
    return {
        "name": child.canary,
        "ready": status.get("availableReplicas", 0) > 0,
        "trafficPercent": child.percent,
        "modelStatus": of_model(deployment),
    }


def stamped(new: Object, old: Mapping[str, Any], at: str) -> Object:
    """Return *new* with the time at which each condition last changed."""
    before = {each["type"]: each for each in old.get("conditions") or ()}
    marked = []
    for each in new["conditions"]:
        last = before.get(each["type"], {})
        same = last.get("status") == each["status"]
        since = last.get("lastTransitionTime", at) if same else at
        marked.append(each | {"lastTransitionTime": since})
    return new | {"conditions": marked}
