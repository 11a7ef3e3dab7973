"""Who else writes a Deployment's replica count, as its managedFields tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoscaler.backends.kubernetes.facts import Deployment

OURS = "fromzero"
"""How the names of our field managers begin."""

_KSERVE = ("manager", "kserve")
"""How the names of KServe's begin; its binary is called manager."""
_SCALERS = ("kube-controller-manager", "keda")
"""Whose HPAs and ScaledObjects are seen themselves; what they once wrote stays."""
_SCALE = ("kubectl", "kubectl-scale")
"""What kubectl scale leaves, as it is and as its documentation has it."""
_PERSONS = ("kubectl", "helm")
"""How the names begin of what writes when a person does, and not once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Who has written a Deployment's replicas."""

    managers: tuple[str, ...] = ()
    rival: str = ""
    """Who has written over our count; empty: nobody."""


def written(deployment: Deployment, before: Written | None) -> Written:
    """Return who has written the replicas of *deployment*, after *before*.

    A manager's name stays for as long as nobody else changes the value, so one that
    is there may have written once and long ago: a rival has taken the value from us,
    and is no tool of a person's.
    """
    now = deployment.managers
    then = before or Written()
    if _ours(now):
        return Written(managers=now)
    if then.rival in now:
        return Written(managers=now, rival=then.rival)
    others = foreign(now) if _ours(then.managers) else ()
    lasting = (each for each in others if not each.startswith(_PERSONS))
    return Written(managers=now, rival=next(lasting, ""))


def foreign(managers: Iterable[str]) -> tuple[str, ...]:
    """Return the field managers that are neither KServe, ours, nor kubectl scale.

    >>> foreign(("manager", "fromzero", "kubectl", "argocd-controller"))
    ('argocd-controller',)
    """
    friends = (OURS, *_KSERVE, *_SCALERS)
    return tuple(
        each for each in managers if each not in _SCALE and not each.startswith(friends)
    )


def _ours(managers: Iterable[str]) -> bool:
    return any(each.startswith(OURS) for each in managers)
