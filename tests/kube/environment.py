"""The environment of a container: its own variables, where they come from, and `$(…)`."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.kube.images import Image

Object = dict[str, Any]
Fetch = Callable[[str, str], Awaitable[Object | None]]
"""Gets a ConfigMap or Secret of the pod's namespace: ("configmaps", name)."""

REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][\w.-]*)\)")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Unmade(Exception):  # noqa: N818 - what it is
    """A container cannot be made as it is asked for: CreateContainerConfigError."""


def expand(text: str, known: Mapping[str, str]) -> str:
    """Fill in the variables that are known, as Kubernetes does.

    >>> expand("$(A)/$(B)/$$(A)", {"A": "x"})
    'x/$(B)/$(A)'
    """

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return known.get(match[1], match[0])

    return REFERENCE.sub(replaced, text)


def field(pod: Object, path: str) -> str:
    """Return what a fieldRef names.

    >>> field({"metadata": {"labels": {"a/b": "c"}}}, "metadata.labels['a/b']")
    'c'
    """
    if keyed := re.fullmatch(r"(metadata\.(?:labels|annotations))\['(.+)'\]", path):
        return str(field_of(pod, keyed[1]).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        lines = sorted(field_of(pod, path).items())
        return "\n".join(f'{name}="{value}"' for name, value in lines)
    if path == "status.podIPs":
        return ",".join(each["ip"] for each in pod["status"].get("podIPs") or ())
    return str(field_of(pod, path) or "")


def field_of(pod: Object, path: str) -> Any:
    found: Any = pod
    for name in path.split("."):
        found = (found or {}).get(name)
    return found or {}


def amount(resource: Mapping[str, str], container: Object) -> str:
    """Return what a resourceFieldRef names, in whole cores or bytes."""
    kind, _, name = resource["resource"].partition(".")
    given = (container.get("resources") or {}).get(kind) or {}
    value = str(given.get(name, "0"))
    units = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "m": 0.001}
    for unit, factor in units.items():
        if value.endswith(unit):
            exact = float(value[: -len(unit)]) * factor
            return str(int(exact) if exact == int(exact) else int(exact) + 1)
    return value


def decoded(kind: str, found: Object) -> dict[str, bytes]:
    """Return the data of a ConfigMap or Secret as bytes."""
    data = found.get("data") or {}
    binary = found.get("binaryData") or {}
    if kind == "secrets":
        return {name: base64.b64decode(value) for name, value in data.items()}
    return {name: value.encode() for name, value in data.items()} | {
        name: base64.b64decode(value) for name, value in binary.items()
    }


async def entry(kind: str, reference: Object, fetch: Fetch) -> str | None:
    """Return the value of one key, or None where it is optional and not there."""
    found = await fetch(kind, reference["name"])
    data = decoded(kind, found) if found else {}
    if reference["key"] in data:
        return data[reference["key"]].decode()
    if reference.get("optional"):
        return None
    if found is None:
        raise Unmade(f'{kind[:-1]} "{reference["name"]}" not found')
    raise Unmade(f"couldn't find key {reference['key']} in {kind[:-1]}")


async def environment(
    container: Object, pod: Object, image: Image, fetch: Fetch
) -> dict[str, str]:
    """Return all variables of a container; *pod* has its addresses already.

    Of the Services that a kubelet tells of by variables, only the API server's is.
    """
    made = {
        "PATH": PATH,
        "HOME": "/root" if not image.user else "/",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": pod["serving"],
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        **image.env,
    }
    for source in container.get("envFrom") or ():
        for name, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if reference := source.get(name):
                found = await fetch(kind, reference["name"])
                if found is None and not reference.get("optional"):
                    raise Unmade(f'{kind[:-1]} "{reference["name"]}" not found')
                prefix = source.get("prefix", "")
                for each, value in decoded(kind, found or {}).items():
                    made[prefix + each] = value.decode()
    for variable in container.get("env") or ():
        given = await one(variable, container, pod, made, fetch)
        if given is not None:
            made[variable["name"]] = given
    return made


async def one(
    variable: Object,
    container: Object,
    pod: Object,
    made: Mapping[str, str],
    fetch: Fetch,
) -> str | None:
    """Return the value of one variable, or None where it has none."""
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), made)
    if reference := source.get("fieldRef"):
        return field(pod, reference["fieldPath"])
    if reference := source.get("resourceFieldRef"):
        return amount(reference, container)
    if reference := source.get("configMapKeyRef"):
        return await entry("configmaps", reference, fetch)
    if reference := source.get("secretKeyRef"):
        return await entry("secrets", reference, fetch)
    raise Unmade(f"valueFrom of {variable['name']}: {sorted(source)} is not played")
