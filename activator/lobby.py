"""What the activator says itself: to who asks for nobody, or for who sleeps."""

from __future__ import annotations

from collections.abc import Iterable

from activator.answers import Own, as_json, error
from activator.core.routes import Routes
from autoscaler.core.domain import Route

_SHOWN = 20
"""Names that a 404 lists; the others are counted."""


def for_nobody(routes: Routes, path: bytes) -> Own | None:
    """Answer a GET that names no service; None: there is no such thing here."""
    match _parts(path):
        case ["v1", "models"] | ["openai", "v1", "models"]:
            return Own(200, _models(routes.models))
        case ["v2"] | ["v2", "models"]:
            return Own(200, _server(routes.models))
        case ["v1", "models", name] | ["openai", "v1", "models", name] if (
            routes.by_model(name) is None
        ):
            return None
        case ["v2", "models", name, *_] if routes.by_model(name) is None:
            return None
        case [] | ["metrics"]:
            return None
        case _:
            return Own(200, _well(path))


def at_rest(route: Route, path: bytes) -> Own:
    """Answer a check of *route*'s model, which is asleep and well."""
    names = route.models or (route.service,)
    match _parts(path):
        case ["v1", "models"] | ["openai", "v1", "models"]:
            return Own(200, _models(names))
        case ["v2"] | ["v2", "models"]:
            return Own(200, _server(names))
        case ["metrics"]:
            return Own(200, b"", b"text/plain; version=0.0.4; charset=utf-8")
        case _:
            return Own(200, _well(path))


def not_served(routes: Routes, path: bytes, reason: str) -> Own:
    """Say that *reason* is so, and what is served instead."""
    known = sorted({f"{r.namespace}/{r.service}" for r in routes.routes})
    if not known:
        return error(path, 404, f"{reason}; nothing is served yet")
    shown = ", ".join(known[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return error(path, 404, f"{reason}; served are {shown}{more}")


def _models(names: Iterable[str]) -> bytes:
    """Return the list in which OpenAI's and KServe's V1 clients both find theirs."""
    listed = sorted(set(names))
    data = [_model(name) for name in listed]
    return as_json({"object": "list", "data": data, "models": listed})


def _server(names: Iterable[str]) -> bytes:
    """Return V2's metadata of a server, and the names of its models."""
    metadata = {"name": "fromzero", "version": "2", "extensions": []}
    return as_json({**metadata, "models": sorted(set(names))})


def _well(path: bytes) -> bytes:
    match _parts(path):
        case ["v1", "models", name] | ["openai", "v1", "models", name]:
            return as_json({"name": name, "ready": True, **_model(name)})
        case ["v2", "models", name, *_]:
            return as_json({"name": name, "ready": True})
        case ["v2", "health", "live" | "ready" as what]:
            return as_json({what: True})
        case _:
            return as_json({"status": "ok"})


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "fromzero"}


def _parts(path: bytes) -> list[str]:
    bare = path.partition(b"?")[0].decode("ascii", "replace").strip("/")
    return bare.split("/") if bare else []
