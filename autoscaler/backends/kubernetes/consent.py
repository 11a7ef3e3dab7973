"""Whether an InferenceService is to be managed: its class, its mode, and stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.backends.kubernetes.facts import InferenceService
from autoscaler.backends.kubernetes.managed import Finding, Reference, reference
from autoscaler.service import EXPLAINER, PREDICTOR, TRANSFORMER

CLASS = "serving.kserve.io/autoscalerClass"
MODE = "serving.kserve.io/deploymentMode"
STOP = "serving.kserve.io/stop"

_OURS = "external"
_CLASSES = ("hpa", "external", "keda", "none")
_STANDARD = ("Standard", "RawDeployment")
_KNATIVE = ("Knative", "Serverless")
_UNKNOWN = "DeploymentModeUnknown"
_SHORT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Who wants to be managed."""

    components: frozenset[str] = frozenset()
    """Those whose class is external; empty: hands off all of it."""
    waits: frozenset[str] = frozenset()
    """Those that may be once KServe has said the mode, which it never does of what it
    cannot read."""
    findings: tuple[Finding, ...] = ()


def consent(isvc: InferenceService) -> Consent:
    """Return which components may be scaled here, and why others may not."""
    if isvc.meta.deleting:
        return Consent()
    classes = dict(_classes(isvc))
    opted = frozenset(name for name, its in classes.items() if its == _OURS)
    found = _hands_off(isvc, opted=bool(opted))
    if found is not None:
        waits = any(each.reason == _UNKNOWN for each in found)
        return Consent(waits=opted if waits else frozenset(), findings=found)
    return Consent(components=opted, findings=tuple(_refused(isvc, classes)))


def _hands_off(isvc: InferenceService, *, opted: bool) -> tuple[Finding, ...] | None:
    """Return what to say of a service that is not touched; None: it may be."""
    about = reference(isvc)
    if (isvc.meta.annotations.get(STOP) or "").strip().lower() == "true":
        said = _finding(
            about,
            "Stopped",
            f'the annotation {STOP} = "true": KServe has taken its Deployment away',
            warning=False,
        )
        return (said,) if opted else ()
    if isvc.spec.get("suspend") is True:
        said = _finding(
            about,
            "Suspended",
            "spec.suspend = true: it is left alone until that is gone",
            warning=False,
        )
        return (said,) if opted else ()
    mode = isvc.mode or isvc.meta.annotations.get(MODE, "")
    if mode in _STANDARD:
        return None
    if mode in _KNATIVE:
        said = _finding(
            about,
            "KnativeMode",
            f"deploymentMode = {mode}, must be Standard to be scaled here; a mode "
            "cannot be changed, so delete the service and make it anew",
            warning=opted,
        )
        return (said,)
    if not opted:
        return ()
    if mode:
        said = _finding(
            about,
            "DeploymentMode",
            f"deploymentMode = {mode[:_SHORT]}, must be Standard to be scaled here",
        )
    else:
        said = _finding(
            about,
            _UNKNOWN,
            "status.deploymentMode is not there yet and no annotation says it: "
            "waiting for KServe",
            warning=False,
        )
    return (said,)


def _classes(isvc: InferenceService) -> Iterator[tuple[str, str]]:
    """Walk the components that there are, with the class of each; empty: absent."""
    whole = isvc.meta.annotations.get(CLASS, "")
    for component in (PREDICTOR, TRANSFORMER, EXPLAINER):
        its = isvc.spec.get(component)
        if its is None and component != PREDICTOR:
            continue
        annotations = its.get("annotations") if isinstance(its, Mapping) else None
        yield component, _own(annotations) or whole


def _own(annotations: Any) -> str:
    found = annotations.get(CLASS) if isinstance(annotations, Mapping) else None
    return found if isinstance(found, str) else ""


def _refused(isvc: InferenceService, classes: Mapping[str, str]) -> Iterator[Finding]:
    """Say what a class means that is not ours; hpa and keda were written on purpose."""
    about = reference(isvc)
    for its in dict.fromkeys(classes.values()):
        if its in (_OURS, "hpa", "keda"):
            continue
        who = [name for name, one in classes.items() if one == its]
        said = "" if len(who) == len(classes) else f" for its {' and '.join(who)}"
        if not its:
            rule = (
                "is not set, so KServe gives it an HPA that keeps it awake: set "
                "external to have it scaled here"
            )
        elif its == "none":
            rule = (
                '= "none": KServe sets its replicas back at each turn: set external '
                "to have it scaled here"
            )
        else:
            rule = f"= {its[:_SHORT]}, must be one of {', '.join(_CLASSES)}"
        yield _finding(about, "AutoscalerClass", f"{CLASS} {rule}{said}")


def _finding(
    about: Reference, reason: str, message: str, *, warning: bool = True
) -> Finding:
    return Finding(
        about=about, reason=reason, message=message, warning=warning, blocks=True
    )
