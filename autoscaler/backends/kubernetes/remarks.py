"""Complaints and remarks of reading -> findings about one object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autoscaler.backends.kubernetes.managed import Finding, Reference
from autoscaler.component import Said
from autoscaler.errors import Problem
from autoscaler.notes import Level

_LONGEST = 900
"""Characters; an Event's note has at most 1,024."""
_MOST = 20


def malformed(problem: Problem) -> bool:
    """Say whether KServe cannot have read it either: a field, not an annotation.

    >>> malformed(Problem(field="spec.predictor.minReplicas", rule="must be a number"))
    True
    """
    return problem.field.startswith("spec") and '.annotations["' not in problem.field


def complaints(about: Reference, problems: Iterable[Problem]) -> Iterator[Finding]:
    """Return a finding for each field that something is wrong with, so many at most."""
    first: dict[str, Problem] = {}
    for each in problems:
        first.setdefault(each.field, each)
    for each in list(first.values())[:_MOST]:
        blocks = malformed(each)
        yield Finding(
            about=about,
            reason="Malformed" if blocks else "SettingIgnored",
            message=str(each)[:_LONGEST],
            blocks=blocks,
        )
    if len(first) > _MOST:
        yield Finding(
            about=about,
            reason="Malformed",
            message=f"{len(first) - _MOST} more fields are wrong",
        )


def remarks(about: Reference, said: Iterable[Said]) -> Iterator[Finding]:
    """Return a finding for each remark, so many at most."""
    for each in list(dict.fromkeys(said))[:_MOST]:
        yield Finding(
            about=about,
            reason="Settings",
            message=each.text[:_LONGEST],
            warning=each.level is not Level.NOTE,
        )
