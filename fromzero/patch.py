"""A document with other settings: as `fromzero up` and `kubectl apply` take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from autoscaler.core.domain import RevisionSpec
from fromzero.errors import CommandError

_KNATIVE = "autoscaling.knative.dev"


def patched(file: Path, name: str, spec: RevisionSpec) -> str:
    """Return the InferenceService *name* (namespace/name) of *file*, with the settings
    of *spec* that are searched and everything else as it is there."""
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if _is(document, name):
            return (
                f"# {file.name} with settings that `fromzero tune` chose.\n"
                + yaml.safe_dump(_with(document, spec), sort_keys=False)
            )
    raise CommandError(f"{file}: has no InferenceService {name} any more")


def chosen(spec: RevisionSpec) -> dict[str, str]:
    """Return the annotations that say what was searched."""
    its = spec.scaling
    found = {
        f"{_KNATIVE}/window": f"{its.stable_window_s}s",
        f"{_KNATIVE}/scale-to-zero-pod-retention-period": f"{its.retention_s:g}s",
    }
    if its.max_replicas != 1:
        found |= {
            "fromzero.dev/panic": "true" if its.panic else "false",
            f"{_KNATIVE}/panic-threshold-percentage": f"{its.panic_threshold * 100:g}",
            f"{_KNATIVE}/target-utilization-percentage": (
                f"{its.target_utilization * 100:g}"
            ),
            f"{_KNATIVE}/scale-down-delay": f"{its.scale_down_delay_s}s",
        }
    return found


def _with(document: dict[str, Any], spec: RevisionSpec) -> dict[str, Any]:
    metadata = document["metadata"]
    said = {**(metadata.get("annotations") or {}), **chosen(spec)}
    metadata["annotations"] = said
    document["spec"]["predictor"]["minReplicas"] = spec.scaling.min_replicas
    return document


def _is(document: object, name: str) -> bool:
    if not isinstance(document, dict) or document.get("kind") != "InferenceService":
        return False
    metadata = document.get("metadata") or {}
    own = f"{metadata.get('namespace') or 'default'}/{metadata.get('name')}"
    return own == name
