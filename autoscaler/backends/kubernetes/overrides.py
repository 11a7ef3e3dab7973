"""Settings of single revisions from a ConfigMap of ours: live, without a rollout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from autoscaler.backends.kubernetes.managed import Finding, Reference
from autoscaler.core.domain import RevisionKey
from autoscaler.errors import Problem
from autoscaler.fields import nearest
from autoscaler.knob import Knob, parse
from autoscaler.knobs import KNOBS
from autoscaler.marked import MalformedError, Marked
from autoscaler.marked import parse as parsed
from autoscaler.place import Place

NAME = "fromzero-revisions"
"""Of the ConfigMap."""

LIVE: Mapping[str, Knob] = MappingProxyType(
    {each.name: each for each in KNOBS.values() if each.of != "target"}
)
"""Settings that one revision may have; the others are defaults of all."""

_SPELLINGS: Mapping[str, Knob] = MappingProxyType(
    {
        name: knob
        for knob in LIVE.values()
        for name in (knob.name, knob.document, *knob.annotations)
        if name
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One setting, and where it was written."""

    knob: str
    path: str
    node: Marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """All that the ConfigMap says."""

    entries: Mapping[str, tuple[Said, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By NAMESPACE.DEPLOYMENT, or by DEPLOYMENT in whatever namespace."""
    findings: tuple[Finding, ...] = ()

    def of(self, key: RevisionKey) -> tuple[Said, ...]:
        """Return what is said of *key*; the entry with its namespace wins."""
        found = {each.knob: each for each in self.entries.get(key.name, ())}
        exact = self.entries.get(f"{key.namespace}.{key.name}", ())
        return tuple((found | {each.knob: each for each in exact}).values())

    def strangers(
        self, keys: Iterable[RevisionKey], about: Reference
    ) -> tuple[Finding, ...]:
        """Return a finding for each entry that none of *keys*, all there are, has."""
        known = {name for each in keys for name in (each.name, ".".join(each))}
        return tuple(
            _finding(
                about,
                Problem(
                    field=_path(entry),
                    rule="names no revision that is managed"
                    + (
                        f": did you mean {near}?"
                        if (near := nearest(entry, known))
                        else ""
                    ),
                ),
            )
            for entry in self.entries
            if entry not in known
        )


def read(data: Mapping[str, str], about: Reference) -> Overrides:
    """Read the ConfigMap's data; what is wrong is said, and left out."""
    problems: list[Problem] = []
    entries = {
        name: tuple({each.knob: each for each in _entry(name, text, problems)}.values())
        for name, text in data.items()
    }
    return Overrides(
        entries=MappingProxyType({k: v for k, v in entries.items() if v}),
        findings=tuple(_finding(about, each) for each in dict.fromkeys(problems)),
    )


def places(said: Iterable[Said], problems: list[Problem]) -> dict[str, Place]:
    """Return *said* as `Component.live` has it, complaining into *problems*."""
    return {each.knob: Place("", each.path, each.node, problems) for each in said}


def _entry(name: str, text: str, problems: list[Problem]) -> Iterator[Said]:
    path = _path(name)
    try:
        documents = parsed(text)
    except MalformedError as error:
        where = f"{path}, line {error.line}" if error.line else path
        problems.append(Problem(field=where, rule=error.rule))
        return
    for document in documents:
        for key, place in Place("", path, document, problems).items():
            knob = _SPELLINGS.get(key)
            if knob is None:
                near = nearest(key, _SPELLINGS)
                meant = f": did you mean {near}?" if near else ""
                place.bad(f"is no setting of a revision{meant}")
                continue
            value = place.anything()
            if value is not None and parse(knob, value) is None:
                place.bad(knob.rule)
            elif value is not None:
                yield Said(knob=knob.name, path=place.path, node=place.node)


def _path(name: str) -> str:
    return f'{NAME}["{name}"]'


def _finding(about: Reference, problem: Problem) -> Finding:
    said = str(replace(problem, line=0))  # A line of one entry's text says little.
    return Finding(about=about, reason="SettingIgnored", message=said[:900])
