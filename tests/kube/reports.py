"""What a kubelet says of a pod: its phase, its conditions and its containers' states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

OWN = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
"""The conditions that a kubelet writes; others are somebody else's and kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One end of a container."""

    code: int
    reason: str
    message: str
    started: str
    finished: str

    def told(self) -> Object:
        told: Object = {
            "exitCode": self.code,
            "reason": self.reason,
            "startedAt": self.started,
            "finishedAt": self.finished,
        }
        return told | ({"message": self.message} if self.message else {})


@dataclass(slots=True, kw_only=True)
class State:
    """How a container is now."""

    name: str
    image: str
    sidecar: bool = False
    waiting: tuple[str, str] = ("ContainerCreating", "")
    """Why, and in which words; counts while neither of the next two is there."""
    since: str = ""
    """When it started, while it runs."""
    ended: Ended | None = None
    """Its end, until it is begun anew."""
    last: Ended | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False

    def told(self) -> Object:
        reason, message = self.waiting
        if self.since:
            state: Object = {"running": {"startedAt": self.since}}
        elif self.ended:
            state = {"terminated": self.ended.told()}
        else:
            waits = {"reason": reason} | ({"message": message} if message else {})
            state = {"waiting": waits}
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"played/{self.image}" if self.since or self.last else "",
            "state": state,
            "lastState": {"terminated": self.last.told()} if self.last else {},
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
        }


def phase(policy: str, inits: Sequence[State], mains: Sequence[State]) -> str:
    """Return the phase, as a kubelet's getPhase finds it."""
    failed = any(each.ended and each.ended.code and not each.sidecar for each in inits)
    if failed and policy == "Never":
        return "Failed"
    if any(not initialized(each) for each in inits):
        return "Pending"
    running = sum(bool(each.since) for each in mains)
    waiting = sum(not (each.since or each.ended or each.last) for each in mains)
    if waiting:
        return "Pending"
    if running or policy == "Always":
        return "Running"
    if all(each.ended and each.ended.code == 0 for each in mains):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def initialized(each: State) -> bool:
    """Say whether an init container lets the next begin."""
    if each.sidecar:
        return each.started
    return each.ended is not None and each.ended.code == 0


def conditions(
    pod: Object, now: str, inits: Sequence[State], mains: Sequence[State]
) -> list[Object]:
    """Return all conditions of *pod*; what did not change keeps its time."""
    before = {each["type"]: each for each in pod["status"].get("conditions") or ()}
    sidecars = [each for each in inits if each.sidecar]
    unready = [each.name for each in (*sidecars, *mains) if not each.ready]
    words = f"containers with unready status: [{' '.join(unready)}]"
    open_gates = [
        gate["conditionType"]
        for gate in pod["spec"].get("readinessGates") or ()
        if before.get(gate["conditionType"], {}).get("status") != "True"
    ]
    why = ("ContainersNotReady", words) if unready else ("", "")
    gates = ("ReadinessGatesNotReady", f"the gates {open_gates} are not True")
    late = [each.name for each in inits if not initialized(each)]
    init = ("ContainersNotInitialized", f"containers with incomplete status: {late}")
    addressed = bool(pod["status"].get("podIP"))
    said = {
        "PodReadyToStartContainers": (addressed, ("", "")),
        "Initialized": (not late, init if late else ("", "")),
        "Ready": (not unready and not open_gates, why if unready else gates),
        "ContainersReady": (not unready, why),
        "PodScheduled": (True, ("", "")),
    }
    made = []
    for kind, (holds, (reason, message)) in said.items():
        status = "True" if holds else "False"
        old = before.pop(kind, {})
        since = old.get("lastTransitionTime") or now
        each: Object = {
            "type": kind,
            "status": status,
            "lastTransitionTime": since if old.get("status") == status else now,
        }
        if not holds and reason:
            each |= {"reason": reason, "message": message}
        made.append(each)
    return [*made, *before.values()]
