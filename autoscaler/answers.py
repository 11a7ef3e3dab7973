"""What the admin API asks for, and what it says of revisions, as JSON values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from autoscaler.core.commands import Decided, Order, Scale, Status
from autoscaler.core.domain import RevisionKey, StartFailure
from autoscaler.events import Moment


class Known(Protocol):
    """What the admin API asks of the loop."""

    def statuses(self) -> tuple[Status, ...]:
        """Return all revisions."""

    def status(self, key: RevisionKey) -> Status:
        """Return one revision; KeyError: there is none."""

    def moments(self, key: RevisionKey) -> tuple[Moment, ...]:
        """Return what was last decided, oldest first."""

    def order(self, key: RevisionKey, order: Order) -> None:
        """Do what a person asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a person should know of an object in a cluster."""

    about: str
    """As "InferenceService production/iris"."""
    revision: RevisionKey | None = None
    """None: it concerns none, or all of the object's."""
    reason: str
    """In CamelCase, as an Event's."""
    message: str
    blocks: bool = False
    """Because of it, hands are kept off."""


def remark(of: Remark) -> dict[str, object]:
    """Return *of* in the shape that `GET /status` promises."""
    return {
        "about": of.about,
        "revision": None if of.revision is None else list(of.revision),
        "reason": of.reason,
        "message": of.message,
        "blocks": of.blocks,
    }


def revision(status: Status) -> dict[str, object]:
    """Return *status* in the shape that `GET /status` promises."""
    fields = asdict(status)
    del fields["key"]
    name = {"namespace": status.key.namespace, "name": status.key.name}
    return name | fields | {"allowed": status.allowed}


def moment(of: Moment) -> dict[str, object]:
    """Return one thing that was decided or went wrong, with its reason."""
    match of.what:
        case Decided(seen=seen, decision=decision, replicas=replicas, reason=reason):
            return {
                "at": of.at,
                "what": "decided",
                "replicas": replicas,
                "reason": reason,
                "desired": decision.desired,
                "mode": decision.mode.value,
                "stable": seen.stable,
                "panic": seen.panic,
                "ready": seen.ready,
            }
        case Scale(replicas=replicas, reason=reason):
            return {
                "at": of.at,
                "what": "scaled",
                "replicas": replicas,
                "reason": reason,
            }
        case StartFailure(reason=reason):
            return {"at": of.at, "what": "start failed", "reason": reason}
