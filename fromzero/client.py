"""Speak to a running fromzero through its admin port."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from fromzero.errors import CommandError, NotReachableError

_TIMEOUT_S = 10.0
_NUMBERED = re.compile(r"(.+?)(-(predictor|transformer|explainer))?(-\d{5})?")


class Client:
    """One admin port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def status(self) -> dict[str, Any]:
        """Return all revisions, and what is remarked on a cluster's objects."""
        return self._ask("GET", "/status")

    def revisions(self) -> list[dict[str, Any]]:
        """Return all revisions as `GET /status` gives them."""
        found: list[dict[str, Any]] = self.status()["revisions"]
        return found

    def explain(self, revision: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of one revision's decisions."""
        return self._ask("GET", f"/explain/{_path(revision)}")

    def order(self, order: str, revision: dict[str, Any]) -> dict[str, Any]:
        """Have *order* carried out; return the revision after it."""
        return self._ask("POST", f"/{order}/{_path(revision)}")

    def release(self, revision: dict[str, Any]) -> dict[str, Any]:
        """Have a revision be let go of; return it as it is then."""
        return self._ask("POST", f"/release/{_path(revision)}")

    def find(self, name: str) -> list[dict[str, Any]]:
        """Return the revisions that *name* means; see `named`."""
        return named(name, self.revisions())

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        link = HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            link.request(method, path)
            answer = link.getresponse()
            body = json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise NotReachableError(
                f"no fromzero answers on {self._host}:{self._port} ({_short(error)}): "
                "start one with `fromzero up`, or name its port with --admin-port"
            ) from error
        finally:
            link.close()
        if not isinstance(body, dict):
            raise NotReachableError(f"{self._host}:{self._port} is not fromzero's")
        if answer.status != 200:
            raise CommandError(str(body.get("error", f"status {answer.status}")))
        return body


def named(name: str, revisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the revisions that *name* means: one of them, or all of a service.

    It may begin with a namespace and a slash. CommandError: none has it, or services
    of several namespaces do.
    """
    space, _, short = name.rpartition("/")
    spaced = [each for each in revisions if space in ("", each["namespace"])]
    found = [each for each in spaced if each["name"] == short]
    found = found or [each for each in spaced if short in _services(each["name"])]
    if not found:
        known = sorted({f"{each['namespace']}/{each['name']}" for each in revisions})
        there = ", ".join(known) if known else "none"
        raise CommandError(
            f"there is no revision or service {name}; there are: {there}"
        )
    spaces = sorted({each["namespace"] for each in found})
    if len(spaces) > 1:
        which = " or ".join(f"{each}/{short}" for each in spaces)
        raise CommandError(f"{name} is in several namespaces: say {which}")
    return found


def _services(revision: str) -> set[str]:
    """Return the names that mean *revision*: its component's and its service's."""
    match = _NUMBERED.fullmatch(revision)
    if match is None:
        return set()
    service, component = match[1], match[2] or ""
    return {service, service + component}


def _path(revision: dict[str, Any]) -> str:
    return f"{quote(revision['namespace'], '')}/{quote(revision['name'], '')}"


def _short(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
