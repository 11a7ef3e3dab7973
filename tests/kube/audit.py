"""Who used which rights, from the API server's audit log, against what roles grant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ACCOUNT = "system:serviceaccount:"
EVERYBODYS = ("/healthz", "/livez", "/readyz", "/version", "/api", "/openapi")
"""Paths that every user may get by roles of Kubernetes' own."""
REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
"""Groups whose reviews of oneself everybody may ask for, by system:basic-user."""


class Right(NamedTuple):
    """One thing that may be done, or was."""

    verb: str
    group: str
    resource: str
    """With its subresource: `deployments/scale`; a path of no resource begins with /."""
    namespaced: bool = True
    """Within one namespace; False: of the whole cluster."""

    def __str__(self) -> str:
        where = "" if self.namespaced else " of the whole cluster"
        group = f".{self.group}" if self.group else ""
        return f"{self.verb} {self.resource}{group}{where}"


class Use(NamedTuple):
    """A right as somebody used it once or more, and where."""

    right: Right
    namespace: str
    name: str
    """Of the object; empty where the verb names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one user asked of the API server."""

    allowed: frozenset[Use] = frozenset()
    refused: frozenset[Use] = frozenset()
    """Answered 403."""


class Grant(NamedTuple):
    """A right by one rule of a role, where its binding says."""

    right: Right
    namespace: str
    """Where; empty: in every namespace, and of the whole cluster."""
    names: tuple[str, ...]
    """The only objects it is for; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Where rights and their use differ; both empty: least, and enough."""

    unused: tuple[str, ...]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            (
                *(f"granted, never used: {each}" for each in self.unused),
                *(f"used, refused: {each}" for each in self.refused),
            )
        )

    def __bool__(self) -> bool:
        return bool(self.unused or self.refused)


def lines(path: Path, skip: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the log's events after so many bytes; its last line may be half written."""
    with path.open() as log:
        if skip:
            log.seek(skip - 1)
            log.readline()
        for line in log:
            if line.endswith("\n"):
                yield json.loads(line)


def used(events: Iterable[Mapping[str, Any]]) -> dict[str, Used]:
    """Return what each user did; service accounts are called `namespace:name`."""
    allowed: dict[str, set[Use]] = {}
    refused: dict[str, set[Use]] = {}
    for event in events:
        if event.get("stage") not in ("ResponseComplete", "ResponseStarted"):
            continue
        user = str(event["user"].get("username", "")).removeprefix(ACCOUNT)
        code = (event.get("responseStatus") or {}).get("code")
        into = refused if code == 403 and forbidden(event) else allowed
        into.setdefault(user, set()).add(use(event))
    return {
        user: Used(
            allowed=frozenset(allowed.get(user, ())),
            refused=frozenset(refused.get(user, ())),
        )
        for user in allowed.keys() | refused.keys()
    }


def forbidden(event: Mapping[str, Any]) -> bool:
    """Say whether it was the authorizer that refused, and not an admission plug-in."""
    notes = event.get("annotations") or {}
    return bool(notes.get("authorization.k8s.io/decision", "forbid") == "forbid")


def use(event: Mapping[str, Any]) -> Use:
    about = event.get("objectRef")
    if not about:
        path = str(event["requestURI"]).partition("?")[0]
        return Use(Right(event["verb"], "", path, False), "", "")
    resource = about["resource"]
    if sub := about.get("subresource"):
        resource += f"/{sub}"
    namespace = about.get("namespace", "")
    # A Namespace itself is an object of the cluster, although its own name is told here.
    if about["resource"] == "namespaces":
        namespace = ""
    right = Right(event["verb"], about.get("apiGroup", ""), resource, bool(namespace))
    return Use(right, namespace, about.get("name", ""))


def grants(documents: Iterable[Mapping[str, Any]], account: str) -> list[Grant]:
    """Return what the bindings among *documents* give to *account*, `namespace:name`."""
    found = list(documents)
    roles = {
        (
            each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
        ): each
        for each in found
        if each["kind"] in ("Role", "ClusterRole")
    }
    given: list[Grant] = []
    for binding in found:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        home = binding["metadata"].get("namespace", "")
        if account not in {
            f"{each.get('namespace', home)}:{each['name']}"
            for each in binding.get("subjects") or ()
            if each["kind"] == "ServiceAccount"
        }:
            continue
        where = home if binding["kind"] == "RoleBinding" else ""
        reference = binding["roleRef"]
        inside = home if reference["kind"] == "Role" else ""
        role = roles[reference["kind"], inside, reference["name"]]
        for rule in role.get("rules") or ():
            given += of_rule(rule, where)
    return given


def of_rule(rule: Mapping[str, Any], namespace: str) -> Iterator[Grant]:
    """Yield one grant for each verb on each resource that *rule* names."""
    names = tuple(rule.get("resourceNames") or ())
    for verb in rule["verbs"]:
        for path in rule.get("nonResourceURLs") or ():
            yield Grant(Right(verb, "", path, False), "", ())
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                right = Right(verb, group, resource, bool(namespace))
                yield Grant(right, namespace, names)


def covers(grant: Grant, use: Use) -> bool:
    """Say whether *grant* allows *use*, as the RBAC authorizer reads rules."""
    given, asked = grant.right, use.right
    return (
        given.verb in ("*", asked.verb)
        and given.group in ("*", asked.group)
        and _matches(given.resource, asked.resource)
        and (not grant.namespace or grant.namespace == use.namespace)
        and (not grant.names or use.name in grant.names)
    )


def _matches(given: str, asked: str) -> bool:
    if given in ("*", asked):
        return not (given == "*" and asked.startswith("/"))
    if given.startswith("/"):
        return given.endswith("*") and asked.startswith(given[:-1])
    return given.startswith("*/") and asked.endswith(given[1:])


def compare(seen: Used, given: Iterable[Grant]) -> Comparison:
    """Return the grants that no allowed use needed, and the uses that were refused.

    One use is need enough for every grant that covers it: two that overlap are both used.
    What was refused at first and allowed later was asked before the binding counted.
    """
    unused = [
        f"{each.right} in {each.namespace or 'all namespaces'}"
        + (f", only {', '.join(each.names)}" if each.names else "")
        for each in given
        if not any(covers(each, one) for one in seen.allowed)
    ]
    refused = {
        f"{each.right} in {each.namespace or 'no namespace'}"
        for each in seen.refused - seen.allowed
    }
    return Comparison(unused=tuple(sorted(unused)), refused=tuple(sorted(refused)))


def ungranted(seen: Used, given: Iterable[Grant]) -> list[str]:
    """Return the uses that something else than *given* must have allowed."""
    grants_ = list(given)
    return sorted(
        {
            str(each.right)
            for each in seen.allowed
            if not any(covers(grant, each) for grant in grants_)
            and not each.right.resource.startswith(EVERYBODYS)
            and each.right.group not in REVIEWS
        }
    )
