"""Documents written into a file and planned, as `fromzero up` does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autoscaler.backends.base import Launch
from autoscaler.core.domain import RevisionKey, RevisionSpec
from autoscaler.documents import load
from autoscaler.errors import BadInput
from autoscaler.kserve import Defaults, Plan, plan
from autoscaler.versions import Memory

EVERYWHERE = Defaults()

SERVE = {
    "command": ["serve"],
    "args": ["--port=$(PORT)"],
    "resources": {"limits": {"memory": "1Gi"}},
}


def service(
    predictor: dict[str, Any] | None = None,
    *,
    name: str = "iris",
    namespace: str = "",
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return an InferenceService; without a predictor, one that runs `serve`."""
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = annotations
    inner = predictor if predictor is not None else {}
    if "model" not in inner and "containers" not in inner:
        inner = {"containers": [SERVE], **inner}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": inner, **spec},
    }


def raw(predictor: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an InferenceService with exactly this predictor."""
    found = service({"containers": []}, **more)
    found["spec"]["predictor"] = predictor
    return found


def runtime(
    name: str = "mine",
    *,
    formats: list[dict[str, Any]] | None = None,
    namespace: str | None = None,
    container: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a runtime; a ServingRuntime if it has a namespace."""
    known = formats if formats is not None else [{"name": "toy", "autoSelect": True}]
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime" if namespace else "ClusterServingRuntime",
        "metadata": metadata,
        "spec": {
            "supportedModelFormats": known,
            "containers": [
                {"name": "kserve-container", **(container or {**SERVE, "args": [name]})}
            ],
            **spec,
        },
    }


def model(format_name: str = "toy", **more: Any) -> dict[str, Any]:
    """Return a predictor with a model of that format."""
    return {"model": {"modelFormat": {"name": format_name}, **more}}


def write(directory: Path, *documents: dict[str, Any]) -> Path:
    """Write documents into one file, each on a line of its own."""
    path = directory / "documents.yaml"
    path.write_text("\n---\n".join(json.dumps(each) for each in documents))
    return path


def planned(
    directory: Path,
    *documents: dict[str, Any],
    defaults: Defaults = EVERYWHERE,
    memory: Memory | None = None,
) -> Plan:
    """Return the plan of *documents*."""
    path = write(directory, *documents)
    return plan(load([path]), defaults, memory or Memory())


def refused(
    directory: Path, *documents: dict[str, Any], defaults: Defaults = EVERYWHERE
) -> list[str]:
    """Return what is wrong with *documents*, without their file and line."""
    try:
        planned(directory, *documents, defaults=defaults)
    except BadInput as error:
        where = f"{directory / 'documents.yaml'}:"
        return [
            str(each).removeprefix(where).partition(": ")[2] for each in error.problems
        ]
    return []


def said(plan: Plan) -> list[str]:
    """Return the notes of a plan, each with its level, without file and line."""
    return [f"{each.level}: {each.text}" for each in plan.notes]


def only(plan: Plan) -> tuple[RevisionKey, RevisionSpec, Launch]:
    """Return the one revision of a plan."""
    ((key, wanted),) = plan.wanted.items()
    return key, wanted.spec, wanted.launch
