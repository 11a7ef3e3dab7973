"""Facts as KServe makes them of an InferenceService in Standard mode."""

from __future__ import annotations

from autoscaler.backends.kubernetes.census import census
from autoscaler.backends.kubernetes.facts import (
    Container,
    Deployment,
    InferenceService,
    Meta,
    Owner,
    Service,
    ServicePort,
)
from autoscaler.backends.kubernetes.space import Settings, Space
from autoscaler.core.domain import RevisionKey

SPACE = "production"
CLASS = "serving.kserve.io/autoscalerClass"
EXTERNAL = {CLASS: "external"}
SLEEPY = {"minReplicas": 0, "model": {"modelFormat": {"name": "sklearn"}}}


def isvc(name="iris", predictor=None, *, mode="Standard", annotations=None, **spec):
    return InferenceService(
        meta=Meta(
            namespace=SPACE,
            name=name,
            uid=f"uid-{name}",
            annotations=EXTERNAL if annotations is None else annotations,
        ),
        spec={"predictor": SLEEPY if predictor is None else predictor, **spec},
        mode=mode,
    )


def deployment(name="iris-predictor", of="iris", **more):
    labels = {"app": f"isvc.{name}"}
    return Deployment(
        meta=Meta(
            namespace=SPACE,
            name=name,
            uid=f"uid-{name}",
            owner=Owner("InferenceService", of, f"uid-{of}") if of else None,
        ),
        **{
            "selector": labels,
            "labels": labels,
            "managers": ("manager",),
            "containers": (container(),),
            **more,
        },
    )


def container(name="kserve-container", **more):
    return Container(
        name=name, **{"ports": (("http1", 8080),), "pre_stop": True, **more}
    )


def service(name="iris-predictor", **more):
    return Service(
        meta=Meta(namespace=SPACE, name=name, uid=f"uid-{name}"),
        **{
            "selector": {"app": f"isvc.{name}"},
            "ports": (ServicePort(name="http1", port=80, target="http1"),),
            **more,
        },
    )


def space(*isvcs, names=("iris-predictor",), **more):
    """Return a namespace with *isvcs* and the children of *names*, all the first's."""
    of = isvcs[0].meta.name if isvcs else ""
    return Space(
        **{
            "namespace": Meta(name=SPACE),
            "isvcs": isvcs,
            "deployments": tuple(deployment(each, of) for each in names),
            "services": tuple(service(each) for each in names),
            **more,
        }
    )


def counted(*isvcs, settings=None, before=None, **more):
    return census(space(*isvcs, **more), settings or Settings(), before)


def key(name="iris-predictor"):
    return RevisionKey(SPACE, name)


def reasons(found):
    return [each.reason for each in found.findings]


def saying(found, reason):
    (only,) = (each for each in found.findings if each.reason == reason)
    return only
