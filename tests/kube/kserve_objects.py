"""What KServe's controller makes of an InferenceService in Standard mode, as documents.

Pure: documents in, documents out.  The facts are those of KServe 0.15.1 to 0.21.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.kube.talk import Object

GROUP = "serving.kserve.io"
ISVC = f"{GROUP}/inferenceservice"
CLASS = f"{GROUP}/autoscalerClass"
MODE = f"{GROUP}/deploymentMode"
STOP = f"{GROUP}/stop"
SOURCE = f"internal.{GROUP}/storage-initializer-sourceuri"
AGENT = f"internal.{GROUP}/agent"
COMPONENTS = ("predictor", "transformer", "explainer")
STANDARD = ("Standard", "RawDeployment")
"""The mode's name since 0.16, and before."""

NOT_COPIED = {
    "autoscaling.knative.dev/min-scale",
    "autoscaling.knative.dev/max-scale",
    "kubectl.kubernetes.io/last-applied-configuration",
    SOURCE,
    AGENT,
}
"""Annotations of an InferenceService that stay off its children."""

EXTENSION = {
    *("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType"),
    *("autoScaling", "containerConcurrency", "timeout", "canaryTrafficPercent"),
    *("logger", "batcher", "labels", "annotations", "deploymentStrategy"),
    *("name", "workerSpec", "storageUris", "storageContainerName", "model"),
}
"""Fields of a component that are no fields of its pods."""

OF_A_MODEL = {
    *("modelFormat", "runtime", "protocolVersion", "storageUri", "storage"),
}
"""Fields of `model` that are no fields of its container."""


class Unknown(ValueError):  # noqa: N818 - what it is
    """KServe's controller would not know what to do with a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a ServingRuntime says of the container for a model format."""

    image: str
    args: tuple[str, ...]
    ports: tuple[int, ...] = ()
    metrics_port: int = 8080

    def container(self, isvc: str) -> Object:
        container: Object = {
            "name": "kserve-container",
            "image": self.image,
            "args": [each.replace("{{.Name}}", isvc) for each in self.args],
        }
        if self.ports:
            container["ports"] = [
                {"containerPort": each, "protocol": "TCP"} for each in self.ports
            ]
        return container


SDK = ("--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080")
RUNTIMES: Mapping[str, Runtime] = {
    "sklearn": Runtime(image="kserve/sklearnserver:v0.21.0", args=SDK),
    "huggingface": Runtime(
        image="kserve/huggingfaceserver:v0.21.0", args=("--model_name={{.Name}}",)
    ),
    "vllm": Runtime(
        image="vllm/vllm-openai:v0.11.0",
        args=("--served-model-name={{.Name}}", "--port=8080"),
    ),
    "triton": Runtime(
        image="nvcr.io/nvidia/tritonserver:23.05-py3",
        args=("--model-store=/mnt/models", "--http-port=8080"),
        ports=(8080,),
        metrics_port=8002,
    ),
}
"""By model format; the images are those that models.py knows how to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One Deployment with its Service that an InferenceService asks for."""

    component: str
    spec: Mapping[str, Any]
    """The component's."""
    name: str
    canary: str = ""
    """The variant's name; empty: stable."""
    percent: int = 0
    """Of a canary."""


def meta_of(isvc: Object) -> Object:
    return dict(isvc["metadata"])


def annotations_of(isvc: Object) -> dict[str, str]:
    return dict(meta_of(isvc).get("annotations") or {})


def mode(isvc: Object) -> str:
    """Return the mode by its present name; nothing said is Standard here."""
    said = annotations_of(isvc).get(MODE, "Standard")
    return "Standard" if said in STANDARD else said


def stopped(isvc: Object) -> bool:
    return annotations_of(isvc).get(STOP, "").lower() == "true"


def child_name(isvc: str, component: str, variant: str = "") -> str:
    """Return the name of a component's Deployment and Service.

    >>> child_name("clf", "predictor"), child_name("clf", "predictor", "v2")
    ('clf-predictor', 'clf-v2-predictor')
    """
    return f"{isvc}-{variant}-{component}" if variant else f"{isvc}-{component}"


def children(isvc: Object) -> Iterator[Child]:
    """Yield what *isvc* asks for: its components, then its canaries."""
    name, spec = meta_of(isvc)["name"], isvc["spec"]
    for component in COMPONENTS:
        if component in spec:
            variant = (
                spec[component].get("name", "") if component == "predictor" else ""
            )
            yield Child(
                component=component,
                spec=spec[component],
                name=child_name(name, component, variant),
            )
    for canary in spec.get("canary") or ():
        variant = canary["predictor"]["name"]
        yield Child(
            component="predictor",
            spec=canary["predictor"],
            name=child_name(name, "predictor", variant),
            canary=variant,
            percent=int(canary["trafficPercent"]),
        )


def autoscaler_class(isvc: Object, child: Child) -> str:
    """Return the class of a child: the component's own annotation wins."""
    said = child.spec.get("annotations") or {}
    found = said.get(CLASS) or annotations_of(isvc).get(CLASS) or "hpa"
    if found not in ("hpa", "external", "keda", "none"):
        raise Unknown(f"unknown autoscaler class type: {found}")
    return str(found)


def metadata(isvc: Object, child: Child) -> Object:
    """Return what every object of a child is called, and by whom it is owned."""
    kept = {k: v for k, v in annotations_of(isvc).items() if k not in NOT_COPIED}
    return {
        "name": child.name,
        "namespace": meta_of(isvc)["namespace"],
        "labels": (
            dict(meta_of(isvc).get("labels") or {})
            | dict(child.spec.get("labels") or {})
            | {
                ISVC: meta_of(isvc)["name"],
                "component": child.component,
                "app": f"isvc.{child.name}",
            }
        ),
        "annotations": kept | dict(child.spec.get("annotations") or {}),
        "ownerReferences": [owner(isvc)],
    }


def owner(isvc: Object) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "InferenceService",
        "name": meta_of(isvc)["name"],
        "uid": meta_of(isvc)["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def container_of(isvc: Object, child: Child) -> tuple[Object, Object]:
    """Return the serving container, and the annotations that its runtime adds."""
    name = meta_of(isvc)["name"]
    if model := child.spec.get("model"):
        wanted = str(model["modelFormat"]["name"])
        if wanted not in RUNTIMES:
            raise Unknown(f"no runtime found to support model format {wanted}")
        runtime = RUNTIMES[wanted]
        container = runtime.container(name)
        container["args"] += list(model.get("args") or ())
        said = {k: v for k, v in model.items() if k not in OF_A_MODEL}
        container |= {k: v for k, v in said.items() if k not in ("args", "name")}
        added = {
            "prometheus.kserve.io/port": str(runtime.metrics_port),
            "prometheus.kserve.io/path": "/metrics",
        }
        if uri := model.get("storageUri"):
            added[SOURCE] = uri
    else:
        container, added = dict(child.spec["containers"][0]), {}
        container.setdefault("name", "kserve-container")
        args = list(container.get("args") or ())
        if child.component != "predictor":
            stable = isvc["spec"]["predictor"].get("name", "")
            predictor = child_name(name, "predictor", stable)
            args += ["--model_name", name, "--predictor_host"]
            args += [f"{predictor}.{meta_of(isvc)['namespace']}", "--http_port", "8080"]
            if workers := child.spec.get("containerConcurrency"):
                args += ["--workers", str(workers)]
        if args:
            container["args"] = args
    if "batcher" in child.spec or "logger" in child.spec:
        added[AGENT] = "true"
    env = list(container.get("env") or ())
    container["env"] = [*env, {"name": "INFERENCE_SERVICE_NAME", "value": name}]
    first = (container.get("ports") or [{}])[0].get("containerPort", 8080)
    container.setdefault(
        "readinessProbe",
        {
            "tcpSocket": {"port": first},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
    )
    return container, added


def deployment(isvc: Object, child: Child) -> Object:
    """Return the Deployment; its replicas are said only where class none says them."""
    meta = metadata(isvc, child)
    container, added = container_of(isvc, child)
    pod = {k: v for k, v in child.spec.items() if k not in EXTENSION}
    others = list(child.spec.get("containers") or ())
    pod["containers"] = [container, *(others if "model" in child.spec else others[1:])]
    inside = meta["annotations"] | added
    spec: Object = {
        "selector": {"matchLabels": {"app": meta["labels"]["app"]}},
        "template": {
            "metadata": {"labels": meta["labels"], "annotations": inside},
            "spec": pod,
        },
        "strategy": child.spec.get("deploymentStrategy")
        or {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        },
    }
    if autoscaler_class(isvc, child) == "none":
        least = child.spec.get("minReplicas")
        if child.canary and least is None:
            stable = isvc["spec"]["predictor"].get("minReplicas") or 0
            least = math.ceil(stable * child.percent / 100)
        if least is not None:
            spec["replicas"] = least
    document = meta | {"annotations": inside}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": document,
        "spec": spec,
    }


def service(isvc: Object, child: Child, headless: bool = False) -> Object:
    """Return the Service, by the rule for its ports."""
    container, _ = container_of(isvc, child)
    declared = list(container.get("ports") or ())
    ports: list[Object] = []
    for index, each in enumerate(declared):
        port = {
            "name": each.get("name") or ("http" if index == 0 else ""),
            "port": 80 if index == 0 else each["containerPort"],
            "targetPort": each["containerPort"],
            "protocol": each.get("protocol") or "TCP",
        }
        if "grpc" in port["name"] or "h2c" in port["name"]:
            port["appProtocol"] = "kubernetes.io/h2c"
        ports.append(port)
    if not ports:
        ports = [
            {"name": child.name, "port": 80, "targetPort": 8080, "protocol": "TCP"}
        ]
    if "batcher" in child.spec or "logger" in child.spec:
        ports[0]["targetPort"] = 9081
    meta = metadata(isvc, child)
    spec: Object = {"selector": {"app": meta["labels"]["app"]}, "ports": ports}
    if headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def autoscaler(isvc: Object, child: Child) -> Object | None:
    """Return the HPA or ScaledObject of a child, if its class wants one."""
    kind = autoscaler_class(isvc, child)
    meta = metadata(isvc, child)
    least = child.spec.get("minReplicas")
    if kind == "hpa":
        low = max(1 if least is None else least, 1)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": child.name}
        spec: Object = {
            "scaleTargetRef": target,
            "minReplicas": low,
            "maxReplicas": max(child.spec.get("maxReplicas") or 0, low),
        }
        metric = child.spec.get("scaleMetric", "cpu")
        aim = child.spec.get("scaleTarget", 80 if metric == "cpu" else None)
        if metric in ("cpu", "memory") and aim is not None:
            usage = {"type": "Utilization", "averageUtilization": aim}
            resource = {"name": metric, "target": usage}
            spec["metrics"] = [{"type": "Resource", "resource": resource}]
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": meta,
            "spec": spec,
        }
    if kind == "keda":
        low = 1 if least is None else least
        spec = {
            "scaleTargetRef": {"name": child.name},
            "minReplicaCount": low,
            "maxReplicaCount": max(child.spec.get("maxReplicas") or 0, low),
        }
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": meta,
            "spec": spec,
        }
    return None


def host(name: str, namespace: str, domain: str) -> str:
    return f"{name}-{namespace}.{domain}"


def top(isvc: Object) -> str:
    """Return the Service that requests from outside come to first."""
    found = {child.component: child for child in reversed(list(children(isvc)))}
    return (found.get("transformer") or found["predictor"]).name


def routes(isvc: Object, domain: str, gateway: bool) -> list[Object]:
    """Return the Ingress, or the HTTPRoutes, that lead from outside to *isvc*."""
    meta = meta_of(isvc)
    labels = dict(meta.get("labels") or {})
    if labels.get("networking.kserve.io/visibility") == "cluster-local":
        return []
    name, namespace = meta["name"], meta["namespace"]
    stable = [child for child in children(isvc) if not child.canary]
    targets = [(name, top(isvc), stable[0])]
    targets += [(f"{name}-{each.component}", each.name, each) for each in stable]
    if gateway:
        return [
            _http_route(isvc, called, backend, child, host(called, namespace, domain))
            for called, backend, child in targets
        ]
    rules = [
        _rule(host(called, namespace, domain), backend)
        for called, backend, child in targets
        if child.component == "predictor"
    ]
    about = {
        "name": name,
        "namespace": namespace,
        "labels": labels,
        "annotations": annotations_of(isvc),
        "ownerReferences": [owner(isvc)],
    }
    spec = {"ingressClassName": "istio", "rules": rules}
    api = "networking.k8s.io/v1"
    return [{"apiVersion": api, "kind": "Ingress", "metadata": about, "spec": spec}]


def _rule(asked: str, backend: str) -> Object:
    service = {"name": backend, "port": {"number": 80}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    return {"host": asked, "http": {"paths": [path]}}


def _http_route(
    isvc: Object, name: str, backend: str, child: Child, asked: str
) -> Object:
    meta = meta_of(isvc)
    header = {
        "KServe-Isvc-Name": meta["name"],
        "KServe-Isvc-Namespace": meta["namespace"],
    }
    told = [{"name": key, "value": value} for key, value in header.items()]
    rule = {
        "matches": [{"path": {"type": "RegularExpression", "value": "^/.*$"}}],
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": told}}
        ],
        "backendRefs": [{"kind": "Service", "name": backend, "port": 80}],
        "timeouts": {"request": f"{child.spec.get('timeout') or 60}s"},
    }
    parent = {"name": "kserve-ingress-gateway", "namespace": "kserve"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": annotations_of(isvc),
            "ownerReferences": [owner(isvc)],
        },
        "spec": {"hostnames": [asked], "parentRefs": [parent], "rules": [rule]},
    }
