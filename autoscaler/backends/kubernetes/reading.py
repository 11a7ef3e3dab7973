"""JSON of objects -> facts; a field that is not as it should be is as if not there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from autoscaler import quantity
from autoscaler.backends.base import Requested
from autoscaler.backends.kubernetes.facts import (
    NOTHING,
    Condition,
    Container,
    ContainerState,
    Deployment,
    Happened,
    HttpGet,
    HttpRoute,
    InferenceService,
    Meta,
    Owner,
    Pod,
    Service,
    ServicePort,
    Slice,
    SliceEndpoint,
    Writer,
)
from autoscaler.backends.kubernetes.isvc import SPEC
from autoscaler.backends.kubernetes.raw import (
    Raw,
    as_list,
    as_map,
    is_whole,
    maps,
    moment,
    part,
    text,
    texts,
    whole,
)
from autoscaler.backends.kubernetes.tree import pick
from autoscaler.core.domain import Needs

_GPU = "nvidia.com/gpu"
_SERVICE = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
# A whole object once more, read by kubectl alone.
_LEFT_OUT = "kubectl.kubernetes.io/last-applied-configuration"
_GRACE_S = 30.0
_AMOUNT = 64  # Characters; no quantity is longer.
_ANNOTATION = 1_025  # Characters; one more than is read of any.
_SPEC = 64 << 10  # Characters of JSON; of one with all settings, 2 KiB are read.


def meta(raw: object) -> Meta:
    """Read an object's metadata."""
    its = as_map(as_map(raw).get("metadata"))
    return Meta(
        namespace=text(its, "namespace"),
        name=text(its, "name"),
        uid=text(its, "uid"),
        resource_version=text(its, "resourceVersion"),
        generation=whole(its, "generation"),
        labels=texts(its.get("labels")),
        annotations={
            name: value[:_ANNOTATION]
            for name, value in texts(its.get("annotations"), but=_LEFT_OUT).items()
        }
        or NOTHING,
        owner=_owner(its),
        deleting=bool(text(its, "deletionTimestamp")),
        created=moment(its, "creationTimestamp"),
    )


def namespace(raw: object) -> Meta:
    """Read a Namespace, of which its metadata is all."""
    return meta(raw)


def config_map(raw: object) -> tuple[Meta, Mapping[str, str]]:
    """Read a ConfigMap's metadata and data."""
    return meta(raw), texts(as_map(raw).get("data"))


def pod(raw: object) -> Pod:
    """Read a Pod."""
    spec, status = part(raw, "spec"), part(raw, "status")
    ips = tuple(ip for each in maps(status, "podIPs") if (ip := text(each, "ip")))
    alone = text(status, "podIP")
    return Pod(
        meta=meta(raw),
        containers=_containers(spec),
        sidecars=tuple(
            text(each, "name")
            for each in maps(spec, "initContainers")
            if text(each, "restartPolicy") == "Always"
        ),
        node=text(spec, "nodeName"),
        nominated=text(status, "nominatedNodeName"),
        phase=text(status, "phase") or "Pending",
        ips=ips or ((alone,) if alone else ()),
        conditions=_conditions(status),
        states=(
            *(
                _state(each, init=True)
                for each in maps(status, "initContainerStatuses")
            ),
            *(_state(each, init=False) for each in maps(status, "containerStatuses")),
        ),
        grace_s=_grace(spec),
    )


def deployment(raw: object) -> Deployment:
    """Read a Deployment."""
    spec, status = part(raw, "spec"), part(raw, "status")
    selector = as_map(spec.get("selector"))
    template = as_map(spec.get("template"))
    within = part(template, "spec")
    of_template = meta(template)
    return Deployment(
        meta=meta(raw),
        replicas=whole(spec, "replicas", 1),
        ready=whole(status, "readyReplicas"),
        selector=texts(selector.get("matchLabels")),
        simple=not selector.get("matchExpressions"),
        labels=of_template.labels,
        annotations=of_template.annotations,
        containers=_containers(within),
        grace_s=_grace(within),
        conditions=_conditions(status),
        managers=_managers(part(raw, "metadata")),
    )


def service(raw: object) -> Service:
    """Read a Service."""
    spec = part(raw, "spec")
    families = tuple(
        each for each in as_list(spec.get("ipFamilies")) if isinstance(each, str)
    )
    return Service(
        meta=meta(raw),
        selector=texts(spec.get("selector")),
        ports=tuple(
            ServicePort(
                name=text(each, "name"),
                port=number,
                target=_port(each.get("targetPort")) or number,
                protocol=text(each, "protocol") or "TCP",
                app_protocol=text(each, "appProtocol"),
            )
            for each in maps(spec, "ports")
            if (number := whole(each, "port"))
        ),
        headless=text(spec, "clusterIP") == "None",
        kind=text(spec, "type") or "ClusterIP",
        families=families or ("IPv4",),
    )


def slice_(raw: object) -> Slice:
    """Read an EndpointSlice."""
    its = meta(raw)
    return Slice(
        meta=its,
        service=its.labels.get(_SERVICE, ""),
        managed_by=its.labels.get(_MANAGED_BY, ""),
        family=text(as_map(raw), "addressType") or "IPv4",
        ports=tuple(
            (text(each, "name"), number)
            for each in maps(as_map(raw), "ports")
            if (number := whole(each, "port"))
        ),
        endpoints=tuple(_endpoints(as_map(raw))),
    )


def inference_service(raw: object) -> InferenceService:
    """Read an InferenceService, and what is read of its spec as it was written."""
    spec = pick(part(raw, "spec"), SPEC)
    size = len(json.dumps(spec))
    large = size > _SPEC
    return InferenceService(
        meta=meta(raw),
        spec=NOTHING if large else spec,
        too_large=f"{size} characters, must be at most {_SPEC}" if large else "",
        mode=text(part(raw, "status"), "deploymentMode"),
    )


def http_route(raw: object) -> HttpRoute:
    """Read an HTTPRoute of the Gateway API."""
    its = meta(raw)
    rules = list(maps(part(raw, "spec"), "rules"))
    services = (
        text(each, "name")
        for rule in rules
        for each in maps(rule, "backendRefs")
        if (text(each, "kind") or "Service") == "Service"
        and text(each, "namespace") in ("", its.namespace)
    )
    timeouts = (
        quantity.seconds(text(part(rule, "timeouts"), "request")[:_AMOUNT])
        for rule in rules
    )
    return HttpRoute(
        meta=its,
        services=tuple(dict.fromkeys(each for each in services if each)),
        # "0s" switches the limit off.
        timeout_s=min((each for each in timeouts if each), default=0.0),
    )


def happened(raw: object) -> Happened:
    """Read an Event, of core/v1 or of events.k8s.io/v1."""
    event = as_map(raw)
    about = as_map(event.get("involvedObject") or event.get("regarding"))
    its = meta(raw)
    return Happened(
        meta=its,
        kind=text(about, "kind"),
        name=text(about, "name"),
        uid=text(about, "uid"),
        reason=text(event, "reason"),
        message=text(event, "message") or text(event, "note"),
        warning=text(event, "type") == "Warning",
        at=moment(as_map(event.get("series")), "lastObservedTime")
        or moment(event, "lastTimestamp")
        or moment(event, "eventTime")
        or its.created,
    )


def writer(raw: object) -> Writer:
    """Read a HorizontalPodAutoscaler or a ScaledObject."""
    target = as_map(part(raw, "spec").get("scaleTargetRef"))
    is_deployment = (text(target, "kind") or "Deployment") == "Deployment"
    return Writer(
        meta=meta(raw),
        # The items of a list of a built-in kind do not say their kind.
        kind=text(as_map(raw), "kind") or "HorizontalPodAutoscaler",
        target=text(target, "name") if is_deployment else "",
    )


def _owner(metadata: Raw) -> Owner | None:
    for each in maps(metadata, "ownerReferences"):
        if each.get("controller") is True:
            return Owner(text(each, "kind"), text(each, "name"), text(each, "uid"))
    return None


def _containers(spec: Raw) -> tuple[Container, ...]:
    return tuple(_container(each) for each in maps(spec, "containers"))


def _container(raw: Raw) -> Container:
    resources = part(raw, "resources")
    limits, requests = part(resources, "limits"), part(resources, "requests")
    return Container(
        name=text(raw, "name"),
        image=text(raw, "image"),
        ports=tuple(
            (text(each, "name"), number)
            for each in maps(raw, "ports")
            if (number := whole(each, "containerPort"))
        ),
        needs=Needs(
            memory=_bytes("memory", limits, requests),
            gpus=int(_amount(_GPU, limits, requests)),
        ),
        requested=Requested(
            cpu=_amount("cpu", requests, limits),
            memory=_bytes("memory", requests, limits),
        ),
        readiness=_http_get(part(raw, "readinessProbe").get("httpGet")),
        pre_stop=bool(part(part(raw, "lifecycle"), "preStop")),
    )


def _http_get(raw: object) -> HttpGet | None:
    its = as_map(raw)
    port = _port(its.get("port"))
    if not port:
        return None
    headers = {
        text(each, "name").lower(): text(each, "value")
        for each in maps(its, "httpHeaders")
    }
    return HttpGet(
        path=text(its, "path") or "/",
        port=port,
        host=headers.get("host") or text(its, "host"),
        https=text(its, "scheme").upper() == "HTTPS",
    )


def _state(raw: Raw, *, init: bool) -> ContainerState:
    state, last = part(raw, "state"), part(raw, "lastState")
    waiting = part(state, "waiting")
    ended = part(state, "terminated") or part(last, "terminated")
    return ContainerState(
        name=text(raw, "name"),
        init=init,
        ready=raw.get("ready") is True,
        restarts=whole(raw, "restartCount"),
        # The API server fills in nothing where a kubelet gave no reason.
        waiting=text(waiting, "reason"),
        message=text(waiting, "message"),
        running=isinstance(state.get("running"), dict),
        exit_code=_exit_code(ended),
        exit_reason=text(ended, "reason"),
        exit_message=text(ended, "message"),
    )


def _exit_code(ended: Raw) -> int | None:
    found = ended.get("exitCode")
    return found if isinstance(found, int) else None


def _conditions(status: Raw) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=text(each, "type"),
            status=text(each, "status"),
            reason=text(each, "reason"),
            message=text(each, "message"),
            since=moment(each, "lastTransitionTime"),
        )
        for each in maps(status, "conditions")
    )


def _endpoints(raw: Raw) -> Iterator[SliceEndpoint]:
    for each in maps(raw, "endpoints"):
        target = part(each, "targetRef")
        for address in as_list(each.get("addresses"))[:1]:
            if isinstance(address, str):
                yield SliceEndpoint(
                    address=address,
                    # Not said means ready.
                    ready=part(each, "conditions").get("ready") is not False,
                    pod=text(target, "name") if text(target, "kind") == "Pod" else "",
                )


def _managers(metadata: Raw) -> tuple[str, ...]:
    """Return who has written spec.replicas, the newest last."""
    found = sorted(
        (moment(each, "time"), text(each, "manager"))
        for each in maps(metadata, "managedFields")
        if "f:replicas" in part(part(each, "fieldsV1"), "f:spec")
    )
    return tuple(dict.fromkeys(name for _, name in found))


def _grace(spec: Raw) -> float:
    found = spec.get("terminationGracePeriodSeconds")
    return float(found) if is_whole(found) and found < 10**9 else _GRACE_S


def _port(found: object) -> int | str:
    """Return a number or a name; 0: neither."""
    if isinstance(found, str):
        return found
    return found if is_whole(found) and found < 1 << 16 else 0


def _amount(name: str, first: Raw, second: Raw) -> float:
    for each in (first, second):
        found = each.get(name)
        said = str(found) if is_whole(found) or isinstance(found, float) else found
        if isinstance(said, str) and len(said) <= _AMOUNT:
            value = quantity.amount(said)
            if value is not None and value < 10**18:
                return float(value)
    return 0.0


def _bytes(name: str, first: Raw, second: Raw) -> int:
    return int(_amount(name, first, second))
