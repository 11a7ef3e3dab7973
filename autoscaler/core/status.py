"""One revision as people see it."""

from __future__ import annotations

from math import inf

from autoscaler.core.commands import Status
from autoscaler.core.revision import Revision


def status(of: Revision) -> Status:
    """Return *of* in figures and words."""
    replicas, reports = of.replicas, of.reports
    return Status(
        key=of.key,
        state=_state(of),
        min=of.floor,
        max=of.scaling.max_replicas,
        desired=of.want,
        ready=replicas.ready,
        starting=replicas.active - replicas.ready,
        draining=replicas.draining + replicas.leaving,
        in_flight=reports.in_flight(),
        held=reports.held(),
        mode=of.mode,
        reason=_reason(of),
    )


def _state(of: Revision) -> str:
    replicas = of.replicas
    if replicas.ready:
        return "ready"
    if replicas.active:
        return "starting"
    if of.blocked or of.waits_since < inf:
        return "waiting"
    if of.backoff.reason:
        return "failing"
    # One that was told to stop still has its memory until it is gone.
    return "draining" if replicas.draining or replicas.leaving else "asleep"


def _reason(of: Revision) -> str:
    if of.replicas.active:
        waits = of.waits
        if not waits and of.backoff.reason and of.replicas.active < of.want:
            waits = f"the last start failed: {of.backoff.reason}"
        return f"{of.reason}; {waits}" if waits else of.reason
    return of.waits or of.blocked or of.backoff.reason or of.reason
